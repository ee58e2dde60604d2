#include "core/map/pieces.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/support/seeded_random.h"

namespace coffer::map {
namespace {

using format::Piece;
using format::Pieces;

constexpr int kBlocks = 64;

Piece Frame(int first, int count, int id) {
  Piece piece{.kind = Piece::Kind::kFrame,
              .first_block = static_cast<std::uint8_t>(first),
              .block_count = static_cast<std::uint8_t>(count)};
  piece.content.bytes[0] = static_cast<std::byte>(id);
  piece.frame.plain_length = static_cast<std::uint32_t>(count) * 4096;
  return piece;
}

Piece Zero(int first, int count) {
  return {.kind = Piece::Kind::kZero,
          .first_block = static_cast<std::uint8_t>(first),
          .block_count = static_cast<std::uint8_t>(count)};
}

/// What each block shows, the plain way: 0 = zeros, else the frame's id; -1 = whatever lies under.
std::array<int, kBlocks> Show(const Pieces& pieces, int under) {
  std::array<int, kBlocks> shown;
  shown.fill(under);
  for (const Piece& piece : pieces)
    for (int b = piece.first_block; b < piece.first_block + piece.block_count; ++b)
      shown[static_cast<std::size_t>(b)] =
          piece.kind == Piece::Kind::kZero ? 0 : static_cast<int>(piece.content.bytes[0]);
  return shown;
}

TEST(Pieces, FullCoverDropsTheBase) {
  EXPECT_EQ(Normalize({Frame(0, 16, 1), Frame(3, 1, 2), Frame(0, 16, 3)}),
            (Pieces{Frame(0, 16, 3)}));
}

TEST(Pieces, AZeroPieceWithNothingUnderItVanishes) {
  EXPECT_EQ(Normalize({Zero(4, 4)}), Pieces{});
  EXPECT_EQ(Normalize({Frame(0, 4, 1), Zero(4, 4)}), (Pieces{Frame(0, 4, 1)}));
  EXPECT_EQ(Normalize({Frame(0, 8, 1), Zero(4, 4)}), (Pieces{Frame(0, 8, 1), Zero(4, 4)}));
}

TEST(Pieces, AZeroPieceThatHidesWhatIsNotListedStays) {
  EXPECT_EQ(DropShadowed({Zero(4, 4)}), (Pieces{Zero(4, 4)}));
}

TEST(Pieces, ThinningNeverChangesWhatIsShown) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 2000; ++round) {
    Pieces pieces;
    const int count = 1 + static_cast<int>(random() % 12);
    for (int i = 0; i < count; ++i) {
      const int first = static_cast<int>(random() % kBlocks);
      const int length = 1 + static_cast<int>(random() % static_cast<unsigned>(kBlocks - first));
      pieces.push_back(random() % 4 == 0 ? Zero(first, length) : Frame(first, length, i + 1));
    }
    ASSERT_EQ(Show(Normalize(pieces), 0), Show(pieces, 0));
    ASSERT_EQ(Show(DropShadowed(pieces), -1), Show(pieces, -1));
    ASSERT_LE(DropShadowed(pieces).size(), 64u);

    const auto expected = Show(pieces, 0);
    const int first = static_cast<int>(random() % kBlocks);
    const int length = 1 + static_cast<int>(random() % static_cast<unsigned>(kBlocks - first));
    int next = first;
    for (const VisibleRun& run :
         Resolve(pieces, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(length))) {
      ASSERT_EQ(run.first_block, next);
      for (int b = 0; b < run.block_count; ++b, ++next) {
        const int shown = run.piece == nullptr ? 0 : static_cast<int>(run.piece->content.bytes[0]);
        ASSERT_EQ(shown, expected[static_cast<std::size_t>(next)]);
      }
    }
    ASSERT_EQ(next, first + length);
  }
}

}  // namespace
}  // namespace coffer::map
