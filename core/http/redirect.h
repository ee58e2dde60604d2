// Where a redirect may lead (faults.md A25): never from https to http, and to another place only
// without whatever could be a credential. Pure.
#pragma once

#include <optional>

#include "core/http/http_client.h"
#include "core/http/origin.h"

namespace coffer::http {

/// The request to make next, or nothing if `response` is to be given to the caller: it is no
/// redirect, or one that a request of this method does not follow. kUnavailable for a redirect that
/// must not be followed.
Result<std::optional<Request>> AfterRedirect(const Request& asked, const Response& response);

}  // namespace coffer::http
