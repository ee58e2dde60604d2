#include "core/base/clock.h"

#include <array>
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

std::string CompactUtc(UnixSeconds time) {
  const std::time_t seconds = time;
  std::tm parts{};
  CHECK(gmtime_r(&seconds, &parts) != nullptr);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S", &parts)};
}

std::string DateTimeUtc(UnixSeconds time) {
  constexpr UnixSeconds kYear10000 = 253'402'300'800;
  const std::time_t seconds = time;
  std::tm parts{};
  if (time <= 0 || time >= kYear10000 || gmtime_r(&seconds, &parts) == nullptr) return "?";
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts)};
}

int LocalMinuteOfDay(UnixSeconds time) {
  const std::time_t seconds = time;
  std::tm parts{};
  if (localtime_r(&seconds, &parts) == nullptr) return 0;
  return parts.tm_hour * 60 + parts.tm_min;
}

MonotonicTime SystemClock::Now() const {
  const timespec time = ReadClock(CLOCK_BOOTTIME);
  return MonotonicTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

UnixSeconds SystemClock::WallNow() const { return ReadClock(CLOCK_REALTIME).tv_sec; }

}  // namespace coffer
