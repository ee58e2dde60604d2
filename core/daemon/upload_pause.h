// UploadPause: whether uploads rest, and until when (`coffer pause`). Kept in a file, so that a
// daemon that is started anew goes on resting. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/volume/volume.h"

namespace coffer::daemon {

class UploadPause {
 public:
  using Apply = std::function<void(volume::Uploads uploads)>;

  /// Goes by what `path` says. `apply` is told of each change, not at the same time; all outlive
  /// this.
  UploadPause(FileSystem& fs, Clock& clock, Executor& executor, std::string path, Apply apply);
  ~UploadPause();
  UploadPause(const UploadPause&) = delete;
  UploadPause& operator=(const UploadPause&) = delete;

  /// By this machine's clock; nullopt: not paused; kUntilResumed.
  static constexpr UnixSeconds kUntilResumed = 0;
  [[nodiscard]] std::optional<UnixSeconds> until() const;
  [[nodiscard]] volume::Uploads uploads() const;

  /// For so long, or until Resume without it. On failure nothing has changed.
  Status Pause(std::optional<std::uint64_t> seconds);
  Status Resume();

 private:
  /// `old` is a timer that was, to be ended without the mutex: its task takes it.
  void SetTimerLocked(std::unique_ptr<Executor::Timer>* old) REQUIRES_LOCK(change_mutex_);
  /// Of the pause with that number: another one has a timer of its own.
  void EndOfTime(std::uint64_t number);
  Status Change(std::optional<UnixSeconds> until, std::unique_ptr<Executor::Timer>* old)
      REQUIRES_LOCK(change_mutex_);

  FileSystem& fs_;
  Clock& clock_;
  Executor& executor_;
  const std::string path_;
  const Apply apply_;
  Mutex change_mutex_;  // one change at a time, over its I/O; before mutex_
  std::unique_ptr<Executor::Timer> timer_ GUARDED_BY(change_mutex_);
  std::uint64_t number_ GUARDED_BY(change_mutex_) = 0;  // of changes
  mutable Mutex mutex_;
  std::optional<UnixSeconds> until_ GUARDED_BY(mutex_);
};

}  // namespace coffer::daemon
