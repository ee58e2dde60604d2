// Time, as the rest of coffer may know it. Ordering never uses wall time; wall time is for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace coffer {

using Duration = std::chrono::nanoseconds;
/// Nanoseconds since an arbitrary start; never goes back, counts time suspended (CLOCK_BOOTTIME).
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Seconds since 1970-01-01 UTC, as the machine believes.
using UnixSeconds = std::int64_t;

/// "20261121T073000": the second in UTC, fit for a name.
[[nodiscard]] std::string CompactUtc(UnixSeconds time);
/// "2024-03-01 14:05", UTC, for people; "?" for 0 and for what lies beyond the year 9999.
[[nodiscard]] std::string DateTimeUtc(UnixSeconds time);

/// 0 … 1439, by this machine's time zone.
[[nodiscard]] int LocalMinuteOfDay(UnixSeconds time);

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime Now() const = 0;
  [[nodiscard]] virtual UnixSeconds WallNow() const = 0;
};

/// The system's clock; thread-safe.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override;
  [[nodiscard]] UnixSeconds WallNow() const override;
};

}  // namespace coffer
