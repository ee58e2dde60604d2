// A clock that moves when told. Wall time runs along with monotonic time from its own start, and
// can be set apart (faults.md row 11). Thread-safe.
#pragma once

#include <atomic>
#include <chrono>

#include "core/base/clock.h"

namespace coffer {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override {
    return MonotonicTime(Duration(elapsed_.load()));
  }
  [[nodiscard]] UnixSeconds WallNow() const override {
    return wall_start_ +
           std::chrono::duration_cast<std::chrono::seconds>(Duration(elapsed_.load())).count();
  }

  void Advance(Duration duration) { elapsed_ += duration.count(); }
  /// Moves to `time` unless it has passed already.
  void AdvanceTo(MonotonicTime time) {
    if (time > Now()) Advance(time - Now());
  }
  void SetWall(UnixSeconds wall) { wall_start_ += wall - WallNow(); }

 private:
  std::atomic<Duration::rep> elapsed_{Duration(std::chrono::hours(1)).count()};
  std::atomic<UnixSeconds> wall_start_{1'700'000'000};
};

}  // namespace coffer
