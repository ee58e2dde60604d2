// Cuts out of a line what must not stand in a log although it came in by an honest way: the
// credentials of a URL, the words of an Authorization header. The log's sink calls it for every
// line (faults.md A34). Secrets of coffer's own never come as text: they live in SecretBytes.
#pragma once

#include <string>
#include <string_view>

namespace coffer {

/// In "scheme://user:password@host/path?token=abc&socket=/run/x" the part before "@" and every
/// value of the query but that of "socket" (an NBD URI's) become "***"; so does what follows
/// "Authorization:" up to the end of the line.
[[nodiscard]] std::string Redacted(std::string_view text);

}  // namespace coffer
