// A page: one node of the block map. A leaf (level 0) with index i maps the chunks 256 i … 256 i +
// 255 to pieces; a page of level n maps the same number of pages of level n - 1. Absent means hole.
//   level u8 | index varint | chunk size u32 | pack table | entry count varint (1 … 256) | entries
//   leaf entry:     slot u8 | piece count varint | pieces
//   interior entry: slot u8 | page id 16 | codec u8 | pack index varint | frame varint | offset
//                   varint | stored length varint | plain length varint
// A page without entries is not stored: the entry above it goes, or the root.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/format/limits.h"
#include "core/format/piece.h"

namespace coffer::format {

struct PageRef {
  PageId id;  // names the representation: level, index, chunk size, pieces without locations
  FrameRef frame;
  bool operator==(const PageRef&) const = default;
};

struct LeafEntry {
  std::uint8_t slot;  // chunk = index * 256 + slot
  Pieces pieces;      // at least one
  bool operator==(const LeafEntry&) const = default;
};

struct InteriorEntry {
  std::uint8_t slot;
  PageRef child;
  bool operator==(const InteriorEntry&) const = default;
};

struct Page {
  std::uint8_t level = 0;
  std::uint64_t index = 0;
  std::uint32_t chunk_size = 0;
  std::vector<LeafEntry> chunks;        // level 0; ascending slots
  std::vector<InteriorEntry> children;  // level > 0; ascending slots
  bool operator==(const Page&) const = default;
};

/// References to frames in the pack `self` are written as "this pack". Inside a pack that is still
/// being built, `self` is the null id and such references carry the null id too.
[[nodiscard]] Bytes Encode(const Page& page, const PackId& self);
[[nodiscard]] Result<Page> DecodePage(ByteView bytes, const PackId& self, std::uint32_t self_epoch);

/// The bytes whose keyed hash is the PageId: the encoding without pack table and locations.
[[nodiscard]] Bytes PageIdentity(const Page& page);

}  // namespace coffer::format
