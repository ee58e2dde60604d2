#include "core/http/curl_error.h"

#include <cerrno>
#include <system_error>

#include "core/base/log.h"
#include "core/base/redact.h"

namespace coffer::http {
namespace {

constexpr const char* kNetworkHint = "check this machine's network; what waits is tried again";
constexpr const char* kPortalHint =
    "if this network asks for a login in the browser first, log in there; else check the address";
constexpr const char* kTrustHint =
    "if the server has a certificate of its own, name its authority's file in ca_file";

/// Of OpenSSL's x509_vfy.h, whose values are part of its interface.
enum VerifyResult : long {
  kUnspecified = 1,  // curl's beginning: it looks at the name first
  kNotYetValid = 9,
  kExpired = 10,
  kSelfSigned = 18,
  kSelfSignedInChain = 19,
  kUnknownIssuer = 20,
  kUnknownLeafIssuer = 21,
  kAnotherName = 62,
  kAnotherAddress = 64,
};

std::string Shown(const std::string& detail) {
  constexpr std::size_t kBytesMax = 200;
  return EscapeForTerminal(Redacted(detail.substr(0, kBytesMax)));
}

Error Unavailable(std::string message, std::string hint) {
  return {ErrorCode::kUnavailable, std::move(message), std::move(hint)};
}

Error Untrusted(std::string message, std::string hint) {
  return {ErrorCode::kUnauthenticated, std::move(message), std::move(hint),
          ErrorCause::kCredentials};
}

Error CannotConnect(const CurlFailure& failure) {
  switch (failure.os_error) {
    case ECONNREFUSED:
      return Unavailable(failure.host + " refused the connection",
                         "check that the server runs, and the port of the address");
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
      return Unavailable("there is no way to " + failure.host + " from here", kNetworkHint);
    default: {
      const std::string why =
          failure.os_error != 0
              ? std::generic_category().message(static_cast<int>(failure.os_error))
              : Shown(failure.detail);
      return Unavailable(Concat("cannot connect to ", failure.host, ": ", why), kNetworkHint);
    }
  }
}

Error NotTrusted(const CurlFailure& failure) {
  const std::string& host = failure.host;
  switch (failure.verify_result) {
    case 0:
    case kUnspecified:
    case kAnotherName:
    case kAnotherAddress:
      return Untrusted(host + " shows the certificate of another name", kPortalHint);
    case kNotYetValid:
    case kExpired:
      return Untrusted(
          Concat("the certificate of ", host,
                 failure.verify_result == kExpired ? " has expired" : " is not valid yet"),
          "check this machine's clock; if it is right, the server needs a new one");
    case kSelfSigned:
    case kSelfSignedInChain:
    case kUnknownIssuer:
    case kUnknownLeafIssuer:
      return Untrusted(
          "the certificate of " + host + " is of an authority that is not trusted here",
          kTrustHint);
    default:
      return Untrusted(
          Concat("the certificate of ", host, " is not trusted: ", Shown(failure.detail)),
          kTrustHint);
  }
}

Error NoProxy(const CurlFailure& failure) {
  const std::string why = failure.proxy_status != 0
                              ? Concat("answered ", failure.proxy_status)
                              : Concat("does not work: ", Shown(failure.detail));
  return Unavailable(Concat("the proxy on the way to ", failure.host, " ", why),
                     "check the environment's http_proxy, https_proxy, all_proxy and no_proxy");
}

Error TimedOut(const CurlFailure& failure) {
  return Unavailable(
      Concat(failure.host, " does not answer: no connection within ", failure.connect_max),
      kNetworkHint);
}

Error NoHttp(const CurlFailure& failure) {
  return Unavailable(failure.host + " does not speak HTTP",
                     "check the port of the address, and whether it is http or https");
}

Error CutShort(const CurlFailure& failure) {
  return Unavailable(
      Concat(failure.host, failure.has_head ? " broke the connection off within its answer"
                                            : " broke the connection off before it answered"),
      kNetworkHint);
}

}  // namespace

Error ErrorFromCurl(const CurlFailure& failure) {
  const std::string& host = failure.host;
  if (failure.proxy_status >= 300) return NoProxy(failure);
  switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return Unavailable("the name of " + host + " is not found",
                         "check the address, and this machine's network and DNS");
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      return NoProxy(failure);
    case CURLE_COULDNT_CONNECT:
      return CannotConnect(failure);
    case CURLE_OPERATION_TIMEDOUT:
      return TimedOut(failure);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return NotTrusted(failure);
    case CURLE_SSL_CACERT_BADFILE:
      return Untrusted("the file of trusted certificates cannot be read: " + Shown(failure.detail),
                       "check ca_file, and the environment's CURL_CA_BUNDLE, SSL_CERT_FILE and "
                       "SSL_CERT_DIR");
    case CURLE_SSL_CONNECT_ERROR:
      return Unavailable(Concat("no TLS with ", host, ": ", Shown(failure.detail)),
                         "check the port of the address, and whether it is http or https; TLS 1.2 "
                         "is the least");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return NoHttp(failure);
    case CURLE_OUT_OF_MEMORY:  // curl's word for a line of more than 100 KB, too
      if (failure.has_head) break;
      return Unavailable(host + " sent a header that is too long, or memory is short",
                         "check the address");
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SEND_FAIL_REWIND:
      return CutShort(failure);
    case CURLE_URL_MALFORMAT:
      return {ErrorCode::kInvalidArgument, "cannot make an HTTP request: its URL is malformed"};
    default:
      break;
  }
  return Unavailable(Concat("the request to ", host, " failed: ", curl_easy_strerror(failure.code)),
                     kNetworkHint);
}

}  // namespace coffer::http
