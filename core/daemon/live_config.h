// LiveConfig: the config that holds now, replaced as a whole when the file is read again, and what
// it means in the terms of the engine. Thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/config/config.h"
#include "core/control/messages.h"
#include "core/store/bandwidth.h"
#include "core/store/store_url.h"
#include "core/vault/vault.h"
#include "core/volume/settings.h"

namespace coffer::daemon {

class LiveConfig {
 public:
  explicit LiveConfig(config::Config config) : config_(std::move(config)) {}

  [[nodiscard]] config::Effective For(const std::string& vault, const std::string& volume,
                                      const config::Overrides& overrides = {}) const {
    MutexLock lock(mutex_);
    return config_.For(vault, volume, overrides);
  }
  [[nodiscard]] config::Effective Defaults() const { return For("", ""); }
  /// The STORE of a request: an absolute path, a URL, or "NAME:prefix" of a [stores.NAME].
  [[nodiscard]] Result<store::StoreUrl> StoreOf(const std::string& text) const;
  void Replace(config::Config config) {
    MutexLock lock(mutex_);
    config_ = std::move(config);
  }

 private:
  mutable Mutex mutex_;
  config::Config config_ GUARDED_BY(mutex_);
};

/// A store as it is kept: an absolute path or a URL.
Result<store::StoreUrl> ParseKnownStore(const std::string& text);
/// What a command said, in the terms of the config.
Result<config::Overrides> OverridesOf(const std::vector<control::SettingValue>& said);
/// All settings, as the control API shows them.
[[nodiscard]] std::vector<control::SettingInfo> SettingInfos(const config::Effective& config);
/// What a volume costs its store at most by its sync age: small writes that never cease.
[[nodiscard]] std::uint64_t RequestsPerDay(const volume::Settings& settings);
/// What an open volume goes by.
[[nodiscard]] volume::Settings VolumeSettings(const config::Effective& config);
/// As the config and the control API write it.
[[nodiscard]] std::string DurabilityName(format::Durability durability);
/// A value of upload_limit or download_limit.
[[nodiscard]] store::RateSchedule RatesOf(const std::string& text);
/// What a new volume is made with; name and size are the caller's.
[[nodiscard]] vault::VolumeSpec NewVolumeSpec(const config::Effective& config);

}  // namespace coffer::daemon
