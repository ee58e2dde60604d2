#include "core/store/azure_errors.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/http_date.h"
#include "core/http/retry_after.h"
#include "core/store/azure_credentials.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

constexpr std::size_t kTextShownMax = 300;
/// The service refuses requests that are 15 minutes away from its own time. Closer to that than
/// this, a refusal is explained by the clock.
constexpr UnixSeconds kSkewTold = 10 * 60;

constexpr std::string_view kCreateAgain = "make it with the provider's own tools";
constexpr std::string_view kFullHint = "make room there, or have its limit raised";
constexpr std::string_view kFirewallHint =
    "look at the account's networking and security settings in the provider's portal";

/// A code with one meaning whatever was asked.
struct Meaning {
  std::string_view code;
  ErrorCode error;
  ErrorCause cause;
  std::string_view says;
  std::string_view hint;
};

constexpr auto kPlain = ErrorCause::kOther;
constexpr auto kKeys = ErrorCause::kCredentials;
constexpr auto kBusy = ErrorCause::kThrottled;

constexpr std::array kMeanings = {
    Meaning{"BlobNotFound", ErrorCode::kNotFound, kPlain, "is not in the store", ""},
    Meaning{"BlobAlreadyExists", ErrorCode::kAlreadyExists, kPlain, "exists already", ""},
    Meaning{"ConditionNotMet", ErrorCode::kAlreadyExists, kPlain, "exists already", ""},
    Meaning{"TargetConditionNotMet", ErrorCode::kAlreadyExists, kPlain, "exists already", ""},
    // What a SAS with the right to create, and without that to write, gets for a taken name.
    Meaning{"UnauthorizedBlobOverwrite", ErrorCode::kAlreadyExists, kPlain, "exists already", ""},
    Meaning{"BlobImmutableDueToPolicy", ErrorCode::kUnsupported, kPlain,
            "a policy of the container keeps it from being changed or deleted",
            "wait until the policy's time is over, or have it changed"},
    Meaning{"SnapshotsPresent", ErrorCode::kUnsupported, kPlain,
            "it has snapshots in the store, and is not deleted before they are",
            "delete them there, and make none: a vault has snapshots of its own"},
    Meaning{"LeaseIdMissing", ErrorCode::kUnsupported, kPlain,
            "another program holds a lease on it", "break the lease there"},
    Meaning{"BlobArchived", ErrorCode::kUnavailable, kPlain,
            "the provider has moved it into an archive",
            "set its tier to hot or cool there, and take the account's lifecycle rule back"},
    Meaning{"BlobBeingRehydrated", ErrorCode::kUnavailable, kPlain,
            "the provider is bringing it back from an archive, which takes hours", ""},
    Meaning{"InvalidAuthenticationInfo", ErrorCode::kUnauthenticated, kKeys,
            "the service does not understand the key or SAS token",
            "write it down again as the provider shows it"},
    Meaning{"NoAuthenticationInformation", ErrorCode::kUnauthenticated, kKeys,
            "the service wants a key or SAS token and got none", ""},
    Meaning{"KeyBasedAuthenticationNotPermitted", ErrorCode::kUnauthenticated, kKeys,
            "the account does not allow its keys to be used",
            "allow it in the account's configuration, or take a user delegation SAS token"},
    Meaning{"AccountIsDisabled", ErrorCode::kUnauthenticated, kKeys,
            "the provider has disabled the account", "ask the provider"},
    Meaning{"InsufficientAccountPermissions", ErrorCode::kUnauthenticated, kKeys,
            "the account may be read only at the moment", "ask the provider"},
    Meaning{"AuthorizationFailure", ErrorCode::kUnauthenticated, kKeys,
            "the account does not let this machine in", kFirewallHint},
    Meaning{"AuthorizationSourceIPMismatch", ErrorCode::kUnauthenticated, kKeys,
            "the SAS token is for other network addresses", "take one for this machine's"},
    Meaning{"AuthorizationProtocolMismatch", ErrorCode::kUnauthenticated, kKeys,
            "the SAS token is for https:// alone", "name the endpoint by https://"},
    Meaning{"AuthorizationServiceMismatch", ErrorCode::kUnauthenticated, kKeys,
            "the SAS token is for other services of the account", "take one for the Blob service"},
    Meaning{"AuthorizationResourceTypeMismatch", ErrorCode::kUnauthenticated, kKeys,
            "the SAS token is for other kinds of resources",
            "take one for containers and objects, or that of the container"},
    Meaning{"ServerBusy", ErrorCode::kUnavailable, kBusy, "the store asks for fewer requests", ""},
    Meaning{"TooManyRequests", ErrorCode::kUnavailable, kBusy, "the store asks for fewer requests",
            ""},
    Meaning{"OperationTimedOut", ErrorCode::kUnavailable, kPlain, "the store took too long", ""},
    Meaning{"InternalError", ErrorCode::kUnavailable, kPlain, "the store failed inside", ""},
    Meaning{"AccountBeingCreated", ErrorCode::kUnavailable, kPlain,
            "the provider is still making the account", ""},
    Meaning{"Md5Mismatch", ErrorCode::kUnavailable, kPlain,
            "it arrived with other bytes than were sent", ""},
    Meaning{"RequestBodyTooLarge", ErrorCode::kUnsupported, kPlain,
            "it is longer than the server takes", ""},
    Meaning{"InvalidBlobTier", ErrorCode::kInvalidArgument, kPlain, "the account has no such tier",
            "take tier out of the store's URL"},
    Meaning{"FeatureVersionMismatch", ErrorCode::kUnsupported, kPlain,
            "the server does not know this version of the protocol", "check the endpoint"},
    Meaning{"UnsupportedHttpVerb", ErrorCode::kUnsupported, kPlain,
            "the server does not take such a request", "check the endpoint"},
};

std::string Shown(std::string_view text) {
  return EscapeForTerminal(text.substr(0, kTextShownMax));
}

/// As the service's documentation names the right, and as a SAS says it.
std::string_view RightFor(AzureAction action) {
  switch (action) {
    case AzureAction::kRead:
      return "read blobs (r)";
    case AzureAction::kCreate:
      return "create blobs (c)";
    case AzureAction::kList:
      return "list the container (l)";
    case AzureAction::kDelete:
      return "delete blobs (d)";
  }
  return "";
}

bool IsPage(const http::Response& response) {
  const std::string_view type = response.Find("Content-Type").value_or("");
  if (http::EqualIgnoringCase(type.substr(0, 9), "text/html")) return true;
  const std::string_view text = AsText(response.body);
  const std::size_t first = std::min(text.find_first_not_of(" \t\r\n\xef\xbb\xbf"), text.size());
  return http::EqualIgnoringCase(text.substr(first, 5), "<html") ||
         http::EqualIgnoringCase(text.substr(first, 9), "<!doctype");
}

/// What the service says itself.
struct Answer {
  std::string code;
  std::string message;
};

Answer ReadAnswer(const http::Response& response) {
  Answer answer{std::string(response.Find("x-ms-error-code").value_or("")), ""};
  const auto document = ParseXml(response.body);
  if (!document.has_value() || LocalName(RootOf(*document)) != "Error") return answer;
  const pugi::xml_node root = RootOf(*document);
  if (answer.code.empty()) answer.code = ChildText(root, "Code");
  // The first line is for people; those behind it name the request.
  const std::string message = ChildText(root, "Message");
  answer.message = message.substr(0, message.find_first_of("\r\n"));
  return answer;
}

/// Turns one answer into words.
class Explainer {
 public:
  Explainer(const http::Response& response, const AzureAsked& asked, const AzureSettings& settings,
            const AzureKeys& keys, UnixSeconds now)
      : response_(response),
        asked_(asked),
        settings_(settings),
        keys_(keys),
        now_(now),
        answer_(ReadAnswer(response)) {}

  AzureFailure Explain() const {
    AzureFailure failure{.error = Find(), .code = answer_.code};
    failure.other_keys_may_help = failure.error.cause == ErrorCause::kCredentials;
    failure.container_missing = IsContainerMissing();
    if (failure.error.code == ErrorCode::kUnavailable) {
      failure.error.retry_after = http::RetryAfterOf(response_, now_);
    }
    return failure;
  }

 private:
  [[nodiscard]] bool IsContainerMissing() const {
    return answer_.code == "ContainerNotFound" || answer_.code == "ContainerBeingDeleted" ||
           answer_.code == "ContainerDisabled" ||
           (answer_.code == "ResourceNotFound" && asked_.action == AzureAction::kList);
  }

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
    if (IsContainerMissing()) return NoContainer();
    if (IsOfAuthentication()) return NotAuthenticated();
    if (answer_.code == "AuthorizationPermissionMismatch") return NotPermitted();
    if (asked_.action == AzureAction::kCreate && IsOfWhatIsThere()) {
      return Make(ErrorCode::kAlreadyExists, "exists already");
    }
    for (const Meaning& meaning : kMeanings) {
      if (meaning.code == answer_.code) {
        return Make(meaning.error, meaning.says, meaning.hint, meaning.cause);
      }
    }
    if (answer_.code.empty() && IsPage(response_)) return Portal();
    return ByStatus();
  }

  /// azurite has one code for this and for what it does not permit, and tells them apart by words.
  [[nodiscard]] bool IsOfAuthentication() const {
    return answer_.code == "AuthenticationFailed" ||
           (answer_.code == "AuthorizationFailure" &&
            answer_.message.starts_with("Server failed to authenticate"));
  }

  /// Codes for a blob that is there and not to be replaced, whatever the condition.
  [[nodiscard]] bool IsOfWhatIsThere() const {
    return answer_.code == "LeaseIdMissing" || answer_.code == "BlobImmutableDueToPolicy" ||
           answer_.code == "SnapshotsPresent";
  }

  [[nodiscard]] Error NoContainer() const {
    if (answer_.code == "ContainerBeingDeleted") {
      return Make(ErrorCode::kNotFound,
                  Concat("container ", settings_.container, " is being deleted"), kCreateAgain);
    }
    return Make(ErrorCode::kNotFound,
                Concat("account ", settings_.account, " has no container ", settings_.container),
                Concat(kCreateAgain, ", az storage container create --account-name ",
                       settings_.account, " --name ", settings_.container,
                       ": none is made by itself. If it is elsewhere, check account and endpoint "
                       "of ",
                       settings_.description));
  }

  /// The service does not say which of them it is.
  [[nodiscard]] Error NotAuthenticated() const {
    const auto theirs = http::ParseHttpDate(response_.Find("Date").value_or(""));
    if (theirs && std::abs(*theirs - now_) > kSkewTold) {
      return Make(ErrorCode::kUnauthenticated,
                  Concat("the clocks differ too much: this machine's says ", DateTimeUtc(now_),
                         " UTC, the store's ", DateTimeUtc(*theirs), " UTC"),
                  "set this machine's clock right", kKeys);
    }
    if (!keys_.is_sas()) {
      return Make(ErrorCode::kUnauthenticated,
                  Concat("the key is none of account ", settings_.account),
                  "write down one of the account's two keys as the provider shows it; it is read "
                  "again with each attempt",
                  kKeys);
    }
    const std::string expiry = ExpiryOf(keys_);
    return Make(ErrorCode::kUnauthenticated,
                Concat("the SAS token is not valid, or no longer",
                       expiry.empty() ? "" : "; it says that it ends ", expiry),
                "take a new SAS token, and write it where the old one is: it is read again with "
                "each attempt",
                kKeys);
  }

  [[nodiscard]] Error NotPermitted() const {
    return Make(ErrorCode::kUnauthenticated,
                Concat(keys_.is_sas() ? "the SAS token" : "the key", " has no permission to ",
                       RightFor(asked_.action)),
                "take a SAS token of the container with the rights rcdl", kKeys);
  }

  [[nodiscard]] Error Portal() const {
    return Make(ErrorCode::kUnavailable,
                Concat("a web page came instead of the store's answer; does ", settings_.origin,
                       " belong to a store, or does this network want a login first?"),
                "open a page in a browser to see");
  }

  [[nodiscard]] Error ByStatus() const {
    const int status = response_.status;
    if (status < 300) {
      return Make(ErrorCode::kUnavailable,
                  Concat("the store answered with a success that is none; does ", settings_.origin,
                         " belong to Azure's Blob service?"));
    }
    if (status == 304 || status == 412) return Make(ErrorCode::kAlreadyExists, "exists already");
    if (status < 400) {
      const std::string_view to = response_.Find("Location").value_or("an unnamed place");
      return Make(ErrorCode::kUnavailable,
                  Concat("the server sends elsewhere, to ", Shown(to.substr(0, to.find('?'))),
                         ", which a signed request does not follow"),
                  "check the endpoint of the store");
    }
    if (status == 401 || status == 403) {
      return Make(ErrorCode::kUnauthenticated,
                  Concat("the store refuses to ", RightFor(asked_.action)), kFirewallHint, kKeys);
    }
    if (status == 404 || status == 409) {
      return Make(ErrorCode::kUnavailable, "the server's answer says nothing of the store",
                  "check the endpoint of the store");
    }
    if (status == 429 || status == 503) {
      return Make(ErrorCode::kUnavailable, "the store asks for fewer requests", "", kBusy);
    }
    if (status == 507 || status == 413) {
      return Make(ErrorCode::kNoSpace, "the store is full", kFullHint);
    }
    if (status == 501 || status == 405) {
      return Make(ErrorCode::kUnsupported, "the server has not got what was asked for");
    }
    if (status == 400) {
      return Make(ErrorCode::kInvalidArgument, "the store does not understand the request",
                  "check the endpoint of the store");
    }
    return Make(ErrorCode::kUnavailable, "the store failed");
  }

  const http::Response& response_;
  const AzureAsked& asked_;
  const AzureSettings& settings_;
  const AzureKeys& keys_;
  const UnixSeconds now_;
  const Answer answer_;
};

}  // namespace

bool IsAzuresSuccess(const http::Response& response, AzureAction action) {
  const bool is_own = response.status >= 200 && response.status < 300 &&
                      response.Find("x-ms-request-id").has_value() &&
                      response.Find("x-ms-version").has_value() &&
                      !response.Find("x-ms-error-code").has_value();
  switch (action) {
    case AzureAction::kRead:
      return is_own && response.Find("x-ms-blob-type").has_value();
    case AzureAction::kCreate:
    case AzureAction::kDelete:
      return is_own && response.body.empty();  // there is nothing to say but an error
    case AzureAction::kList:
      return is_own;
  }
  return false;
}

AzureFailure ExplainAzure(const http::Response& response, const AzureAsked& asked,
                          const AzureSettings& settings, const AzureKeys& keys, UnixSeconds now) {
  return Explainer(response, asked, settings, keys, now).Explain();
}

}  // namespace coffer::store
