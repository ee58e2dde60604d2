#include "core/store/bandwidth.h"

#include <algorithm>
#include <utility>

namespace coffer::store {

void Bandwidth::Set(Direction direction, RateSchedule schedule) {
  const MutexLock lock(mutex_);
  Lane& lane = LaneOf(direction);
  if (lane.schedule == schedule) return;
  lane.schedule = std::move(schedule);
  lane.free_at = MonotonicTime{};  // what was taken was counted at another rate
}

std::optional<std::uint64_t> Bandwidth::RateNow(const Lane& lane) const {
  if (lane.schedule.empty()) return std::nullopt;
  const int minute = LocalMinuteOfDay(clock_.WallNow());
  const RateStep* now = &lane.schedule.back();
  for (const RateStep& step : lane.schedule) {
    if (step.minute <= minute) now = &step;
  }
  return now->bytes_per_second;
}

Duration Bandwidth::TryTake(Direction direction, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  Lane& lane = LaneOf(direction);
  if (!RateNow(lane)) return Duration::zero();
  const MonotonicTime now = clock_.Now();
  if (lane.free_at > now) return lane.free_at - now;
  TakeLocked(lane, bytes, now);
  return Duration::zero();
}

void Bandwidth::Take(Direction direction, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  TakeLocked(LaneOf(direction), bytes, clock_.Now());
}

void Bandwidth::TakeLocked(Lane& lane, std::uint64_t bytes, MonotonicTime now) {
  const std::optional<std::uint64_t> rate = RateNow(lane);
  if (!rate || bytes == 0) return;
  const double seconds = static_cast<double>(bytes) / static_cast<double>(*rate);
  lane.free_at = std::max(lane.free_at, now) +
                 std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace coffer::store
