#include "core/http/retry_after.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "core/http/header_text.h"

namespace coffer::http {
namespace {

constexpr auto kSecondsMax = std::chrono::duration_cast<std::chrono::seconds>(kRetryAfterMax);

Duration Capped(std::int64_t seconds) {
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kSecondsMax.count()));
}

std::optional<UnixSeconds> ParseDate(std::string_view text) {
  constexpr std::size_t kDateBytesMax = 64;
  if (text.empty() || text.size() > kDateBytesMax) return std::nullopt;
  const UnixSeconds time = curl_getdate(std::string(text).c_str(), nullptr);
  if (time < 0) return std::nullopt;
  return time;
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
  const std::optional<UnixSeconds> then = ParseDate(text);
  if (!then.has_value()) return std::nullopt;
  return Capped(*then - ParseDate(response.Find("Date").value_or("")).value_or(now));
}

}  // namespace coffer::http
