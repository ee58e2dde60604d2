// The one mapping from coffer's errors to what an NBD reply can say.
#pragma once

#include "core/base/error.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

[[nodiscard]] ReplyError ReplyErrorFrom(ErrorCode code);

}  // namespace coffer::nbd
