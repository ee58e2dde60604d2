#include "core/map/overlay.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/seeded_random.h"

namespace coffer::map {
namespace {

using format::Delta;
using format::DeltaEntry;
using format::Piece;

constexpr std::uint64_t kChunks = 40;
constexpr int kBlocks = 4;
constexpr int kTree = -1;  // the tree shows through

Piece MakePiece(std::uint8_t first, std::uint8_t count, int id) {
  Piece piece{.kind = id == 0 ? Piece::Kind::kZero : Piece::Kind::kFrame,
              .first_block = first,
              .block_count = count};
  piece.content.bytes[0] = static_cast<std::byte>(id);
  return piece;
}

using Model = std::vector<int>;  // a value for each block

Model Show(const Overlay& overlay) {
  Model shown(kChunks * kBlocks, kTree);
  for (std::uint64_t chunk = 0; chunk < kChunks; ++chunk) {
    const auto change = overlay.Find(chunk);
    if (!change.has_value()) continue;
    for (int b = 0; b < kBlocks; ++b) {
      int& block = shown[chunk * kBlocks + static_cast<std::uint64_t>(b)];
      if (change->replaces) block = 0;
      for (const Piece& piece : change->pieces) {
        if (b >= piece.first_block && b < piece.first_block + piece.block_count)
          block = piece.kind == Piece::Kind::kZero ? 0 : static_cast<int>(piece.content.bytes[0]);
      }
    }
  }
  return shown;
}

TEST(Overlay, ShowsWhatDeltasInOrderSay) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    Overlay overlay;
    Model model(kChunks * kBlocks, kTree);
    int id = 0;
    for (int commit = 0; commit < 12; ++commit) {
      Delta delta{.chunk_size = kBlocks * 4096};
      for (std::uint64_t chunk = random() % 5; chunk < kChunks;) {
        DeltaEntry entry{.chunk = chunk};
        switch (random() % 3) {
          case 0: {
            entry.op = DeltaEntry::Op::kClear;
            entry.chunk_count = 1 + random() % std::min<std::uint64_t>(8, kChunks - chunk);
            for (std::uint64_t b = 0; b < entry.chunk_count * kBlocks; ++b)
              model[chunk * kBlocks + b] = 0;
            break;
          }
          case 1:
            entry.op = DeltaEntry::Op::kReplace;
            for (int b = 0; b < kBlocks; ++b)
              model[chunk * kBlocks + static_cast<std::uint64_t>(b)] = 0;
            [[fallthrough]];
          default: {
            id = id % 250 + 1;
            const auto first = static_cast<std::uint8_t>(random() % kBlocks);
            const auto count =
                static_cast<std::uint8_t>(1 + random() % static_cast<unsigned>(kBlocks - first));
            const int value = random() % 5 == 0 ? 0 : id;
            entry.pieces.push_back(MakePiece(first, count, value));
            for (int b = first; b < first + count; ++b)
              model[chunk * kBlocks + static_cast<std::uint64_t>(b)] = value;
          }
        }
        chunk += entry.chunk_count + random() % 6;
        delta.entries.push_back(std::move(entry));
      }
      overlay.Apply(delta);
      ASSERT_EQ(Show(overlay), model) << "round " << round << ", commit " << commit;
      for (std::uint64_t first = 0; first < kChunks; first += 3) {
        bool touched = false;
        bool cleared = true;
        for (std::uint64_t chunk = first; chunk < std::min(kChunks, first + 4); ++chunk) {
          const auto change = overlay.Find(chunk);
          touched |= change.has_value();
          cleared &= change.has_value() && change->replaces && change->pieces.empty();
        }
        ASSERT_EQ(overlay.Touches(first, std::min(kChunks, first + 4)), touched);
        ASSERT_TRUE(cleared || !overlay.Clears(first, std::min(kChunks, first + 4)));
      }
    }
  }
}

TEST(Overlay, ClearingATebibyteIsOneEntry) {
  Overlay overlay;
  Delta delta{.chunk_size = 65536};
  delta.entries.push_back(
      {.op = DeltaEntry::Op::kClear, .chunk = 5, .chunk_count = std::uint64_t{1} << 24});
  overlay.Apply(delta);
  EXPECT_TRUE(overlay.Clears(5, 5 + (std::uint64_t{1} << 24)));
  EXPECT_FALSE(overlay.Clears(4, 6));
  EXPECT_EQ(overlay.NextTouched(0, 100), 5u);
}

}  // namespace
}  // namespace coffer::map
