#include "core/map/pieces.h"

#include <algorithm>

namespace coffer::map {
namespace {

using format::Piece;

/// Bit b = block b of the chunk; a chunk has at most 64.
std::uint64_t MaskOf(std::uint8_t first_block, std::uint8_t block_count) {
  const std::uint64_t ones =
      block_count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << block_count) - 1;
  return ones << first_block;
}

}  // namespace

format::Pieces DropShadowed(const format::Pieces& pieces) {
  std::uint64_t covered = 0;
  format::Pieces kept;  // newest first
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    const std::uint64_t mask = MaskOf(piece->first_block, piece->block_count);
    if ((mask & ~covered) == 0) continue;
    covered |= mask;
    kept.push_back(*piece);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

format::Pieces Normalize(const format::Pieces& pieces) {
  format::Pieces kept = DropShadowed(pieces);
  std::uint64_t beneath = 0;  // blocks that some older frame holds
  std::erase_if(kept, [&beneath](const Piece& piece) {
    const std::uint64_t mask = MaskOf(piece.first_block, piece.block_count);
    if (piece.kind == Piece::Kind::kZero) return (mask & beneath) == 0;
    beneath |= mask;
    return false;
  });
  return kept;
}

bool Covers(const format::Pieces& pieces, std::uint8_t first_block, std::uint8_t block_count) {
  std::uint64_t missing = MaskOf(first_block, block_count);
  for (const Piece& piece : pieces) missing &= ~MaskOf(piece.first_block, piece.block_count);
  return missing == 0;
}

std::vector<VisibleRun> Resolve(const format::Pieces& pieces, std::uint8_t first_block,
                                std::uint8_t block_count) {
  std::vector<VisibleRun> runs;
  const int end = first_block + block_count;
  for (int block = first_block; block < end; ++block) {
    const Piece* shown = nullptr;
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
      if (block >= piece->first_block && block < piece->first_block + piece->block_count) {
        shown = piece->kind == Piece::Kind::kZero ? nullptr : &*piece;
        break;
      }
    }
    if (!runs.empty() && runs.back().piece == shown) {
      ++runs.back().block_count;
    } else {
      runs.push_back({static_cast<std::uint8_t>(block), 1, shown});
    }
  }
  return runs;
}

}  // namespace coffer::map
