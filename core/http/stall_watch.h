// When an attempt has stood still for too long. Pure.
#pragma once

#include <cstdint>

#include "core/base/clock.h"

namespace coffer::http {

class StallWatch {
 public:
  StallWatch(MonotonicTime now, Duration still_max) : moved_at_(now), still_max_(still_max) {}

  /// `moved` is any number that changes while bytes go either way.
  [[nodiscard]] bool HasStalled(MonotonicTime now, std::uint64_t moved) {
    if (moved != moved_) {
      moved_ = moved;
      moved_at_ = now;
    }
    return now - moved_at_ >= still_max_;
  }

 private:
  std::uint64_t moved_ = 0;
  MonotonicTime moved_at_;
  Duration still_max_;
};

}  // namespace coffer::http
