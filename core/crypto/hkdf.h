// One key from another: HKDF-SHA-256 (RFC 5869). All functions are thread-safe.
#pragma once

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/key_purpose.h"

namespace coffer::crypto {

/// The key of `purpose` under `parent`: HKDF with an empty salt and info = label ‖ 0x00 ‖ context;
/// kKeyBytes long. `context` tells apart keys of one purpose and is not secret.
/// REQUIRES: parent.size() == kKeyBytes.
[[nodiscard]] SecretBytes DeriveKey(const SecretBytes& parent, KeyPurpose purpose,
                                    ByteView context = {});

/// The key of one stored object: HKDF over its salt, info = "coffer/1/object" ‖ 0x00 ‖ context.
/// Sealer's part; see there. REQUIRES: purpose_key of kKeyBytes, salt of kSaltBytes.
[[nodiscard]] SecretBytes DeriveObjectKey(const SecretBytes& purpose_key, ByteView salt,
                                          ByteView context);

/// RFC 5869 itself, extract and expand. Only for this folder
/// and its tests: everybody else names a purpose. REQUIRES: length <= 255 * 32.
[[nodiscard]] SecretBytes HkdfSha256(ByteView input_key, ByteView salt, ByteView info,
                                     std::size_t length);

}  // namespace coffer::crypto
