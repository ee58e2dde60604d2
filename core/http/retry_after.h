// What a server says of when to come again (RFC 9110, section 10.2.3).
#pragma once

#include <chrono>
#include <optional>

#include "core/base/clock.h"
#include "core/http/http_client.h"

namespace coffer::http {

/// Whatever a server says: when its trouble ends, attempts go on within this (promise L8).
inline constexpr Duration kRetryAfterMax = std::chrono::minutes(5);

/// From 0 to kRetryAfterMax; nothing if the header is missing or not understood. A date is held
/// against the server's own Date where there is one, so that a wrong clock here does no harm.
[[nodiscard]] std::optional<Duration> RetryAfterOf(const Response& response, UnixSeconds now);

}  // namespace coffer::http
