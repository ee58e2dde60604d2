// A delta: the changes that one commit makes to the map, sorted by chunk, made without reading the
// map.
//   chunk size u32 | pack table | entry count varint (at least 1) | entries
//   entry: op u8 | distance varint from the end of the entry before (the first: from 0)
//          | clear: chunk count varint; else: piece count varint | pieces
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/format/limits.h"
#include "core/format/piece.h"

namespace coffer::format {

struct DeltaEntry {
  enum class Op : std::uint8_t {
    kOverlay = 0,  // pieces go on top of what is there
    kReplace = 1,  // pieces are all there is
    kClear = 2,    // chunk … chunk + chunk_count - 1 become holes
  };
  Op op = Op::kOverlay;
  std::uint64_t chunk = 0;
  std::uint64_t chunk_count = 1;  // kClear only; 1 otherwise
  Pieces pieces;                  // empty for kClear, not empty otherwise
  bool operator==(const DeltaEntry&) const = default;
};

struct Delta {
  std::uint32_t chunk_size = 0;
  std::vector<DeltaEntry> entries;  // ascending, not overlapping
  bool operator==(const Delta&) const = default;
};

/// The most that is written for one entry of one piece: itself, its piece, and the row that a frame
/// in a pack of its own needs in the pack table.
inline constexpr std::size_t kDeltaPartBytesMax = (1 + 5 + 1) + (3 + 16 + 3 + 3 + 4 + 4) + (32 + 4);
/// Whatever they are made of, so many entries of one piece, or so many pieces in fewer entries,
/// make a delta within its limits.
inline constexpr std::size_t kDeltaPartsMax = (kDeltaBytesMax - 64) / kDeltaPartBytesMax;
static_assert(kDeltaPartsMax <= kDeltaEntriesMax);

/// kUnsupported if no reader would take it: too many entries or bytes.
[[nodiscard]] Result<Bytes> Encode(const Delta& delta, const PackId& self);
[[nodiscard]] Result<Delta> DecodeDelta(ByteView bytes, const PackId& self,
                                        std::uint32_t self_epoch);

}  // namespace coffer::format
