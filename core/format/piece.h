// Pieces: what the map holds of a chunk. A list of pieces is ordered oldest first; where they
// overlap, the later one wins. Blocks that no piece covers read as zeros.
//   head u8 (kind in bits 4-7: 0 zero, 1 frame; codec in bits 0-3, 0 for a zero piece)
//   | first block u8 | block count - 1 u8
//   | frame pieces: content id 16 | pack index varint | frame varint | offset varint
//     | stored length varint
// The plain length is not stored: it is block count x 4096.
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
