// What a WebDAV server tells about a collection or a resource (RFC 4918, sections 9.1 and 14.16): a
// PROPFIND's question and its "multistatus" answer. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace coffer::store {

struct WebDavEntry {
  std::string name;  // in its collection; "" for what was asked about
  bool is_collection = false;
  std::uint64_t size = 0;
  std::optional<UnixSeconds> modified = {};
};

/// Asks for what a WebDavEntry holds, and no more: a server may have a hundred properties.
[[nodiscard]] std::string_view PropfindBody();

/// Entries in the order in which they came, without what is elsewhere: servers name resources by
/// absolute URL or by path, in any escapes, collections with or without a slash. `path` is what was
/// asked about, decoded, without a slash at its end. kUnavailable for what is no answer to that,
/// one that does not tell about `path` itself included.
Result<std::vector<WebDavEntry>> ParseMultistatus(ByteView xml, std::string_view path);

/// The most bytes of such an answer: a few hundred a resource, a hundred thousand resources.
inline constexpr std::uint64_t kMultistatusBytesMax = 32 << 20;

}  // namespace coffer::store
