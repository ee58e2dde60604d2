// One HTTP request and its answer, as the kinds of stores see it. An interface, so that kinds can
// be tested without sockets; HttpEngine is the real one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer {
struct RequestContext;
}

namespace coffer::http {

struct Header {
  std::string name;
  std::string value;
};

/// Answers what a server asks for, Basic or Digest. Never sent to another host.
struct User {
  std::string name;
  const SecretBytes* password;  // outlives the request
};

struct Request {
  std::string method = "GET";
  std::string url;  // absolute, http or https, without a user; sent as it is, escapes included
  std::vector<Header> headers;
  ByteView body;                           // lives until Perform returns; sent without a copy
  std::uint64_t body_bytes_max = 1 << 20;  // of the answer, see HttpClient
  /// How many redirects are followed. None on signed requests: a signature is for one place.
  int redirects_max = 0;
  std::optional<User> user;
  /// Asked through this Unix socket instead of the host that `url` names. Empty: none.
  std::string unix_socket = {};
  /// Certificates (PEM) that are trusted for this request, and no others. Empty: the engine's.
  std::string ca_file = {};
};

struct Response {
  int status = 0;
  std::vector<Header> headers;  // as they came; values may hold any byte but CR, LF and NUL
  Bytes body;

  /// The value of the first header of that name, in any spelling of capitals.
  [[nodiscard]] std::optional<std::string_view> Find(std::string_view name) const;
};

/// Thread-safe.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  /// Blocks the caller until the response is whole; any HTTP status is a success here, and
  /// "Retry-After" is the caller's to read (retry_after.h). An attempt that fails may have been
  /// carried out by the server. Errors name the host, what happened and what to do:
  ///   kUnavailable      what a network or a server does: not found, refused, cut short, stalled,
  ///   not
  ///                     HTTP at all, a header beyond its limits; the context's deadline
  ///   kCancelled        the context's stop was requested
  ///   kCorruption       a 2xx body beyond body_bytes_max; it is not kept, nor read if its length
  ///                     was announced. What comes with an error's status may be longer
  ///                     (kErrorBodyBytesMax); beyond that it is kUnavailable
  ///   kInvalidArgument  a request that cannot be asked
  ///   kUnauthenticated  with the cause kCredentials: a TLS certificate or name is not trusted
  virtual Result<Response> Perform(const RequestContext& context, const Request& request) = 0;
};

/// XML and HTML that explain an error fit, whatever a caller expects of a success.
inline constexpr std::uint64_t kErrorBodyBytesMax = 256 << 10;

}  // namespace coffer::http
