#include "core/http/retry_after.h"

#include <algorithm>
#include <charconv>

#include "core/http/header_text.h"
#include "core/http/http_date.h"

namespace coffer::http {
namespace {

constexpr auto kSecondsMax = std::chrono::duration_cast<std::chrono::seconds>(kRetryAfterMax);

Duration Capped(std::int64_t seconds) {
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kSecondsMax.count()));
}

}  // namespace

std::optional<Duration> RetryAfterOf(const Response& response, UnixSeconds now) {
  const auto value = response.Find("Retry-After");
  if (!value.has_value()) return std::nullopt;
  const std::string_view text = Trimmed(*value);
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    std::int64_t seconds = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
    return Capped(parsed.ec == std::errc() ? seconds : kSecondsMax.count());
  }
  const std::optional<UnixSeconds> then = ParseHttpDate(text);
  if (!then.has_value()) return std::nullopt;
  return Capped(*then - ParseHttpDate(response.Find("Date").value_or("")).value_or(now));
}

}  // namespace coffer::http
