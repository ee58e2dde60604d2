// Totals: what the loops of one server count together. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <utility>

#include "core/base/mutex.h"
#include "nbd/budget.h"
#include "nbd/limits.h"

namespace coffer::nbd {

class Totals {
 public:
  explicit Totals(const Limits& limits)
      : connections_max_(limits.connections_max),
        bytes_of_one_(limits.bytes_in_flight_max),
        bytes_of_all_(limits.bytes_in_flight_total),
        payloads_(limits.bytes_in_flight_total),
        replies_(limits.bytes_in_flight_total) {}

  [[nodiscard]] bool HasRoom() const { return connections_ < connections_max_; }
  void NoteArrived() { ++connections_; }
  /// Whoever stopped accepting since there was no room is told that there is some.
  void NoteLeft() EXCLUDES_LOCK(mutex_) {
    if (connections_-- < connections_max_) return;
    MutexLock lock(mutex_);
    for (const auto& [owner, tell] : tell_) tell();
  }
  /// Bytes that each connection may have in flight at present.
  [[nodiscard]] std::size_t ShareOfBytes() const {
    const std::size_t share =
        bytes_of_all_ / static_cast<std::size_t>(std::max(1, connections_.load()));
    return std::clamp<std::size_t>(share, 1, bytes_of_one_);
  }

  [[nodiscard]] CommonBudget& payloads() { return payloads_; }
  [[nodiscard]] CommonBudget& replies() { return replies_; }

  /// `tell` is called whenever there is room again, on any thread, until Forget(owner).
  void TellOfRoom(const void* owner, std::function<void()> tell) EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    tell_.emplace(owner, std::move(tell));
  }
  void Forget(const void* owner) EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    tell_.erase(owner);
  }

 private:
  const int connections_max_;
  const std::size_t bytes_of_one_;
  const std::size_t bytes_of_all_;
  CommonBudget payloads_;
  CommonBudget replies_;
  std::atomic<int> connections_ = 0;
  Mutex mutex_;
  std::map<const void*, std::function<void()>> tell_ GUARDED_BY(mutex_);
};

}  // namespace coffer::nbd
