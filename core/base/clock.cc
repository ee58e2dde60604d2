#include "core/base/clock.h"

#include <ctime>

#include "core/base/check.h"

namespace coffer {
namespace {

timespec ReadClock(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return time;
}

}  // namespace

MonotonicTime SystemClock::Now() const {
  const timespec time = ReadClock(CLOCK_BOOTTIME);
  return MonotonicTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

UnixSeconds SystemClock::WallNow() const { return ReadClock(CLOCK_REALTIME).tv_sec; }

}  // namespace coffer
