// The one table of associated data: what each kind of sealed bytes is bound to (docs/FORMAT.md,
// "Associated data"). Fixed layouts, little-endian, no lengths left open.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/ids.h"
#include "core/format/pack.h"
#include "core/format/sealed_object.h"

namespace coffer::format {

/// Frames: suite u16 | type u8 | codec u8 | vault 16 | key epoch u32 | pack 32 | frame u32
/// | plain length u32 | stored length u32 | level u8 | index u64. No volume: forks and dedup share.
struct FrameContext {
  FrameType type;
  std::uint8_t codec;
  VaultId vault;
  std::uint32_t key_epoch;
  PackId pack;
  std::uint32_t frame;
  std::uint32_t plain_length;
  std::uint32_t stored_length;
  std::uint8_t level = 0;   // pages
  std::uint64_t index = 0;  // pages
};
inline constexpr std::size_t kFrameAadBytes = 2 + 1 + 1 + 16 + 4 + 32 + 4 + 4 + 4 + 1 + 8;
[[nodiscard]] std::array<std::byte, kFrameAadBytes> FrameAad(const FrameContext& context);

/// Sealed objects: suite u16 | version u16 | kind u8 | key epoch u32 | vault 16 | volume 16 (zeros
/// unless a head) | seq u64 (0 for trust and host key).
inline constexpr std::size_t kSealedAadBytes = 2 + 2 + 1 + 4 + 16 + 16 + 8;
[[nodiscard]] std::array<std::byte, kSealedAadBytes> SealedAad(SealedKind kind,
                                                               std::uint32_t key_epoch,
                                                               const VaultId& vault,
                                                               const VolumeId& volume,
                                                               std::uint64_t seq);

/// Journal segment headers and records: suite u16 | what u8 (0 header, 1 record) | stream 16 (zeros
/// in a header, where it is inside) | segment u64 | seq u64 (0 in a header).
inline constexpr std::size_t kJournalAadBytes = 2 + 1 + 16 + 8 + 8;
[[nodiscard]] std::array<std::byte, kJournalAadBytes> SegmentHeaderAad(std::uint64_t segment);
[[nodiscard]] std::array<std::byte, kJournalAadBytes> RecordAad(const StreamId& stream,
                                                                std::uint64_t segment,
                                                                std::uint64_t seq);

/// The keyring: suite u16 | vault 16 | header seq u64.
inline constexpr std::size_t kKeyringAadBytes = 2 + 16 + 8;
[[nodiscard]] std::array<std::byte, kKeyringAadBytes> KeyringAad(const VaultId& vault,
                                                                 std::uint64_t header_seq);

}  // namespace coffer::format
