// Chunks that small writes have cut into many pieces are written whole again: when they change and
// their bytes are at hand, or after a fold, in the background. Right before all, and at a bounded
// cost.
#include <gtest/gtest.h>

#include "core/volume/volume.h"
#include "tests/volume/modelled_volume.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using store::StoreOperation;

constexpr std::uint64_t kSize = (8 << 20) + (32 << 10);
constexpr std::uint32_t kChunk = 64 * 1024;
constexpr std::size_t kNever = format::kPiecesPerChunkMax;

class ConsolidationTest : public ModelledVolume {
 protected:
  ConsolidationTest() : ModelledVolume(kSize, kChunk) {}

  void SetUp() override {
    ModelledVolume::SetUp();
    settings_.sync_bytes = 64 << 20;
    settings_.journal_bytes_max = 128 << 20;
    settings_.pack_bytes_target = 1 << 20;
    settings_.deltas_max = 32;
  }
  /// A commit for each of `count` blocks of `chunk`, none beside another.
  void WritePatches(std::uint64_t chunk, int count) {
    for (int i = 0; i < count; ++i) {
      Write(chunk * kChunk + static_cast<std::uint64_t>(i) * 2 * kBlock, kBlock);
      ASSERT_OK(volume().Sync({}));
    }
  }
  /// Frames that a machine with empty caches reads of `chunk`; it compares them too.
  std::uint64_t FramesOf(std::uint64_t chunk) {
    auto there = OpenedVolume::Open(other_, {.read_only = true, .settings = settings_});
    EXPECT_OK(there);
    if (!there.has_value()) return 0;
    Bytes out(kChunk);
    EXPECT_OK((**there)->Read(chunk * kChunk, out));
    EXPECT_FALSE(model_.FirstDifference(chunk * kChunk, out).has_value());
    return (*there)->resources().reader().reads().data_frames;
  }
  [[nodiscard]] std::size_t gets() const { return machine_.wire.count(StoreOperation::kGetRange); }
};

TEST_F(ConsolidationTest, AChunkAtHandIsWrittenWholeBeforeItHasManyPieces) {
  Open();
  Write(0, kChunk);
  ASSERT_OK(volume().Sync({}));
  ASSERT_TRUE(Holds(volume(), model_));  // now its frame is in memory
  for (int i = 0; i < 8; ++i) {
    WritePatches(0, i + 1);
    ASSERT_TRUE(Holds(volume(), model_));
  }
  EXPECT_GE(volume().status().consolidated_chunks, 2U);
  Close();
  EXPECT_LE(FramesOf(0), settings_.pieces_at_hand_max);
}

TEST_F(ConsolidationTest, WhatIsNotAtHandGetsPatchesAndNothingIsRead) {
  Open();
  Write(0, kChunk);
  Close();
  Open();
  const std::size_t before = gets();
  WritePatches(0, 7);
  EXPECT_EQ(gets(), before);
  EXPECT_EQ(volume().status().consolidated_chunks, 0U);
  Close();
  EXPECT_EQ(FramesOf(0), 8U);
}

TEST_F(ConsolidationTest, AfterAFoldChunksOfManyPiecesAreFetchedAndWrittenWholeByTheNextCommit) {
  settings_.deltas_max = 10;
  Open();
  Write(2 * kChunk, kChunk);
  Close();
  Open();  // the chunk is not at hand
  Write(2 * kChunk + kBlock, kBlock);
  WritePatches(2, 8);  // … and eleven pieces
  Write(5 * kChunk, kChunk);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().consolidated_chunks, 0U);
  while (volume().status().unfolded_deltas != 1) {
    Write(5 * kChunk, kChunk);
    ASSERT_OK(volume().Sync({}));
  }
  machine_.scheduler.RunUntilIdle();
  Write(5 * kChunk, kChunk);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().consolidated_chunks, 1U);
  EXPECT_TRUE(Holds(volume(), model_));
  Close();
  EXPECT_EQ(FramesOf(2), 1U);
}

TEST_F(ConsolidationTest, AfterAFoldTheChunkOfTheMostPiecesComesFirst) {
  settings_.deltas_max = 20;
  settings_.background_chunks_max = 1;
  Open();
  Write(2 * kChunk, 2 * kChunk);
  Close();
  Open();  // the chunks are not at hand
  WritePatches(2, 8);
  WritePatches(3, 8);
  Write(3 * kChunk + kBlock, kBlock);
  ASSERT_OK(volume().Sync({}));
  while (volume().status().unfolded_deltas != 1) {
    Write(5 * kChunk, kChunk);
    ASSERT_OK(volume().Sync({}));
  }
  machine_.scheduler.RunUntilIdle();
  Write(5 * kChunk, kChunk);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().consolidated_chunks, 1U);
  EXPECT_TRUE(Holds(volume(), model_));
  Close();
  EXPECT_EQ(FramesOf(3), 1U);
  EXPECT_EQ(FramesOf(2), 9U);
}

TEST_F(ConsolidationTest, ACommitUploadsAtMostTwiceOfItsData) {
  settings_.pieces_at_hand_max = kNever;
  Open();
  Write(0, kSize);
  ASSERT_OK(volume().Sync({}));
  for (std::uint64_t block = 0; block < 14; block += 2) {
    for (std::uint64_t chunk = 0; chunk < kSize / kChunk; ++chunk)
      Write(chunk * kChunk + block * kBlock, kBlock);
    ASSERT_OK(volume().Sync({}));
  }
  Close();
  settings_.pieces_at_hand_max = 4;
  Open();
  ASSERT_TRUE(Holds(volume(), model_));
  const std::uint64_t before = volume().status().uploaded_bytes;
  for (std::uint64_t chunk = 0; chunk < kSize / kChunk; ++chunk)
    Write(chunk * kChunk + 15 * kBlock, kBlock);
  ASSERT_OK(volume().Sync({}));
  EXPECT_GE(volume().status().consolidated_chunks, 8U);
  EXPECT_LE(volume().status().uploaded_bytes - before, (kSize / 16 + (1 << 20)) * 9 / 8);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(ConsolidationTest, TheLastChunkEndsWithTheVolume) {
  settings_.pieces_at_hand_max = 2;
  const std::uint64_t last = kSize / kChunk;
  Open();
  Write(last * kChunk, kSize - last * kChunk);
  ASSERT_OK(volume().Sync({}));
  ASSERT_TRUE(Holds(volume(), model_));
  WritePatches(last, 4);
  EXPECT_GE(volume().status().consolidated_chunks, 1U);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(ConsolidationTest, PagesThatAFoldHasWrittenNeedNoReading) {
  settings_.deltas_max = 2;
  Open();
  for (std::uint64_t chunk = 0; chunk < 100; chunk += 10) {
    Write(chunk * kChunk, kChunk);
    ASSERT_OK(volume().Sync({}));
  }
  ASSERT_LT(volume().status().unfolded_deltas, 2U);
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_EQ(opened_->resources().reader().reads().pages, 0U);
  opened_->resources().pages().Clear();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_GT(opened_->resources().reader().reads().pages, 0U);
}

TEST_F(ConsolidationTest, RandomRequestsCommitsAndReadsHoldAgainstAModel) {
  settings_.deltas_max = 4;
  settings_.pieces_at_hand_max = 2;
  settings_.pieces_background_max = 3;
  Open();
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t offset = random_.Below(12 * kChunk / kBlock) * kBlock;
      const std::uint64_t length = (1 + random_.Below(6)) * kBlock;
      if (random_.OneIn(5)) {
        ASSERT_OK(volume().Trim(offset, length, WriteFlag::kNone));
        model_.Zero(offset, length);
      } else {
        Write(offset, length);
      }
    }
    ASSERT_OK(volume().Sync({}));
    if (random_.OneIn(3)) {
      ASSERT_TRUE(Holds(volume(), model_)) << "round " << round;
    }
    if (random_.OneIn(10)) {
      Close();
      Open();
    }
  }
  Close();
  OpenOn(other_);
  EXPECT_TRUE(Holds(volume(), model_));
}

}  // namespace
}  // namespace coffer::volume
