// Where a request goes: what of a URL decides which connections, limits and credentials it shares.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/http/http_client.h"

namespace coffer::http {

struct Origin {
  std::string scheme;  // "http" or "https"
  std::string host;    // in small letters, an IPv6 address in brackets
  std::uint16_t port = 0;

  bool operator==(const Origin&) const = default;
  /// "https://host:8443", the key of tables; the scheme's own port is left out.
  [[nodiscard]] std::string ToString() const;
  /// "host:8443", for people.
  [[nodiscard]] std::string Name() const;
  /// This machine itself, by address or as "localhost": no proxy ever stands between.
  [[nodiscard]] bool IsLoopback() const;
};

/// kInvalidArgument for what is no absolute http or https URL, has a user in it, or bytes that do
/// not belong into a request's first line. No error repeats the URL: it may be signed.
Result<Origin> ParseOrigin(const std::string& url);

/// The URL that `location` means, seen from `base`. kUnavailable if it means none: servers say it.
Result<std::string> ResolveUrl(const std::string& base, const std::string& location);

/// Where `request` goes, once it is certain that none of its parts, joined with line ends, says
/// something else than each alone (names of objects are other people's text). kInvalidArgument.
Result<Origin> CheckRequest(const Request& request);

}  // namespace coffer::http
