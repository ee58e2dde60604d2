#include "core/http/http_date.h"

#include <curl/curl.h>

#include <array>
#include <chrono>

#include "core/base/log.h"

namespace coffer::http {
namespace {

/// In two digits.
std::string TwoDigits(std::int64_t number) { return Concat(number < 10 ? "0" : "", number); }

}  // namespace

std::string HttpDate(UnixSeconds time) {
  namespace chrono = std::chrono;
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const chrono::sys_seconds seconds{chrono::seconds(time)};
  const chrono::sys_days days = chrono::floor<chrono::days>(seconds);
  const chrono::year_month_day date(days);
  const chrono::hh_mm_ss clock(seconds - days);
  return Concat(kDays.at(chrono::weekday(days).c_encoding()), ", ", TwoDigits(unsigned{date.day()}),
                " ", kMonths.at(unsigned{date.month()} - 1), " ", int{date.year()}, " ",
                TwoDigits(clock.hours().count()), ":", TwoDigits(clock.minutes().count()), ":",
                TwoDigits(clock.seconds().count()), " GMT");
}

std::optional<UnixSeconds> ParseHttpDate(std::string_view text) {
  constexpr std::size_t kDateBytesMax = 64;
  if (text.empty() || text.size() > kDateBytesMax) return std::nullopt;
  const UnixSeconds time = curl_getdate(std::string(text).c_str(), nullptr);
  if (time < 0) return std::nullopt;
  return time;
}

}  // namespace coffer::http
