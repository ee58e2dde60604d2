// Where a frame lies. In memory a reference names its pack in full; inside pages and deltas it is
// an index into their table of packs, where index 0 means "the pack this very page or delta lies
// in" (its id is not known while it is being written).
//   pack table: count varint | {pack id 32 | key epoch u32}, numbered from 1 in the order of their
//   first use, each used, none twice
#pragma once

#include <cstdint>

#include "core/base/ids.h"

namespace coffer::format {

struct FrameRef {
  PackId pack;
  std::uint32_t key_epoch = 0;
  std::uint32_t frame = 0;          // number in the pack, from 1
  std::uint32_t offset = 0;         // bytes, in the pack
  std::uint32_t stored_length = 0;  // bytes, with the tag
  std::uint32_t plain_length = 0;   // bytes
  std::uint8_t codec = 0;           // compress::CodecId
  auto operator<=>(const FrameRef&) const = default;
};

}  // namespace coffer::format
