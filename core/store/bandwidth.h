// Bandwidth: how many bytes a second all stores of this process may send and receive, by the time
// of the day. Shared by their ThrottledStores. Thread-safe.
//
// A request goes when those before it have had their time, and then takes as long as its bytes need
// at the rate: what is sent in an hour is what an hour may carry, one object at a time is not
// slowed down within itself. What comes back is counted when it has come.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace coffer::store {

/// From this minute of the day (local time) until that of the next step.
struct RateStep {
  int minute = 0;                                 // 0 … 1439
  std::optional<std::uint64_t> bytes_per_second;  // nullopt: no limit
  bool operator==(const RateStep&) const = default;
};
/// Ascending by minute; before the first step the last one holds. Empty: no limit.
using RateSchedule = std::vector<RateStep>;

class Bandwidth {
 public:
  enum class Direction { kUp, kDown };

  explicit Bandwidth(const Clock& clock) : clock_(clock) {}
  Bandwidth(const Bandwidth&) = delete;
  Bandwidth& operator=(const Bandwidth&) = delete;

  void Set(Direction direction, RateSchedule schedule);
  /// Zero: it may go, and its bytes are taken. Else how long to wait before asking again.
  [[nodiscard]] Duration TryTake(Direction direction, std::uint64_t bytes);
  /// Of what has gone already: the next one waits for it.
  void Take(Direction direction, std::uint64_t bytes);

 private:
  struct Lane {
    RateSchedule schedule;
    MonotonicTime free_at{};
  };
  [[nodiscard]] Lane& LaneOf(Direction direction) REQUIRES_LOCK(mutex_) {
    return direction == Direction::kUp ? up_ : down_;
  }
  [[nodiscard]] std::optional<std::uint64_t> RateNow(const Lane& lane) const;
  void TakeLocked(Lane& lane, std::uint64_t bytes, MonotonicTime now) REQUIRES_LOCK(mutex_);

  const Clock& clock_;
  Mutex mutex_;
  Lane up_ GUARDED_BY(mutex_);
  Lane down_ GUARDED_BY(mutex_);
};

}  // namespace coffer::store
