// The same primitives by OpenSSL, to compare with. Only tests link it.
#pragma once

#include "core/base/bytes.h"

namespace coffer::openssl {

[[nodiscard]] Bytes Sha256(ByteView bytes);
[[nodiscard]] Bytes HmacSha256(ByteView key, ByteView message);
[[nodiscard]] Bytes HkdfSha256(ByteView key, ByteView salt, ByteView info, std::size_t length);
/// Ciphertext, then the 16-byte tag. REQUIRES: nonce.size() == 12.
[[nodiscard]] Bytes SealAes256Gcm(ByteView key, ByteView nonce, ByteView aad, ByteView plain);

}  // namespace coffer::openssl
