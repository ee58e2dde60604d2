// The one set of algorithms this format version knows: AES-256-GCM, HKDF- and HMAC-SHA-256,
// Argon2id v1.3. Stored objects carry kSuite; any other number is refused, never negotiated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coffer::crypto {

inline constexpr std::uint16_t kSuite = 1;

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kSaltBytes = 32;
inline constexpr std::size_t kTagBytes = 16;  // what sealing adds to a plaintext
inline constexpr std::size_t kMacBytes = 32;  // HMAC-SHA-256

}  // namespace coffer::crypto
