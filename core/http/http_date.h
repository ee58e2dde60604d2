// Dates as HTTP's headers have them (RFC 9110, section 5.6.7).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace coffer::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string HttpDate(UnixSeconds time);
/// Any of the three forms that a recipient must understand; nothing for what is none.
[[nodiscard]] std::optional<UnixSeconds> ParseHttpDate(std::string_view text);

}  // namespace coffer::http
