// The key header, objects keys/<rev>: 16 key slots, each of which yields the unlock key UK to
// whoever has its password or key; the keyring sealed under UK; a MAC under UK over everything
// before it. Fixed layout, so that nothing is parsed by its own claims before the MAC holds:
//   magic "CofKeys\0" | version u16 | suite u16 | reserved u32 | vault 16 | header seq u64
//   | 16 x slot (kind u8, reserved 3, memory_kib u32, iterations u32, parallelism u32, salt 32,
//     commitment 32, sealed UK 48)
//   | keyring salt 32 | sealed keyring length u32 | sealed keyring | HMAC-SHA-256 32
#pragma once

#include <array>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/limits.h"

namespace coffer::format {

enum class SlotKind : std::uint8_t {
  kEmpty = 0,
  kPassword = 1,
  kKeyFile = 2,
  kPasswordAndKeyFile = 3,
  kRecoveryKey = 4,
};

struct KeySlot {
  SlotKind kind = SlotKind::kEmpty;
  std::uint32_t memory_kib = 0;
  std::uint32_t iterations = 0;
  std::uint32_t parallelism = 0;
  std::array<std::byte, 32> salt{};
  std::array<std::byte, 32> commitment{};
  std::array<std::byte, 48> sealed_unlock_key{};
  bool operator==(const KeySlot&) const = default;
};

struct KeyHeader {
  VaultId vault;
  std::uint64_t seq = 0;
  std::array<KeySlot, kKeySlots> slots{};
  std::array<std::byte, 32> keyring_salt{};
  Bytes sealed_keyring;
  std::array<std::byte, 32> mac{};
  bool operator==(const KeyHeader&) const = default;
};

[[nodiscard]] Bytes Encode(const KeyHeader& header);
/// The bytes that the MAC covers: all of the encoding before the MAC.
[[nodiscard]] ByteView KeyHeaderMacInput(ByteView encoded);
/// Structure only: nothing is authenticated yet. An empty slot is all zeros; a slot of an unknown
/// kind is kUnsupported.
[[nodiscard]] Result<KeyHeader> DecodeKeyHeader(ByteView bytes);

}  // namespace coffer::format
