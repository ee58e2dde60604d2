// Pieces: what the map holds of a chunk. A list of pieces is ordered oldest first; where they
// overlap, the later one wins. Blocks that no piece covers read as zeros.
#pragma once

#include <cstdint>
#include <vector>

#include "core/format/frame_ref.h"

namespace coffer::format {

struct Piece {
  enum class Kind : std::uint8_t { kFrame, kZero };
  Kind kind = Kind::kZero;
  std::uint8_t first_block = 0;  // in the chunk
  std::uint8_t block_count = 0;  // 1 … chunk_size / 4096
  ContentId content;             // kFrame only, as is `frame`
  FrameRef frame;                // frame.plain_length == block_count * 4096
  bool operator==(const Piece&) const = default;
};
using Pieces = std::vector<Piece>;

}  // namespace coffer::format
