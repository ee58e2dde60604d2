#include "core/store/s3_errors.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/retry_after.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

constexpr std::size_t kTextShownMax = 300;

/// A code with one meaning whatever was asked.
struct Meaning {
  std::string_view code;
  ErrorCode error;
  ErrorCause cause;
  std::string_view says;
  std::string_view hint;
};

constexpr std::string_view kKeysHint =
    "check the keys: environment, ~/.aws/credentials, or the file that credentials_file names; "
    "they are read again with each attempt";
constexpr std::string_view kFullHint = "make room there, or have its limit raised";

constexpr std::array kMeanings = {
    Meaning{"NoSuchKey", ErrorCode::kNotFound, ErrorCause::kOther, "is not in the store", ""},
    Meaning{"SignatureDoesNotMatch", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the secret key does not belong to the access key", kKeysHint},
    Meaning{"InvalidAccessKeyId", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the store does not know the access key", kKeysHint},
    Meaning{"ExpiredToken", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the temporary keys have expired", kKeysHint},
    Meaning{"InvalidToken", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the session token is not valid", kKeysHint},
    Meaning{"TokenRefreshRequired", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the session token must be renewed", kKeysHint},
    Meaning{"InvalidSecurity", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the keys are not valid", kKeysHint},
    Meaning{"AccountProblem", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "there is a problem with the provider's account", "ask the provider"},
    Meaning{"AllAccessDisabled", ErrorCode::kUnauthenticated, ErrorCause::kCredentials,
            "the provider has disabled access", "ask the provider"},
    Meaning{"SlowDown", ErrorCode::kUnavailable, ErrorCause::kThrottled,
            "the store asks for fewer requests", ""},
    Meaning{"ServiceUnavailable", ErrorCode::kUnavailable, ErrorCause::kThrottled,
            "the store is overloaded", ""},
    Meaning{"RequestLimitExceeded", ErrorCode::kUnavailable, ErrorCause::kThrottled,
            "the store asks for fewer requests", ""},
    Meaning{"TooManyRequests", ErrorCode::kUnavailable, ErrorCause::kThrottled,
            "the store asks for fewer requests", ""},
    Meaning{"BandwidthLimitExceeded", ErrorCode::kUnavailable, ErrorCause::kThrottled,
            "the store asks for less bandwidth", ""},
    Meaning{"QuotaExceeded", ErrorCode::kNoSpace, ErrorCause::kOther,
            "the store's quota is used up", kFullHint},
    Meaning{"InsufficientCapacity", ErrorCode::kNoSpace, ErrorCause::kOther, "the store is full",
            kFullHint},
    Meaning{"XMinioStorageFull", ErrorCode::kNoSpace, ErrorCause::kOther, "the store is full",
            kFullHint},
    Meaning{"XMinioAdminBucketQuotaExceeded", ErrorCode::kNoSpace, ErrorCause::kOther,
            "the bucket's quota is used up", kFullHint},
    Meaning{"StorageCapExceeded", ErrorCode::kNoSpace, ErrorCause::kOther,
            "the account's storage cap is reached", kFullHint},
    Meaning{"NotImplemented", ErrorCode::kUnsupported, ErrorCause::kOther,
            "the server has not got what was asked for", ""},
    Meaning{"PreconditionFailed", ErrorCode::kAlreadyExists, ErrorCause::kOther, "exists already",
            ""},
    Meaning{"ConditionalRequestConflict", ErrorCode::kUnavailable, ErrorCause::kOther,
            "another request for it is under way", ""},
    Meaning{"OperationAborted", ErrorCode::kUnavailable, ErrorCause::kOther,
            "another request for it is under way", ""},
    Meaning{"BadDigest", ErrorCode::kUnavailable, ErrorCause::kOther,
            "it arrived with other bytes than were sent", ""},
    Meaning{"XAmzContentSHA256Mismatch", ErrorCode::kUnavailable, ErrorCause::kOther,
            "it arrived with other bytes than were sent", ""},
    Meaning{"XAmzContentChecksumMismatch", ErrorCode::kUnavailable, ErrorCause::kOther,
            "it arrived with other bytes than were sent", ""},
    Meaning{"IncompleteBody", ErrorCode::kUnavailable, ErrorCause::kOther, "not all of it arrived",
            ""},
    Meaning{"RequestTimeout", ErrorCode::kUnavailable, ErrorCause::kOther,
            "the store waited too long for the request", ""},
    Meaning{"InternalError", ErrorCode::kUnavailable, ErrorCause::kOther, "the store failed inside",
            ""},
    Meaning{"InvalidObjectState", ErrorCode::kUnavailable, ErrorCause::kOther,
            "the provider has moved it into an archive",
            "restore it there, and take the bucket's lifecycle rule back"},
    Meaning{"InvalidStorageClass", ErrorCode::kInvalidArgument, ErrorCause::kOther,
            "the store has no such storage class", "take storage_class out of the store's URL"},
    Meaning{"MethodNotAllowed", ErrorCode::kUnsupported, ErrorCause::kOther,
            "the server does not take such a request", "check the store's endpoint"},
};

bool KeysAreWrong(std::string_view code) {
  static constexpr std::array kCodes = {"SignatureDoesNotMatch", "InvalidAccessKeyId",
                                        "ExpiredToken",          "InvalidToken",
                                        "TokenRefreshRequired",  "InvalidSecurity"};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

std::string Shown(std::string_view text) {
  return EscapeForTerminal(text.substr(0, kTextShownMax));
}

/// What the body says, if it is S3's.
struct Answer {
  std::string code;
  std::string message;
  std::string region;
  std::string endpoint;
  std::string server_time;
};

Answer ReadAnswer(const http::Response& response) {
  const auto document = ParseXml(response.body);
  if (!document.has_value() || LocalName(RootOf(*document)) != "Error") return {};
  const pugi::xml_node root = RootOf(*document);
  Answer answer{ChildText(root, "Code"), ChildText(root, "Message"), ChildText(root, "Region"),
                ChildText(root, "Endpoint"), ChildText(root, "ServerTime")};
  return answer;
}

bool IsHtml(const http::Response& response) {
  const std::string_view type = response.Find("Content-Type").value_or("");
  if (http::EqualIgnoringCase(type.substr(0, 9), "text/html")) return true;
  std::string_view text = AsText(response.body);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\r' ||
                           text.front() == '\t')) {
    text.remove_prefix(1);
  }
  return http::EqualIgnoringCase(text.substr(0, 5), "<html") ||
         http::EqualIgnoringCase(text.substr(0, 9), "<!doctype");
}

/// Turns one answer into words.
class Explainer {
 public:
  Explainer(const http::Response& response, const S3Asked& asked, const S3Settings& settings,
            UnixSeconds now)
      : response_(response),
        asked_(asked),
        settings_(settings),
        now_(now),
        answer_(ReadAnswer(response)) {}

  S3Failure Explain() const {
    S3Failure failure{.error = Find(),
                      .other_keys_may_help = KeysAreWrong(answer_.code) || response_.status == 401};
    failure.bucket_missing = answer_.code == "NoSuchBucket";
    if (failure.error.code == ErrorCode::kUnavailable) {
      failure.error.retry_after = http::RetryAfterOf(response_, now_);
    }
    return failure;
  }

 private:
  [[nodiscard]] Error Make(ErrorCode code, std::string_view says, std::string_view hint = {},
                           ErrorCause cause = ErrorCause::kOther) const {
    const std::string own = answer_.message.empty() ? "" : Concat(": ", Shown(answer_.message));
    const std::string named = answer_.code.empty() ? "" : Concat(Shown(answer_.code), ", ");
    Error error{.code = code,
                .message = Concat(asked_.what, ": ", says, " (", named, "HTTP ", response_.status,
                                  own, ")"),
                .hint = std::string(hint)};
    error.cause = cause;
    return error;
  }

  [[nodiscard]] Error Find() const {
    if (answer_.code == "NoSuchBucket") return NoBucket();
    if (answer_.code == "RequestTimeTooSkewed") return Skew();
    if (const std::string region = RightRegion(); !region.empty()) return WrongRegion(region);
    if (answer_.code == "AccessDenied" || answer_.code == "AccessForbidden") return Denied();
    for (const Meaning& meaning : kMeanings) {
      if (meaning.code == answer_.code) {
        return Make(meaning.error, meaning.says, meaning.hint, meaning.cause);
      }
    }
    if (answer_.code.empty() && IsHtml(response_)) return Portal();
    return ByStatus();
  }

  [[nodiscard]] Error NoBucket() const {
    return Make(ErrorCode::kNotFound, Concat("there is no bucket ", settings_.bucket),
                Concat("make the bucket with the provider's own tools: none is made by itself. "
                       "If it is elsewhere, check region and endpoint of ",
                       settings_.description));
  }

  [[nodiscard]] Error Skew() const {
    std::string theirs = answer_.server_time;
    if (theirs.empty()) theirs = response_.Find("Date").value_or("another time");
    return Make(ErrorCode::kUnauthenticated,
                Concat("the clocks differ too much: this machine's says ", DateTimeUtc(now_),
                       " UTC, the store's ", Shown(theirs)),
                "set this machine's clock right", ErrorCause::kCredentials);
  }

  /// The one that the server names where it is another than was asked in, or "".
  [[nodiscard]] std::string RightRegion() const {
    const bool may_be = answer_.code == "AuthorizationHeaderMalformed" ||
                        answer_.code == "PermanentRedirect" ||
                        answer_.code == "TemporaryRedirect" ||
                        answer_.code == "IllegalLocationConstraintException" ||
                        response_.status == 301 || response_.status == 307;
    if (!may_be) return "";
    std::string region = answer_.region;
    if (region.empty()) region = response_.Find("x-amz-bucket-region").value_or("");
    return region == settings_.scope.region ? "" : region;
  }

  [[nodiscard]] Error WrongRegion(const std::string& region) const {
    return Make(ErrorCode::kInvalidArgument,
                Concat("bucket ", settings_.bucket, " is in region ", Shown(region),
                       ", and was "
                       "asked for in ",
                       settings_.scope.region),
                Concat("name the store with region=", Shown(region)));
  }

  [[nodiscard]] Error Denied() const {
    const bool reads = asked_.action == "s3:GetObject";
    return Make(ErrorCode::kUnauthenticated,
                Concat("the keys have no permission for ", asked_.action),
                Concat("grant it to them",
                       reads ? " and s3:ListBucket too: without it, what is not there looks like "
                               "what is forbidden"
                             : ""),
                ErrorCause::kCredentials);
  }

  [[nodiscard]] Error Portal() const {
    return Make(ErrorCode::kUnavailable,
                Concat("a web page came instead of the store's answer; does ", settings_.host,
                       " belong to a store, or does this network want a login first?"),
                "open a page in a browser to see");
  }

  [[nodiscard]] Error ByStatus() const {
    const int status = response_.status;
    if (status >= 200 && status < 300) {
      return Make(ErrorCode::kUnavailable, "the store answered with a success that is none");
    }
    if (status == 304 || status == 412) return Make(ErrorCode::kAlreadyExists, "exists already");
    if (status >= 300 && status < 400) {
      const std::string to(response_.Find("Location").value_or(answer_.endpoint));
      return Make(ErrorCode::kUnavailable,
                  Concat("the server sends elsewhere, ", Shown(to),
                         ", which a signed request does not follow"),
                  "check endpoint and region of the store");
    }
    if (status == 404 && !asked_.body_expected) {
      return Make(ErrorCode::kNotFound, "is not in the store");
    }
    if (status == 401 || status == 403) {
      return Make(ErrorCode::kUnauthenticated,
                  Concat("the store refuses the keys for ", asked_.action), kKeysHint,
                  ErrorCause::kCredentials);
    }
    if (status == 429 || status == 503) {
      return Make(ErrorCode::kUnavailable, "the store asks for fewer requests", "",
                  ErrorCause::kThrottled);
    }
    if (status == 507 || status == 413) {
      return Make(ErrorCode::kNoSpace, "the store is full", kFullHint);
    }
    if (status == 501 || status == 405) {
      return Make(ErrorCode::kUnsupported, "the server has not got what was asked for");
    }
    if (status == 400) {
      return Make(ErrorCode::kInvalidArgument, "the store does not understand the request",
                  "check endpoint and region of the store");
    }
    return Make(ErrorCode::kUnavailable, "the store failed");
  }

  const http::Response& response_;
  const S3Asked& asked_;
  const S3Settings& settings_;
  const UnixSeconds now_;
  const Answer answer_;
};

}  // namespace

bool IsDisguisedFailure(const http::Response& response) {
  // As which objects are put: their bytes say nothing.
  if (response.Find("Content-Type") == std::string_view("application/octet-stream")) return false;
  if (IsHtml(response)) return true;
  std::string_view text = AsText(response.body);
  if (text.starts_with("<?xml")) text.remove_prefix(std::min(text.size(), text.find("?>")));
  const std::size_t open = text.find('<');
  return open != std::string_view::npos && open < 8 && text.substr(open).starts_with("<Error");
}

S3Failure ExplainS3(const http::Response& response, const S3Asked& asked,
                    const S3Settings& settings, UnixSeconds now) {
  return Explainer(response, asked, settings, now).Explain();
}

Error ExplainS3Code(const std::string& code, const std::string& message, const S3Asked& asked) {
  const auto known = std::ranges::find(kMeanings, code, &Meaning::code);
  const std::string own =
      Concat(" (", Shown(code), message.empty() ? "" : ": ", Shown(message), ")");
  if (known != kMeanings.end()) {
    Error error{.code = known->error,
                .message = Concat(asked.what, ": ", known->says, own),
                .hint = std::string(known->hint)};
    error.cause = known->cause;
    return error;
  }
  const bool denied = code == "AccessDenied";
  Error error{.code = denied ? ErrorCode::kUnauthenticated : ErrorCode::kUnavailable,
              .message = Concat(asked.what, ": ",
                                denied ? Concat("the keys have no permission for ", asked.action)
                                       : std::string("the store refused"),
                                own),
              .hint = denied ? "grant it to them" : ""};
  if (denied) error.cause = ErrorCause::kCredentials;
  return error;
}

}  // namespace coffer::store
