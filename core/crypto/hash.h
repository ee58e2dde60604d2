// SHA-256 and HMAC-SHA-256; and MD5, for protocols that ask for it. May be called from any thread
// at once.
#pragma once

#include <array>
#include <initializer_list>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {

[[nodiscard]] ObjectHash Sha256(ByteView bytes);

using Mac = std::array<std::byte, kMacBytes>;

/// Protects nothing: Content-MD5 is how some stores want to be told what bytes to expect.
[[nodiscard]] std::array<std::byte, 16> Md5(ByteView bytes);

/// HMAC-SHA-256 over the parts one after the other. Nothing marks where a part ends: parts of
/// variable length need their lengths among the parts.
[[nodiscard]] Mac HmacSha256(const SecretBytes& key, std::initializer_list<ByteView> parts);

/// Whether `mac` is the HMAC of the parts, compared in constant time; false on a wrong length.
[[nodiscard]] bool VerifyHmacSha256(const SecretBytes& key, std::initializer_list<ByteView> parts,
                                    ByteView mac);

}  // namespace coffer::crypto
