#include "core/cache/dirty_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/support/seeded_random.h"

namespace coffer::cache {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint32_t kChunk = 16 * 1024;
constexpr std::uint64_t kBlocks = 1200;  // more than four regions of the map

RecordPtr MakeRecord(std::uint64_t seq, std::uint64_t first, std::uint64_t count) {
  auto record = std::make_shared<Record>();
  record->seq = seq;
  record->header = {.offset = first * kBlock, .length = count * kBlock};
  return record;
}

/// The newest writer of each block: 0 = not held, -1 = zeros, else the record's sequence.
using Model = std::vector<std::int64_t>;

Model Show(const DirtyMap& map) {
  Model shown(kBlocks, 0);
  map.ForEach(0, kBlocks * kBlock, [&](const DirtyMap::Extent& extent) {
    for (std::uint64_t at = extent.offset; at < extent.end; at += kBlock)
      shown[at / kBlock] =
          extent.record == nullptr ? -1 : static_cast<std::int64_t>(extent.record->seq);
  });
  return shown;
}

TEST(DirtyMap, TheNewestWriterOfEachBlockIsHeld) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    DirtyMap older(kChunk);
    DirtyMap newer(kChunk);
    Model older_model(kBlocks, 0);
    Model newer_model(kBlocks, 0);
    for (std::uint64_t seq = 1; seq < 60; ++seq) {
      DirtyMap& map = seq < 30 ? older : newer;
      Model& model = seq < 30 ? older_model : newer_model;
      const std::uint64_t first = random() % kBlocks;
      const std::uint64_t longest = random() % 2 == 0 ? 4 : kBlocks;  // many small ones beside them
      const std::uint64_t count = 1 + random() % std::min(longest, kBlocks - first);
      const bool zero = random() % 4 == 0;
      map.Insert(first * kBlock, (first + count) * kBlock,
                 zero ? nullptr : MakeRecord(seq, first, count));
      for (std::uint64_t b = first; b < first + count; ++b)
        model[b] = zero ? -1 : static_cast<std::int64_t>(seq);
      map.CheckInvariants();
      ASSERT_EQ(Show(map), model);
    }
    std::uint64_t held = kBlocks;
    std::uint64_t zeros_end = kBlocks;
    std::uint64_t data_blocks = 0;
    for (std::uint64_t b = kBlocks; b-- > 0;) {
      if (newer_model[b] != 0) held = b;
      if (newer_model[b] != -1) zeros_end = b;
      if (newer_model[b] > 0) ++data_blocks;
      ASSERT_EQ(newer.NextHeld(b * kBlock, kBlocks * kBlock), held * kBlock);
      ASSERT_EQ(newer.ZeroesUntil(b * kBlock), zeros_end * kBlock);
    }
    ASSERT_EQ(newer.data_bytes(), data_blocks * kBlock);
    std::uint64_t end = kBlocks;
    while (end > 0 && newer_model[end - 1] == 0) --end;
    ASSERT_EQ(newer.end_offset(), end * kBlock);
    older.Merge(newer);
    older.CheckInvariants();
    for (std::uint64_t b = 0; b < kBlocks; ++b)
      if (newer_model[b] != 0) older_model[b] = newer_model[b];
    ASSERT_EQ(Show(older), older_model);
  }
}

/// What a commit makes of it at most: an entry for each chunk that is not whole zeros and for each
/// run of those that are, a piece for each run of dirty blocks in the former.
struct Made {
  std::uint64_t entries = 0;
  std::uint64_t pieces = 0;
};

Made MadeOf(const Model& model) {
  constexpr std::uint64_t kChunkBlocks = kChunk / kBlock;
  Made made;
  bool cleared = false;
  for (std::uint64_t b = 0; b < kBlocks; b += kChunkBlocks) {
    const auto begin = model.begin() + static_cast<std::ptrdiff_t>(b);
    const auto end = begin + static_cast<std::ptrdiff_t>(kChunkBlocks);
    const bool zeros = std::all_of(begin, end, [](std::int64_t held) { return held == -1; });
    if (zeros && !cleared) ++made.entries;
    cleared = zeros;
    if (zeros) continue;
    std::uint64_t runs = 0;
    for (auto block = begin; block != end; ++block)
      if (*block != 0 && (block == begin || *std::prev(block) == 0)) ++runs;
    made.entries += runs > 0 ? 1 : 0;
    made.pieces += runs;
  }
  return made;
}

TEST(DirtyMap, NoDeltaHasMoreEntriesOrPiecesThanItHasParts) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    DirtyMap maps[2] = {DirtyMap(kChunk), DirtyMap(kChunk)};
    const std::uint64_t longest = 1 + random() % (random() % 2 == 0 ? 9 : kBlocks);
    const std::uint64_t zeros_one_in = 1 + random() % 4;
    for (DirtyMap& map : maps) {
      for (std::uint64_t seq = 1; seq < 50; ++seq) {
        const std::uint64_t first = random() % kBlocks;
        const std::uint64_t count = 1 + random() % std::min(longest, kBlocks - first);
        RecordPtr record = MakeRecord(seq, first, count);
        if (random() % zeros_one_in == 0) record->header.kind = format::RecordKind::kZero;
        const std::uint64_t most = map.parts() + map.PartsOf(record->header);
        const bool zero = record->header.kind == format::RecordKind::kZero;
        map.Insert(first * kBlock, (first + count) * kBlock, zero ? nullptr : record);
        map.CheckInvariants();
        ASSERT_LE(map.parts(), most);
        const Made made = MadeOf(Show(map));
        ASSERT_LE(made.entries, map.parts());
        ASSERT_LE(made.pieces, map.parts());
      }
    }
    const std::uint64_t most = maps[0].PartsWith(maps[1]);
    maps[0].Merge(maps[1]);
    ASSERT_LE(maps[0].parts(), most);
    ASSERT_LE(MadeOf(Show(maps[0])).entries, maps[0].parts());
  }
}

TEST(DirtyMap, ScatteredBlocksAreAPartEach) {
  DirtyMap map(kChunk);
  for (std::uint64_t i = 0; i < 100; ++i) {
    map.Insert(8 * i * kBlock, (8 * i + 1) * kBlock, MakeRecord(i + 1, 8 * i, 1));
    map.Insert((8 * i + 4) * kBlock, (8 * i + 5) * kBlock, nullptr);
  }
  EXPECT_EQ(map.parts(), 200u);
  EXPECT_EQ(map.zero_ranges(), 100u);
}

TEST(DirtyMap, ForEachCutsToTheRange) {
  DirtyMap map(kChunk);
  map.Insert(0, 10 * kBlock, MakeRecord(1, 0, 10));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  map.ForEach(2 * kBlock, 5 * kBlock, [&](const DirtyMap::Extent& extent) {
    seen.push_back({extent.offset, extent.end});
  });
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].first, 2 * kBlock);
  EXPECT_EQ(seen[0].second, 5 * kBlock);
}

TEST(DirtyMap, ARangeThatCrossesRegionsStaysOne) {
  DirtyMap map(kChunk);
  map.Insert(100 * kBlock, 900 * kBlock, MakeRecord(1, 100, 800));
  map.Insert(300 * kBlock, 301 * kBlock, MakeRecord(2, 300, 1));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  map.ForEach(0, kBlocks * kBlock, [&](const DirtyMap::Extent& extent) {
    seen.push_back({extent.offset / kBlock, extent.end / kBlock});
  });
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected = {
      {100, 300}, {300, 301}, {301, 900}};
  EXPECT_EQ(seen, expected);
}

TEST(DirtyMap, ATrimOfAllIsOneRangeWhateverItsLength) {
  constexpr std::uint64_t kTebibytes = std::uint64_t{16} << 40;
  DirtyMap map(kChunk);
  map.Insert(5 * kBlock, 6 * kBlock, MakeRecord(1, 5, 1));
  map.Insert(0, kTebibytes, nullptr);
  map.CheckInvariants();
  EXPECT_EQ(map.data_bytes(), 0u);
  EXPECT_EQ(map.ZeroesUntil(5 * kBlock), kTebibytes);
  int ranges = 0;
  map.ForEach(0, kTebibytes, [&](const DirtyMap::Extent&) { ++ranges; });
  EXPECT_EQ(ranges, 1);
}

}  // namespace
}  // namespace coffer::cache
