// A pack: an object of up to 16 MiB that holds many frames.
//   prefix      magic "CofPack\0" | version u16 | suite u16 | key epoch u32         16 bytes, clear
//   pack header sealed as frame 0: frame count u32 | table offset u32 | table length u32 | pack
//               length u32                                                      16 + 16 bytes
//   frames 1 … n, each ciphertext ‖ tag, back to back from offset 48
//   table       sealed as frame n+1, where the frames end: count varint | {type u8 | codec u8
//               | stored length varint | plain length varint | id 16 unless a delta | level u8 and
//               index varint if a page}
//   padding     sealed zeros as frame n+2, never left out: at least its tag. The pack is
//               PadmeLength(table end + 16) bytes long.
// Set aside: a clear footer with offsets (tells the true length), a table at the front (needs a
// second pass). The pack's id is its salt and its name: HMAC of fresh random bytes and the SHA-256
// of the compressed frames, so that a repeated random number still gives another key to other
// content. The table lets scrub and repair rebuild everything without the map; the ordinary read
// never needs it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/limits.h"

namespace coffer::format {

enum class FrameType : std::uint8_t {
  kPackHeader = 0,
  kData = 1,
  kPage = 2,
  kDelta = 3,
  kPackTable = 4,
  kPadding = 5,
};

inline constexpr std::size_t kFrameTagBytes = 16;  // what sealing adds to each
inline constexpr std::size_t kPackPrefixBytes = 16;
inline constexpr std::size_t kPackHeaderPlainBytes = 16;
inline constexpr std::size_t kPackFramesOffset =
    kPackPrefixBytes + kPackHeaderPlainBytes + kFrameTagBytes;

struct PackPrefix {
  std::uint32_t key_epoch;
  bool operator==(const PackPrefix&) const = default;
};
[[nodiscard]] Bytes Encode(const PackPrefix& prefix);
/// Reads the first kPackPrefixBytes of `bytes`.
[[nodiscard]] Result<PackPrefix> DecodePackPrefix(ByteView bytes);

struct PackHeader {
  std::uint32_t frame_count;   // data, pages and deltas; at least one
  std::uint32_t table_offset;  // where the frames end
  std::uint32_t table_length;  // sealed
  std::uint32_t pack_length;   // of the whole object, padding included
  bool operator==(const PackHeader&) const = default;
};
[[nodiscard]] Bytes Encode(const PackHeader& header);
/// Checks the offsets against each other and `pack_bytes`, the length of the object as the store
/// has it.
[[nodiscard]] Result<PackHeader> DecodePackHeader(ByteView bytes, std::uint64_t pack_bytes);

struct PackTableEntry {
  FrameType type;               // kData, kPage or kDelta
  std::uint8_t codec;           // at most 15
  std::uint32_t stored_length;  // with tag
  std::uint32_t plain_length;
  ContentId id;             // content id, page id, or zeros for a delta
  std::uint8_t level = 0;   // kPage only
  std::uint64_t index = 0;  // kPage: page index
  bool operator==(const PackTableEntry&) const = default;
};
[[nodiscard]] Bytes Encode(const std::vector<PackTableEntry>& table);
/// The caller compares count and sum of stored lengths with the pack header.
[[nodiscard]] Result<std::vector<PackTableEntry>> DecodePackTable(ByteView bytes);

/// The padded length of `length` bytes (Padmé: at most 12 %, about 3 % at 8 MiB).
/// Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019, section 4.
[[nodiscard]] std::uint64_t PadmeLength(std::uint64_t length);

}  // namespace coffer::format
