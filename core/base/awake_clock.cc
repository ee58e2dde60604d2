#include "core/base/awake_clock.h"

#include <ctime>

#include "core/base/check.h"

namespace coffer {

MonotonicTime AwakeClock::Now() const {
  timespec time{};
  CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
  return MonotonicTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

UnixSeconds AwakeClock::WallNow() const { return SystemClock().WallNow(); }

}  // namespace coffer
