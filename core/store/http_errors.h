// What an HTTP status means to a store, for the kinds whose errors are told by the status alone:
// WebDAV and plain HTTP. S3's have a code of their own in the body (s3_errors.h). Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/http/http_client.h"

namespace coffer::store {

/// The request that was refused, for people: "cannot create object packs/…".
struct HttpAsked {
  std::string_view deed;  // "create", as in "has no permission to create"
  std::string what;       // "object packs/…"
  std::string credentials_hint = {};
};

/// REQUIRES: the answer is not what was asked for.
///   401, 403      kUnauthenticated, cause kCredentials
///   404, 410      kNotFound
///   413, 507      kNoSpace
///   405, 501      kUnsupported
///   412           kAlreadyExists
///   416           kCorruption
///   429, 503      kUnavailable, cause kThrottled, with retry_after where the server gave one
///   301, 308 and other 4xx   kInvalidArgument: asking again changes nothing
///   everything else          kUnavailable, 423 and redirects for a while among them
/// What the server says in its own words is shown in part, without control characters.
[[nodiscard]] Error ExplainHttp(const http::Response& response, const HttpAsked& asked,
                                UnixSeconds now);

/// A web page: what login pages and portals answer whatever was asked.
[[nodiscard]] bool IsWebPage(const http::Response& response);

}  // namespace coffer::store
