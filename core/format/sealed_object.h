// The envelope of a sealed object that is read and written whole: heads, catalog records, trust
// files, host keys, spooled heads.
//   magic 8 | version u16 | suite u16 | key epoch u32 | salt 32 | ciphertext | tag 16
// The plaintext is padded (PadToBucket) before sealing, so that its length says little.
#pragma once

#include <array>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::format {

enum class SealedKind : std::uint8_t { kHead = 1, kCatalog = 2, kTrust = 3, kHostKey = 4 };

struct SealedObject {
  SealedKind kind;
  std::uint32_t key_epoch;
  std::array<std::byte, 32> salt;
  ByteView sealed;  // ciphertext and tag, into the encoded bytes
};

inline constexpr std::size_t kSealedPrefixBytes = 8 + 2 + 2 + 4 + 32;

/// The clear prefix alone; ciphertext and tag follow it.
[[nodiscard]] Bytes EncodeSealedPrefix(SealedKind kind, std::uint32_t key_epoch, ByteView salt);
/// kCorruption for other magic or too few bytes, kUnsupported for a newer version or other suite.
[[nodiscard]] Result<SealedObject> DecodeSealedObject(SealedKind kind, ByteView bytes);

/// `plain` ‖ 0x80 ‖ zeros up to a multiple of `bucket`; and back.
[[nodiscard]] Bytes PadToBucket(ByteView plain, std::size_t bucket);
[[nodiscard]] Result<ByteView> Unpad(ByteView padded);

}  // namespace coffer::format
