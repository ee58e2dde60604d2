// Where the key of an Azure account, or a SAS token, comes from: a file of its own, or the
// environment as Azure's own tools read it (AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, and
// AZURE_STORAGE_ACCOUNT, which says whose they are). Read anew by Reload, so that replaced ones are
// taken without a restart.
#pragma once

#include <memory>
#include <string>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/store/azure_settings.h"
#include "core/store/azure_signer.h"
#include "core/store/variables.h"

namespace coffer::store {

/// An account's key in Base64, or a SAS token ("?sv=…&sig=…", with or without the "?").
/// kInvalidArgument for what is neither, without any of it.
Result<AzureKeys> ParseAzureKeys(ByteView text);

/// Until when a SAS says that it is valid, as it says it, or "". No secret.
[[nodiscard]] std::string ExpiryOf(const AzureKeys& keys);

/// Thread-safe. Keys are shared, since requests sign with them at once.
class AzureCredentials {
 public:
  /// `fs` and what `variables` refers to outlive it.
  AzureCredentials(FileSystem& fs, Variables variables, AzureKeyPlaces places);

  /// The keys as they were last read. kUnauthenticated, with the cause kCredentials, if there are
  /// none: the message says where was looked.
  Result<std::shared_ptr<const AzureKeys>> Get();
  /// Reads them again, when they are next asked for; they may be the same.
  void Reload();

 private:
  Result<AzureKeys> Find() const;
  Result<AzureKeys> FromEnvironment() const;
  [[nodiscard]] std::string Variable(const std::string& name) const;

  FileSystem& fs_;
  const Variables variables_;
  const AzureKeyPlaces places_;
  Mutex mutex_;
  std::shared_ptr<const AzureKeys> keys_ GUARDED_BY(mutex_);
};

}  // namespace coffer::store
