// Where the keys of an S3 store come from: the environment, or a profile of the files that AWS's
// tools keep. Read anew by Reload, so that replaced keys are taken without a restart.
#pragma once

#include <memory>
#include <string>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/store/s3_signer.h"
#include "core/store/variables.h"

namespace coffer::store {

/// Thread-safe. Keys are shared, since requests sign with them at once.
class S3CredentialsSource {
 public:
  virtual ~S3CredentialsSource() = default;
  /// The keys as they were last read. kUnauthenticated, with the cause kCredentials, if there are
  /// none: the message says where was looked.
  virtual Result<std::shared_ptr<const S3Keys>> Get() = 0;
  /// Reads them again; what Get gives afterwards may be the same.
  virtual void Reload() = 0;
};

/// Where to look.
struct S3KeyPlaces {
  std::string access_variable = "AWS_ACCESS_KEY_ID";
  std::string secret_variable = "AWS_SECRET_ACCESS_KEY";
  std::string token_variable = "AWS_SESSION_TOKEN";
  std::string credentials_file;  // an absolute path
  std::string config_file;       // another, or ""
  std::string profile = "default";
  /// The user named file or profile for this store: then the environment does not count.
  bool files_only = false;
};

/// `fs` and what `variables` refers to outlive it.
[[nodiscard]] std::unique_ptr<S3CredentialsSource> NewS3Credentials(FileSystem& fs,
                                                                    Variables variables,
                                                                    S3KeyPlaces places);

}  // namespace coffer::store
