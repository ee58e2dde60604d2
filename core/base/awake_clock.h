// AwakeClock: the system's clock for limits of what somebody else has to do in time. Its Now stands
// still while the machine sleeps (CLOCK_MONOTONIC), as the kernel's timeouts do: nobody is cut off
// for what could not be done meanwhile. Its times are never compared with another clock's.
// Thread-safe.
#pragma once

#include "core/base/clock.h"

namespace coffer {

class AwakeClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override;
  [[nodiscard]] UnixSeconds WallNow() const override;
};

}  // namespace coffer
