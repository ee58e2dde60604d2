// Any amount of changes becomes commits within the format's limits: written, merged while the store
// is away, or replayed. The limits are the format's, made small by the settings.
#include <gtest/gtest.h>

#include "core/base/failpoint.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using std::chrono::seconds;

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kChunk = 16 * 1024;
constexpr std::uint64_t kSize = 64 << 20;
constexpr std::uint64_t kPartsMax = 100;

class CommitLimits : public testing::Test {
 protected:
  CommitLimits() : machine_(provider_, seed_), random_(seed_ + 1) {
    settings_.journal_bytes_max = 64 << 20;
    settings_.generation_parts_max = kPartsMax;
    settings_.deltas_max = 32;
    settings_.sync_bytes = 32 << 20;
    settings_.background_chunks_max = 0;
  }
  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = kChunk}));
    Open();
  }
  /// A volume of its own, instead of the usual one.
  void OpenOther(std::uint64_t size, std::uint32_t chunk_size) {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(auto vault, machine_.Unlock());
    ASSERT_OK(vault->CreateVolume({.name = "other", .size = size, .chunk_size = chunk_size}));
    ASSERT_OK_AND_ASSIGN(opened_,
                         OpenedVolume::OpenIn(std::move(vault), {.settings = settings_}, "other"));
    model_ = ByteModel(size);
  }
  void Open() {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.settings = settings_}));
  }
  Volume& volume() { return **opened_; }

  void WriteBlock(std::uint64_t chunk) {
    const Bytes data = random_.NewBytes(kBlock);
    ASSERT_OK(volume().Write(chunk * kChunk, data, WriteFlag::kNone));
    model_.Write(chunk * kChunk, data);
  }
  void TrimBlock(std::uint64_t chunk) {
    ASSERT_OK(volume().Trim(chunk * kChunk + kBlock, kBlock, WriteFlag::kNone));
    model_.Zero(chunk * kChunk + kBlock, kBlock);
  }
  /// Closes, and holds every delta that the head names against the limits.
  void ExpectCommits(std::size_t least) {
    ASSERT_OK(volume().Sync({}));
    ASSERT_TRUE(Holds(volume(), model_));
    EXPECT_GE(volume().status().commits, least);
    EXPECT_EQ(volume().status().behind_bytes, 0u);
    ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(auto chain, vault::OpenPhotos(machine_));
    ASSERT_OK_AND_ASSIGN(const auto newest, chain.chain->Load());
    EXPECT_GE(newest.head.map.deltas.size(), std::min<std::size_t>(least, 32));
    for (const format::DeltaRef& delta : newest.head.map.deltas)
      EXPECT_LE(delta.entry_count, kPartsMax);
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Settings settings_ = SmallSettings();
  ByteModel model_{kSize};
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(CommitLimits, ScatteredWritesAreCutIntoCommitsThatFit) {
  for (std::uint64_t i = 0; i < 1000; ++i) WriteBlock(i * 3);
  ExpectCommits(10);
}

TEST_F(CommitLimits, SmallTrimsAreCutIntoCommitsThatFit) {
  for (std::uint64_t i = 0; i < 1000; ++i) TrimBlock(i * 3);
  ExpectCommits(10);
}

TEST_F(CommitLimits, WhatWaitedForTheStoreIsCutWhenItIsReplayed) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t i = 0; i < 1000; ++i) i % 2 == 0 ? WriteBlock(i * 3) : TrimBlock(i * 3);
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  machine_.line.Heal();
  Open();
  ExpectCommits(10);
}

/// As an older program left it, which cut by bytes alone.
TEST_F(CommitLimits, AJournalThatWasNeverCutIsCutWhenItIsReplayed) {
  settings_.generation_parts_max = Settings{}.generation_parts_max;
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t i = 0; i < 1000; ++i) WriteBlock(i * 3);
  EXPECT_EQ(volume().status().generations, 1u);
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  machine_.line.Heal();
  settings_.generation_parts_max = kPartsMax;
  Open();
  ExpectCommits(10);
}

TEST_F(CommitLimits, ReplayIsCutByBytesToo) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t i = 0; i < 200; ++i) WriteBlock(i);
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  machine_.line.Heal();
  settings_.sync_bytes = 10 * kBlock;
  settings_.journal_bytes_max = 2 << 20;
  Open();
  ExpectCommits(20);
}

TEST_F(CommitLimits, UnitsOfUploadStayAtSyncBytesWhileTheStoreIsAway) {
  settings_.sync_bytes = 20 * kBlock;
  settings_.journal_bytes_max = 5 << 20;
  settings_.generations_max = 3;
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t i = 0; i < 200; ++i) WriteBlock(i);
  machine_.line.Heal();
  ExpectCommits(10);
}

/// The replayed generations of several streams end where any request may: a crash after each of
/// their commits loses nothing.
TEST_F(CommitLimits, AfterEachCommitOfAReplayTheRestIsStillReplayed) {
  for (int stream = 0; stream < 3; ++stream) {
    machine_.line.FailAll(ErrorCode::kUnavailable);
    for (std::uint64_t i = 0; i < 150; ++i) WriteBlock(random_.Below(kSize / kChunk));
    ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
    machine_.line.Heal();
    Open();
    ASSERT_EQ(volume().status().commits, 0u);
  }
  for (int commits = 1; commits < 20; ++commits) {
    machine_.line.Heal();
    // One more head than the last time, then the store is gone again.
    machine_.line.AddFault({.operation = store::StoreOperation::kCreate,
                            .name_contains = "heads/",
                            .nth = 2,
                            .count = StoreFault::kForever});
    Open();
    (void)volume().Sync({});
    ASSERT_LE(volume().status().commits, 1u);
    ASSERT_TRUE(Holds(volume(), model_)) << commits;
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.ClearFaults();
    machine_.fs.Crash();
  }
  machine_.line.Heal();
  Open();
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CommitLimits, MergingStopsWhereOneCommitIsFull) {
  settings_.sync_bytes = 16 * kBlock;
  settings_.generations_max = 3;
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t i = 0; i < 900; ++i) WriteBlock(i * 3);
  // Two neighbours are more than one commit holds, or nearly: the estimate before a merge counts
  // what ranges may cut in two.
  EXPECT_GT(volume().status().generations, 3u);
  EXPECT_LE(volume().status().generations, 3 + 2 * (3 * 900 / kPartsMax));
  EXPECT_TRUE(Holds(volume(), model_));
  machine_.line.Heal();
  ExpectCommits(9);
}

TEST_F(CommitLimits, RandomRequestsWhateverTheStoreDoes) {
  settings_.generation_parts_max = 40;
  settings_.generation_bytes_max = 50 * kBlock;
  settings_.generations_max = 2;
  settings_.sync_bytes = 20 * kBlock;
  settings_.deltas_max = 5;
  settings_.delta_entries_max = 90;
  Open();
  for (int step = 0; step < 1500; ++step) {
    const std::uint64_t offset = random_.Below(1024) * kBlock;
    const std::uint64_t length = (1 + random_.Below(random_.OneIn(5) ? 40 : 3)) * kBlock;
    if (random_.OneIn(2)) {
      ASSERT_OK(volume().Trim(offset, length, WriteFlag::kNone));
      model_.Zero(offset, length);
    } else {
      const Bytes data = random_.NewBytes(length);
      ASSERT_OK(volume().Write(offset, data, WriteFlag::kNone));
      model_.Write(offset, data);
    }
    if (random_.OneIn(100)) machine_.line.FailAll(ErrorCode::kUnavailable);
    if (random_.OneIn(100)) {
      machine_.line.Heal();
      machine_.scheduler.RunFor(seconds(400));
    }
    if (random_.OneIn(300)) {
      machine_.line.Heal();  // opening reads the head
      ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
      Open();
    }
  }
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CommitLimits, RangesOfZerosWeighOnTheQuota) {
  settings_.journal_bytes_max = 4 << 20;
  settings_.journal_full_wait = seconds(30);
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  Status status;
  std::uint64_t trims = 0;
  for (; trims < 4000 && status.has_value(); ++trims)
    status = volume().Trim(trims * kChunk, kBlock, WriteFlag::kNone);
  EXPECT_FAILS(status, kNoSpace);
  EXPECT_LE(trims, (4u << 20) / kBlock);
  EXPECT_GT(trims, 500u);
  // Commits make room.
  machine_.line.Heal();
  for (std::uint64_t i = trims; i < 3 * trims; ++i)
    ASSERT_OK(volume().Trim(i * kChunk, kBlock, WriteFlag::kNone));
  ASSERT_OK(volume().Sync({}));
  // Neighbours are one range, however many they are.
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t block = 0; block < 4000; ++block)
    ASSERT_OK(volume().Trim(block * kBlock, kBlock, WriteFlag::kNone));
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
}

TEST_F(CommitLimits, EveryOtherBlockOfTheLargestChunkIsAPiece) {
  settings_.generation_parts_max = Settings{}.generation_parts_max;
  settings_.pieces_at_hand_max = 64;
  OpenOther(1 << 20, 256 * 1024);
  for (std::uint64_t block = 0; block < 256; block += 2) {
    const Bytes data = random_.NewBytes(kBlock);
    ASSERT_OK(volume().Write(block * kBlock, data, WriteFlag::kNone));
    model_.Write(block * kBlock, data);
  }
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
}

/// A piece that shows has a block of its own: of however many overlays, 64 are left at most, which
/// is what a page may hold.
TEST_F(CommitLimits, OverlaysOfAChunkAreNeverMorePiecesThanItHasBlocks) {
  settings_.pieces_at_hand_max = 64;
  settings_.pieces_background_max = 64;
  settings_.deltas_max = 32;
  OpenOther(256 * 1024, 256 * 1024);
  for (int commit = 0; commit < 40; ++commit) {
    const std::uint64_t first = random_.Below(2);
    for (std::uint64_t block = first; block < 64; block += 2) {
      if (random_.OneIn(3)) {
        ASSERT_OK(volume().Trim(block * kBlock, kBlock, WriteFlag::kNone));
        model_.Zero(block * kBlock, kBlock);
        continue;
      }
      const Bytes data = random_.NewBytes(kBlock);
      ASSERT_OK(volume().Write(block * kBlock, data, WriteFlag::kNone));
      model_.Write(block * kBlock, data);
    }
    ASSERT_OK(volume().Sync({}));
    ASSERT_TRUE(Holds(volume(), model_)) << commit;
  }
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));  // folds
  opened_.reset();
  ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.settings = settings_}, "other"));
  EXPECT_TRUE(Holds(volume(), model_));
}

/// As many frames as a pack holds, and then the delta that goes behind them.
TEST_F(CommitLimits, APackThatIsFullOfFramesLeavesTheDeltaToAnother) {
  settings_.generation_parts_max = Settings{}.generation_parts_max;
  settings_.sync_bytes = 512 << 20;
  settings_.journal_bytes_max = 2u << 30;
  settings_.segment_bytes = 16 << 20;
  settings_.pack_bytes_target = 8 << 20;
  settings_.dirty_memory_bytes_max = 16 << 20;
  constexpr std::uint64_t kFrames = format::kFramesPerPackMax;
  OpenOther(2 * kFrames * kBlock, 256 * 1024);
  Bytes data(kBlock);
  for (std::uint64_t frame = 0; frame < kFrames; ++frame) {
    StoreLe(data.data(), frame + 1);
    ASSERT_OK(volume().Write(2 * frame * kBlock, data, WriteFlag::kNone));
  }
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().commits, 1u);
  Bytes out(kBlock);
  ASSERT_OK(volume().Read(2 * (kFrames - 1) * kBlock, out));
  EXPECT_EQ(out, data);
}

/// Its segments were made for a larger one: each write finds the one that there is too large, and
/// waits for a commit.
TEST_F(CommitLimits, AJournalMadeSmallerThanItsSegmentsStillTakesWrites) {
  Settings smaller = settings_;
  smaller.journal_bytes_max = 64 * 1024;
  volume().Retune(smaller);
  for (std::uint64_t i = 0; i < 50; ++i) {
    WriteBlock(i * 3);
    TrimBlock(i * 3 + 1);
  }
  EXPECT_GE(volume().status().commits, 90u);
  EXPECT_TRUE(Holds(volume(), model_));
}

#ifdef COFFER_FAILPOINTS
/// Appended and not yet published: no generation has it, so that none that is cut now would.
TEST_F(CommitLimits, ASyncDoesNotWaitForAWriteThatIsNotYetPublished) {
  WriteBlock(1);
  bool synced = false;
  {
    const FailpointAction between("journal-noted", [&] {
      if (std::exchange(synced, true)) return;
      EXPECT_OK(volume().Sync({}));
      EXPECT_EQ(volume().status().commits, 1u);
    });
    WriteBlock(2);
  }
  EXPECT_TRUE(synced);
  EXPECT_GT(volume().status().behind_bytes, 0u);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().behind_bytes, 0u);
}
#endif

}  // namespace
}  // namespace coffer::volume
