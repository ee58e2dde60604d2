// Rules of piece lists (format/piece.h): what is visible, what has vanished.
#pragma once

#include <cstdint>

#include "core/format/piece.h"

namespace coffer::map {

/// Drops pieces that later ones cover entirely. What is left has a block of its own each, so there
/// are at most 64. For pieces that lie on others not in the list.
[[nodiscard]] format::Pieces DropShadowed(const format::Pieces& pieces);

/// DropShadowed, and drops zero pieces with nothing under them. For pieces that are all there is: a
/// chunk whose list comes out empty is a hole.
[[nodiscard]] format::Pieces Normalize(const format::Pieces& pieces);

/// Whether the pieces hide all that lies under [first_block, first_block + block_count).
[[nodiscard]] bool Covers(const format::Pieces& pieces, std::uint8_t first_block,
                          std::uint8_t block_count);

/// A run of blocks of one chunk and the piece that shows there; null = nothing does: zeros.
struct VisibleRun {
  std::uint8_t first_block;
  std::uint8_t block_count;
  const format::Piece* piece;
};

/// What [first_block, first_block + block_count) shows, in order; zero pieces come out as null.
[[nodiscard]] std::vector<VisibleRun> Resolve(const format::Pieces& pieces,
                                              std::uint8_t first_block, std::uint8_t block_count);

}  // namespace coffer::map
