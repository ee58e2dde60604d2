// Base64 (RFC 4648 section 4, with padding), as HTTP headers carry digests. The text that is made
// is an ordinary string, and so not for secrets; what is read may be a key.
#pragma once

#include <optional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace coffer {

[[nodiscard]] std::string ToBase64(ByteView bytes);
/// nullopt for what is not Base64 to the last bit.
[[nodiscard]] std::optional<SecretBytes> SecretFromBase64(ByteView text);

}  // namespace coffer
