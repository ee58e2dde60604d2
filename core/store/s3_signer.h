// Signatures of S3's requests: AWS Signature Version 4 in the Authorization header, and Google's
// GOOG4-HMAC-SHA256, which is the same with other names (docs.aws.amazon.com "Authenticating
// Requests: Using the Authorization Header", cloud.google.com "V4 signing process").
//
// The SHA-256 of the body is always part of what is signed, so that nothing on the way can change
// it; "UNSIGNED-PAYLOAD" is never sent. Pure and thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"

namespace coffer::store {

/// Whose names headers and signatures have.
enum class S3Dialect { kAws, kGoogle };

struct S3Keys {
  std::string access_key;  // names the key, and is no secret
  SecretBytes secret_key;
  SecretBytes session_token = {};  // empty: the keys are not temporary

  [[nodiscard]] bool SameAs(const S3Keys& other) const;
};

using NameValues = std::vector<std::pair<std::string, std::string>>;

/// A request as it will be sent.
struct S3Call {
  std::string method;
  std::string host;         // as in the Host header: with the port unless it is the scheme's own
  std::string path;         // encoded, see UriEncode
  NameValues query = {};    // not encoded
  NameValues headers = {};  // that shall be signed too
  ByteView body = {};
  std::optional<ObjectHash> body_hash = {};  // SHA-256 of the body, where it is known already
};

struct SigningScope {
  S3Dialect dialect = S3Dialect::kAws;
  std::string region;
};

/// All headers to send but Host: those of `call`, date, SHA-256 of the body, session token, and
/// the signature.
[[nodiscard]] NameValues SignS3(const S3Call& call, const S3Keys& keys, const SigningScope& scope,
                                UnixSeconds now);

/// Percent-encoding as S3 wants it signed: all but letters, digits, "-", ".", "_" and "~", in
/// capital hex.
[[nodiscard]] std::string UriEncode(std::string_view text);
/// The same part by part: slashes stay.
[[nodiscard]] std::string UriEncodePath(std::string_view path);
/// "a=1&b=2" in the order in which it is signed.
[[nodiscard]] std::string CanonicalQuery(NameValues query);

}  // namespace coffer::store
