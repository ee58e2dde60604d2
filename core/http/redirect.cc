#include "core/http/redirect.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/http/header_text.h"

namespace coffer::http {
namespace {

constexpr const char* kPortalHint =
    "if this network asks for a login in the browser first, log in there; else check the address";

/// What another place may see of a request. What is not listed may be a credential, in whatever
/// dialect.
constexpr std::array<std::string_view, 7> kPlainHeaders = {
    "accept", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "range"};

bool IsPlain(const Header& header) {
  return std::any_of(kPlainHeaders.begin(), kPlainHeaders.end(), [&header](std::string_view name) {
    return EqualIgnoringCase(header.name, name);
  });
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// The same server by the same name, or the same one by https. Another port of one host may be
/// somebody else's.
bool IsSamePlace(const Origin& from, const Origin& to) {
  const bool upgraded = from.host == to.host && from.scheme == "http" && from.port == 80 &&
                        to.scheme == "https" && to.port == 443;
  return from == to || upgraded;
}

auto Refuse(const Origin& from, std::string_view why) {
  return Fail(ErrorCode::kUnavailable,
              Concat(from.Name(), " answered with a redirect that is not followed: ", why),
              kPortalHint);
}

}  // namespace

Result<std::optional<Request>> AfterRedirect(const Request& asked, const Response& response) {
  const auto location = response.Find("Location");
  if (!IsRedirect(response.status) || !location.has_value()) return std::nullopt;
  const bool reads = asked.method == "GET" || asked.method == "HEAD";
  const bool keeps_method = response.status == 307 || response.status == 308;
  if (!reads && !keeps_method) return std::nullopt;
  ASSIGN_OR_RETURN(const Origin from, ParseOrigin(asked.url));
  const auto url = ResolveUrl(asked.url, std::string(Trimmed(*location)));
  if (!url.has_value()) return Refuse(from, url.error().message);
  const auto to = ParseOrigin(*url);
  if (!to.has_value()) return Refuse(from, "it is no address of http or https without a user");
  if (from.scheme == "https" && to->scheme == "http") {
    return Refuse(from, "it leads from https to http");
  }
  const bool same_place = IsSamePlace(from, *to);
  if (!same_place && (!reads || !asked.unix_socket.empty())) return std::nullopt;
  Request next = asked;
  next.url = *url;
  if (!same_place && !Planted("redirect-with-credentials")) {
    next.user.reset();
    std::erase_if(next.headers, [](const Header& header) { return !IsPlain(header); });
  }
  return next;
}

}  // namespace coffer::http
