#include "core/http/origin.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "core/base/log.h"
#include "core/http/header_text.h"

namespace coffer::http {
namespace {

constexpr std::size_t kUrlBytesMax = 8000;  // what common servers take at least

struct FreeCurl {
  void operator()(char* text) const { curl_free(text); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlText = std::unique_ptr<char, FreeCurl>;
using CurlUrl = std::unique_ptr<CURLU, FreeCurl>;

std::string Part(const CurlUrl& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  const CurlText owned(text);
  return text;
}

bool IsVisible(char c) { return c > ' ' && c < '\x7f'; }

/// RFC 9110, section 5.6.2.
bool IsTokenCharacter(char c) {
  constexpr std::string_view kNone = "()<>@,;:\\\"/[]?={}";
  return IsVisible(c) && kNone.find(c) == std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenCharacter);
}

bool IsHeaderValue(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

auto Refuse(std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, Concat("cannot make an HTTP request: ", why));
}

}  // namespace

std::string Origin::ToString() const { return Concat(scheme, "://", Name()); }

std::string Origin::Name() const {
  const int own_port = scheme == "https" ? 443 : 80;
  return port == own_port ? host : Concat(host, ":", port);
}

bool Origin::IsLoopback() const {
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

Result<Origin> ParseOrigin(const std::string& url) {
  if (url.size() > kUrlBytesMax) return Refuse("its URL is too long");
  if (!std::all_of(url.begin(), url.end(), IsVisible)) {
    return Refuse("its URL has characters that are not escaped");
  }
  const CurlUrl parsed(curl_url());
  if (parsed == nullptr) return Fail(ErrorCode::kUnavailable, "out of memory for a URL");
  const CURLUcode code =
      curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_USER_NOT_ALLOWED) return Refuse("its URL has a user in it");
  if (code == CURLUE_UNSUPPORTED_SCHEME) return Refuse("its URL is neither http nor https");
  if (code != CURLUE_OK) return Refuse("its URL is malformed");
  Origin origin;
  origin.scheme = Part(parsed, CURLUPART_SCHEME);
  origin.host = Part(parsed, CURLUPART_HOST);
  std::transform(origin.host.begin(), origin.host.end(), origin.host.begin(), LowerCase);
  if (origin.scheme != "http" && origin.scheme != "https") {
    return Refuse("its URL is neither http nor https");
  }
  const std::string port = Part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const auto number = std::from_chars(port.data(), port.data() + port.size(), origin.port);
  if (origin.host.empty() || number.ec != std::errc()) return Refuse("its URL is malformed");
  return origin;
}

Result<std::string> ResolveUrl(const std::string& base, const std::string& location) {
  const CurlUrl url(curl_url());
  if (url == nullptr) return Fail(ErrorCode::kUnavailable, "out of memory for a URL");
  std::string resolved;
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) == CURLUE_OK &&
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) == CURLUE_OK) {
    resolved = Part(url, CURLUPART_URL);
  }
  if (resolved.empty()) return Fail(ErrorCode::kUnavailable, "it is no address");
  return resolved;
}

Result<Origin> CheckRequest(const Request& request) {
  if (!IsToken(request.method)) return Refuse("its method is no word");
  for (const Header& header : request.headers) {
    if (!IsToken(header.name)) return Refuse("the name of a header is no word");
    if (!IsHeaderValue(header.value)) return Refuse("the value of a header has more than a line");
  }
  if (request.user.has_value() && !IsHeaderValue(request.user->name)) {
    return Refuse("the user's name has more than a line");
  }
  return ParseOrigin(request.url);
}

}  // namespace coffer::http
