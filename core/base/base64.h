// Base64 (RFC 4648 section 4, with padding), as HTTP headers carry digests. Not for secrets: its
// text is an ordinary string.
#pragma once

#include <string>

#include "core/base/bytes.h"

namespace coffer {

[[nodiscard]] std::string ToBase64(ByteView bytes);

}  // namespace coffer
