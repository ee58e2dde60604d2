// The one mapping from coffer's errors to what a system call on an image file can say.
#pragma once

#include "core/base/error.h"

namespace coffer::fuse {

/// An errno, positive.
[[nodiscard]] int ErrnoFrom(ErrorCode code);

}  // namespace coffer::fuse
