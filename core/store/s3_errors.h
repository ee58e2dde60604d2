// What an S3 server's refusal means, and what a person can do: from the HTTP status, the code in
// its XML (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) and its headers. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/http/http_client.h"
#include "core/store/s3_settings.h"

namespace coffer::store {

/// The request that was refused.
struct S3Asked {
  std::string_view action;    // as IAM policies name it: "s3:PutObject"
  std::string what;           // for people: "object packs/…"
  bool body_expected = true;  // HEAD has none, and so no code
};

struct S3Failure {
  Error error;
  /// The keys are what it does not take: others, if there are any by now, may help.
  bool other_keys_may_help = false;
  bool bucket_missing = false;
};

/// Whether what came with a success's status is no success: S3 may fail after it has begun to
/// answer, and a portal answers everything with a page of its own.
[[nodiscard]] bool IsDisguisedFailure(const http::Response& response);

/// REQUIRES: the status is no success, or IsDisguisedFailure.
[[nodiscard]] S3Failure ExplainS3(const http::Response& response, const S3Asked& asked,
                                  const S3Settings& settings, UnixSeconds now);

/// Of one object of a batch.
[[nodiscard]] Error ExplainS3Code(const std::string& code, const std::string& message,
                                  const S3Asked& asked);

}  // namespace coffer::store
