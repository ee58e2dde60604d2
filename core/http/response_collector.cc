#include "core/http/response_collector.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/http/header_text.h"

namespace coffer::http {
namespace {

constexpr std::string_view kStrangerHint =
    "check that the address is the store's, and that no proxy or login page stands in between";

/// "HTTP/1.1 200 OK", "HTTP/2 200": 0 for anything else.
int StatusOf(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::string_view digits = line.substr(space + 1, 3);
  int status = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), status);
  const bool whole = digits.size() == 3 && parsed.ptr == digits.data() + digits.size();
  return whole && status >= 100 ? status : 0;
}

std::optional<std::uint64_t> LengthSaid(const Response& response) {
  const auto value = response.Find("Content-Length");
  if (!value.has_value()) return std::nullopt;
  const std::string_view text = Trimmed(*value);
  std::uint64_t length = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
  if (parsed.ec != std::errc()) return std::nullopt;
  return length;
}

}  // namespace

ResponseCollector::ResponseCollector(std::string host, bool has_no_body,
                                     const ResponseLimits& limits, Challenges challenges)
    : host_(std::move(host)), has_no_body_(has_no_body), limits_(limits), challenges_(challenges) {}

bool ResponseCollector::TakeHeaderLine(std::string_view line) {
  if (error_.has_value()) return false;
  header_bytes_ += line.size();
  if (header_bytes_ > limits_.header_bytes_max) {
    return Reject(ErrorCode::kUnavailable,
                  Concat("sent headers of more than ", limits_.header_bytes_max, " bytes"),
                  kStrangerHint);
  }
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) return TakeStatusLine(line);
  if (state_ == State::kBody) return true;
  return line.empty() ? EndHead() : TakeField(line);
}

bool ResponseCollector::TakeStatusLine(std::string_view line) {
  if (state_ == State::kBody) {
    const bool may_follow = challenges_ == Challenges::kAnswered &&
                            response_.status == kChallenge && response_.body.empty();
    if (!may_follow) return true;  // a trailer with an odd name
    was_challenged_ = true;
  }
  state_ = State::kHead;
  response_ = Response();
  response_.status = StatusOf(line);
  if (response_.status > 0) return true;
  return Reject(ErrorCode::kUnavailable, "does not speak HTTP", kStrangerHint);
}

bool ResponseCollector::TakeField(std::string_view line) {
  if (++headers_ > limits_.headers_max) {
    return Reject(ErrorCode::kUnavailable,
                  Concat("sent more than ", limits_.headers_max, " headers"), kStrangerHint);
  }
  if (line.front() == ' ' || line.front() == '\t') {  // a long value, folded as it was once done
    if (response_.headers.empty()) return true;
    response_.headers.back().value.append(" ").append(Trimmed(line));
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return true;
  response_.headers.push_back(
      {std::string(Trimmed(line.substr(0, colon))), std::string(Trimmed(line.substr(colon + 1)))});
  return true;
}

bool ResponseCollector::EndHead() {
  was_told_to_continue_ |= response_.status == 100;
  if (response_.status < 200) return true;
  state_ = State::kBody;
  if (has_no_body_ || response_.status == 204 || response_.status == 304) return true;
  const std::optional<std::uint64_t> length = LengthSaid(response_);
  if (!length.has_value()) return true;
  if (*length > body_limit()) return RejectBody(Concat(*length, " bytes"));
  response_.body.reserve(static_cast<std::size_t>(*length));
  return true;
}

bool ResponseCollector::TakeBody(ByteView bytes) {
  if (error_.has_value()) return false;
  const std::uint64_t size = response_.body.size();
  const bool fits = bytes.size() <= body_limit() - std::min(size, body_limit());
  if (!fits && !Planted("keep-any-body")) {
    return RejectBody(Concat("more than ", body_limit(), " bytes"));
  }
  response_.body.insert(response_.body.end(), bytes.begin(), bytes.end());
  return true;
}

std::uint64_t ResponseCollector::body_limit() const {
  const bool is_success = response_.status >= 200 && response_.status < 300;
  if (is_success) return limits_.body_bytes_max;
  return std::max(limits_.body_bytes_max, kErrorBodyBytesMax);
}

bool ResponseCollector::RejectBody(std::string_view size) {
  const bool is_success = response_.status >= 200 && response_.status < 300;
  const std::string why = Concat("answered ", response_.status, " with ", size, ", where at most ",
                                 body_limit(), " were expected");
  return Reject(is_success ? ErrorCode::kCorruption : ErrorCode::kUnavailable, why, kStrangerHint);
}

bool ResponseCollector::Reject(ErrorCode code, std::string_view why, std::string_view hint) {
  error_ = Error{code, Concat(host_, " ", why), std::string(hint)};
  response_.body = Bytes();
  return false;
}

}  // namespace coffer::http
