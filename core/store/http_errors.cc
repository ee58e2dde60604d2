#include "core/store/http_errors.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/retry_after.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

constexpr std::size_t kTextShownMax = 200;

std::string Shown(std::string_view text) {
  return EscapeForTerminal(text.substr(0, kTextShownMax));
}

/// The message of an XML error: sabre/dav's (Nextcloud, ownCloud) has one, others' seldom.
std::string OwnWords(const http::Response& response) {
  const auto document = ParseXml(response.body);
  if (!document.has_value() || LocalName(RootOf(*document)) != "error") return "";
  return Shown(ChildText(RootOf(*document), "message"));
}

/// The place that a redirect leads to, without its query: that may hold somebody's token.
std::string TargetOf(const http::Response& response) {
  const std::string_view target = response.Find("Location").value_or("an unnamed place");
  return Shown(target.substr(0, target.find_first_of("?#")));
}

class Explainer {
 public:
  Explainer(const http::Response& response, const HttpAsked& asked, UnixSeconds now)
      : response_(response), asked_(asked), now_(now), status_(response.status) {}

  [[nodiscard]] Error Explain() const {
    if (IsWebPage(response_) && (status_ < 300 || status_ == 511)) return Portal();
    if (status_ >= 300 && status_ < 400) return Redirected();
    if (status_ >= 400 && status_ < 500) return Refused();
    if (status_ >= 500) return Failed();
    return Make(ErrorCode::kUnavailable, "the server answered with a success that is none");
  }

 private:
  [[nodiscard]] Error Make(ErrorCode code, std::string_view says, std::string_view hint = {},
                           ErrorCause cause = ErrorCause::kOther) const {
    const std::string words = OwnWords(response_);
    Error error{.code = code,
                .message = Concat(asked_.what, ": ", says, " (HTTP ", status_,
                                  words.empty() ? "" : ": ", words, ")"),
                .hint = std::string(hint)};
    error.cause = cause;
    if (code == ErrorCode::kUnavailable) error.retry_after = http::RetryAfterOf(response_, now_);
    return error;
  }

  [[nodiscard]] Error Portal() const {
    return Make(ErrorCode::kUnavailable,
                "a web page came instead of the store's answer; perhaps this network, or the "
                "server, wants a login first",
                "open a page in a browser to see");
  }

  [[nodiscard]] Error Redirected() const {
    const std::string says =
        Concat("the server sends elsewhere, to ", TargetOf(response_),
               ", which is not followed: what is asked there would carry the password");
    const bool for_good = status_ == 301 || status_ == 308;
    return Make(for_good ? ErrorCode::kInvalidArgument : ErrorCode::kUnavailable, says,
                "if that is the store's place, name the store by it");
  }

  [[nodiscard]] Error Refused() const {
    switch (status_) {
      case 401:
        return Make(ErrorCode::kUnauthenticated, "the server does not take the user or password",
                    asked_.credentials_hint, ErrorCause::kCredentials);
      case 403:
        return Make(ErrorCode::kUnauthenticated,
                    Concat("the server gives no permission to ", asked_.deed, " it"),
                    "have it granted to the user, or take another one", ErrorCause::kCredentials);
      case 404:
      case 410:
        return Make(ErrorCode::kNotFound, "is not in the store");
      case 405:
        return Make(ErrorCode::kUnsupported,
                    Concat("the server has no way to ", asked_.deed, " it at this place"),
                    "check the path in the store's URL: WebDAV may begin further down");
      case 412:
        return Make(ErrorCode::kAlreadyExists, "exists already");
      case 413:
        return Make(ErrorCode::kNoSpace, "it is longer than the server takes",
                    "have the server's limit for uploads raised to 32 MiB or more");
      case 416:
        return Make(ErrorCode::kCorruption, "ends before what was to be read of it");
      case 423:
        return Make(ErrorCode::kUnavailable, "another program holds a lock on it");
      case 408:
      case 409:
      case 425:
        return Make(ErrorCode::kUnavailable, "the server could not do it now");
      case 429:
        return Make(ErrorCode::kUnavailable, "the server asks for fewer requests", "",
                    ErrorCause::kThrottled);
      default:
        return Make(ErrorCode::kInvalidArgument, "the server refuses the request",
                    "check the store's URL");
    }
  }

  [[nodiscard]] Error Failed() const {
    switch (status_) {
      case 501:
        return Make(ErrorCode::kUnsupported,
                    Concat("the server has no way to ", asked_.deed, " it"));
      case 503:
        return Make(ErrorCode::kUnavailable, "the server is overloaded or being looked after", "",
                    ErrorCause::kThrottled);
      case 507:
        return Make(ErrorCode::kNoSpace, "the store is full, or its quota used up",
                    "make room there, or have the quota raised");
      default:
        return Make(ErrorCode::kUnavailable, "the server failed");
    }
  }

  const http::Response& response_;
  const HttpAsked& asked_;
  const UnixSeconds now_;
  const int status_;
};

}  // namespace

Error ExplainHttp(const http::Response& response, const HttpAsked& asked, UnixSeconds now) {
  return Explainer(response, asked, now).Explain();
}

bool IsWebPage(const http::Response& response) {
  constexpr std::string_view kHtml = "text/html";
  const std::string_view type = response.Find("Content-Type").value_or("");
  if (!http::EqualIgnoringCase(type.substr(0, kHtml.size()), kHtml)) return false;
  const std::string_view text = AsText(response.body);
  const std::size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return first != std::string_view::npos && text[first] == '<';
}

}  // namespace coffer::store
