// OpenVolumes::Use, for the files that OpenVolumes is made of; nobody else includes this.
#pragma once

#include <memory>
#include <utility>

#include "core/base/log.h"
#include "core/daemon/open_volumes.h"

namespace coffer::daemon {

/// Lets a thread use an open volume without the lock; closing waits for it.
class OpenVolumes::Use {
 public:
  static Result<std::unique_ptr<Use>> Begin(OpenVolumes& volumes, const VolumeKey& key) {
    MutexLock lock(volumes.mutex_);
    return BeginLocked(volumes, key);
  }
  static Result<std::unique_ptr<Use>> BeginLocked(OpenVolumes& volumes, const VolumeKey& key)
      REQUIRES_LOCK(volumes.mutex_) {
    auto entry = volumes.FindLocked(key);
    if (entry == nullptr) return Fail(NotOpen(volumes.FullNameOf(key)));
    if (entry->state != State::kOpen && entry->state != State::kMounting) {
      return Fail(ErrorCode::kConflict,
                  Concat("volume ", volumes.FullNameOf(key), " is just being ", entry->deed),
                  "try again when coffer status says that it is done");
    }
    entry->users += 1;
    return std::unique_ptr<Use>(new Use(volumes, std::move(entry)));
  }
  ~Use() {
    MutexLock lock(volumes_.mutex_);
    entry_->users -= 1;
    volumes_.changed_.notify_all();
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  [[nodiscard]] Entry& entry() const { return *entry_; }

 private:
  Use(OpenVolumes& volumes, std::shared_ptr<Entry> entry)
      : volumes_(volumes), entry_(std::move(entry)) {}

  OpenVolumes& volumes_;
  std::shared_ptr<Entry> entry_;
};

}  // namespace coffer::daemon
