// Old damage never stops new data: what is lost or damaged in the store is an error where it is
// read and a line of the status; commits, folds and close go on around it, what is written anew is
// whole, and what the provider brings back is there again.
#include <gtest/gtest.h>

#include <set>

#include "tests/volume/modelled_volume.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;

constexpr std::uint32_t kChunk = 16 * 1024;
/// Of the volume, what one leaf page maps.
constexpr std::uint64_t kLeaf = std::uint64_t{256} * kChunk;
/// Two leaves and a part of a third, the last chunk cut.
constexpr std::uint64_t kSize = 2 * kLeaf + 20 * kChunk + 4096;

class DamageTest : public ModelledVolume {
 protected:
  DamageTest() : ModelledVolume(kSize, kChunk) {}

  void SetUp() override {
    ModelledVolume::SetUp();
    settings_.sync_bytes = 8 << 20;
    settings_.journal_bytes_max = 32 << 20;
    settings_.dirty_memory_bytes_max = 8 << 20;
    Open();
  }
  void Commit(std::uint64_t offset, std::uint64_t length) {
    Write(offset, length);
    ASSERT_OK(volume().Sync({}));
  }
  /// What `step` has created of packs goes, for as long as nobody brings it back.
  template <class Step>
  void Lose(const Step& step) {
    const store::MemoryStore::Objects before = provider_.Snapshot();
    step();
    LoseSince(before);
  }
  void LoseSince(const store::MemoryStore::Objects& before) {
    store::MemoryStore::Objects now = provider_.Snapshot();
    std::erase_if(now, [&](const auto& object) {
      if (!object.first.starts_with("packs/") || before.contains(object.first)) return false;
      lost_.insert(object);
      return true;
    });
    ASSERT_FALSE(lost_.empty());
    provider_.Restore(now);
  }
  void BringBack() {
    store::MemoryStore::Objects now = provider_.Snapshot();
    now.insert(lost_.begin(), lost_.end());
    provider_.Restore(now);
  }
  /// Each block right, or an error where it may be; counts these.
  std::set<std::uint64_t> LostBlocks(Volume& volume) {
    std::set<std::uint64_t> lost;
    for (std::uint64_t at = 0; at < kSize; at += kBlock) {
      Bytes out(kBlock);
      const Status read = volume.Read(at, out);
      if (!read.has_value()) {
        EXPECT_EQ(read.error().code, ErrorCode::kCorruption) << TextOf(read.error());
        lost.insert(at / kBlock);
      } else {
        EXPECT_FALSE(model_.FirstDifference(at, out).has_value()) << "at " << at;
      }
    }
    return lost;
  }
  std::set<std::uint64_t> LostElsewhere() {
    auto there = OpenedVolume::Open(other_, {.read_only = true, .settings = settings_});
    EXPECT_OK(there);
    return there.has_value() ? LostBlocks(***there) : std::set<std::uint64_t>{};
  }
  [[nodiscard]] std::string Needs() {
    std::string all;
    for (const Error& need : volume().status().needs) all += need.message + "\n";
    return all;
  }
  /// 40 commits, folds among them, all of which must succeed.
  void CommitMany(std::uint64_t offset) {
    const std::uint64_t before = volume().status().commits;
    for (std::uint64_t i = 0; i < 40; ++i) {
      Commit(offset + i * 3 * kBlock, kBlock);
      if (HasFatalFailure()) return;
    }
    const VolumeStatus status = volume().status();
    EXPECT_GT(status.commits, before + 40) << "no fold among them";
    EXPECT_EQ(status.behind_bytes, 0U);
    EXPECT_LE(status.unfolded_deltas, settings_.deltas_max + 2);
  }

  store::MemoryStore::Objects lost_;
};

TEST_F(DamageTest, ALostLeafStopsNoCommitAndNoClose) {
  Write(0, 40 * kChunk);
  ASSERT_OK(volume().Sync({}));
  Lose([&] { Close(); });  // the pages: a leaf, and the root above it
  BringBack();
  Open();
  Write(kLeaf, 3 * kChunk);
  Close();  // another root over the leaf that stays
  {
    // The leaf of the first 256 chunks alone: whatever the root is, it is the pack of the first
    // close without the second one's.
    store::MemoryStore::Objects now = provider_.Snapshot();
    for (const auto& [name, object] : lost_) now.erase(name);
    provider_.Restore(now);
  }
  Open();
  EXPECT_EQ(Needs(), "");
  CommitMany(2 * kBlock);
  EXPECT_NE(Needs().find("MISSING-PACKS: 1 page of the volume's map cannot be read"),
            std::string::npos)
      << Needs();
  const std::set<std::uint64_t> lost = LostBlocks(volume());
  // The whole first leaf but the 40 blocks written since.
  EXPECT_EQ(lost.size(), kLeaf / kBlock - 40);
  EXPECT_FALSE(lost.contains(2));
  Close();
  EXPECT_EQ(LostElsewhere(), lost);
  Open();
  const std::uint64_t head = volume().status().head_seq;
  Close();
  Open();
  EXPECT_EQ(volume().status().head_seq, head) << "nothing written, nothing uploaded";
  CommitMany(kLeaf + 7 * kChunk);
  EXPECT_EQ(LostBlocks(volume()), lost);
  BringBack();
  CommitMany(60 * kChunk);
  Close();
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_EQ(Needs(), "");
}

TEST_F(DamageTest, ARangeThatIsWrittenAnewIsWholeAgain) {
  Write(0, 10 * kChunk);
  ASSERT_OK(volume().Sync({}));
  Lose([&] { Close(); });
  Open();
  CommitMany(kChunk);
  EXPECT_FALSE(LostBlocks(volume()).empty());
  EXPECT_NE(Needs(), "");
  // In small pieces, trims among them: chunk by chunk nothing of the lost root shows any more.
  ASSERT_OK(volume().Trim(0, kLeaf, WriteFlag::kNone));
  model_.Zero(0, kLeaf);
  for (std::uint64_t at = kLeaf; at < kSize; at += 5 * kBlock) {
    Write(at, std::min(5 * kBlock, kSize - at));
    if (at % (kBlock * 500) == 0) {
      ASSERT_OK(volume().Sync({}));
    }
  }
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
  machine_.clock.Advance(std::chrono::minutes(1));
  (void)Needs();  // looks again
  machine_.scheduler.RunUntilIdle();
  CommitMany(3 * kChunk);
  EXPECT_EQ(Needs(), "");
  Close();
  EXPECT_TRUE(LostElsewhere().empty());
}

TEST_F(DamageTest, ALostRootKeepsWhatItLeadsToForWhenItComesBack) {
  Write(0, kSize);
  ASSERT_OK(volume().Sync({}));
  Lose([&] { Close(); });
  Open();
  CommitMany(kChunk);
  CommitMany(kLeaf + kChunk);
  EXPECT_EQ(LostBlocks(volume()).size(), kSize / kBlock - 80);
  Close();
  Open();
  EXPECT_EQ(LostBlocks(volume()).size(), kSize / kBlock - 80);
  BringBack();
  EXPECT_TRUE(Holds(volume(), model_));
  CommitMany(5 * kChunk);
  Close();
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_EQ(Needs(), "");
}

TEST_F(DamageTest, ALostDeltaIsAnErrorForAllThatItMayHaveChangedAndNothingElse) {
  Commit(0, 10 * kChunk);
  Lose([&] { Commit(3 * kChunk, kChunk); });
  Commit(5 * kChunk, 2 * kBlock);
  machine_.fs.Halt();  // killed: the deltas stay
  opened_.reset();
  machine_.fs.ClearFaults();
  machine_.fs.Crash();
  Open();
  EXPECT_NE(Needs().find("MISSING-PACKS: 1 commit of the volume cannot be read"), std::string::npos)
      << Needs();
  EXPECT_EQ(LostBlocks(volume()).size(), kSize / kBlock - 2);
  CommitMany(7 * kChunk);
  EXPECT_EQ(LostBlocks(volume()).size(), kSize / kBlock - 42);
  Close();
  Open();
  EXPECT_EQ(LostBlocks(volume()).size(), kSize / kBlock - 42);
  CommitMany(30 * kChunk);
  Close();
  EXPECT_EQ(LostElsewhere().size(), kSize / kBlock - 82);
  BringBack();
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
  CommitMany(60 * kChunk);
  EXPECT_TRUE(Holds(volume(), model_));
  Close();
  Open();
  EXPECT_EQ(volume().status().unfolded_deltas, 0U);
}

TEST_F(DamageTest, AVolumeWrittenAnewForgetsALostDelta) {
  Lose([&] { Commit(3 * kChunk, kChunk); });
  machine_.fs.Halt();
  opened_.reset();
  machine_.fs.ClearFaults();
  machine_.fs.Crash();
  Open();
  CommitMany(7 * kChunk);
  Commit(0, kSize);
  EXPECT_TRUE(Holds(volume(), model_));
  CommitMany(7 * kChunk);
  machine_.clock.Advance(std::chrono::minutes(1));
  (void)Needs();
  machine_.scheduler.RunUntilIdle();
  EXPECT_EQ(Needs(), "");
  Close();
  Open();
  EXPECT_EQ(volume().status().unfolded_deltas, 0U);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(DamageTest, TheSameBytesWrittenAgainDoNotRelyOnAPackThatIsLost) {
  const Bytes data = random_.NewBytes(2 * kChunk);
  Lose([&] {
    WriteBytes(0, data);
    ASSERT_OK(volume().Sync({}));
  });
  opened_->resources().windows().Clear();
  Bytes out(kChunk);
  EXPECT_FAILS(volume().Read(0, out), kCorruption);
  WriteBytes(0, data);
  WriteBytes(kChunk * 9, data);
  ASSERT_OK(volume().Sync({}));
  opened_->resources().windows().Clear();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(DamageTest, WhatIsLostIsNoHole) {
  Write(0, 10 * kChunk);
  Lose([&] { Close(); });
  Open();
  ASSERT_OK_AND_ASSIGN(const auto extents, volume().Extents(0, kSize, 10));
  EXPECT_FALSE(extents[0].hole);
  EXPECT_FALSE(extents[0].reads_zero);
}

TEST_F(DamageTest, AStoreThatIsAwayIsNoDamage) {
  Write(0, 10 * kChunk);
  Close();
  Open();
  machine_.line.AddFault(
      {.operation = store::StoreOperation::kGetRange, .count = StoreFault::kForever});
  for (std::uint64_t i = 0; i < settings_.deltas_max; ++i) Commit(i * kChunk, kBlock);
  machine_.scheduler.RunUntilIdle();
  EXPECT_EQ(volume().status().unfolded_deltas, settings_.deltas_max) << "the fold failed";
  EXPECT_FALSE(volume().status().trouble.message.empty());
  EXPECT_EQ(Needs(), "");
  machine_.line.Heal();
  Write(0, kBlock);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().unfolded_deltas, 1U) << "it was folded, nothing left beside";
}

TEST_F(DamageTest, AReadThatHealsIsToldOfNoMore) {
  Write(0, 4 * kChunk);
  ASSERT_OK(volume().Sync({}));
  const store::MemoryStore::Objects all = provider_.Snapshot();
  LoseSince({});
  opened_->resources().windows().Clear();
  Bytes out(2 * kChunk);
  EXPECT_FAILS(volume().Read(0, out), kCorruption);
  EXPECT_NE(Needs().find("MISSING-PACKS: 1 read has failed"), std::string::npos) << Needs();
  BringBack();
  EXPECT_NE(Needs(), "") << "it is not asked for all the time";
  machine_.clock.Advance(std::chrono::seconds(10));
  (void)Needs();
  machine_.scheduler.RunUntilIdle();
  EXPECT_EQ(Needs(), "");
}

TEST_F(DamageTest, WhateverIsLostReadsAreRightOrAnErrorAndCommitsGoOn) {
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    for (int step = 0; step < 25; ++step) {
      const std::uint64_t at = random_.Below(kSize / kBlock) * kBlock;
      const std::uint64_t length =
          std::min(kSize - at, (1 + random_.Below(random_.Below(4) == 0 ? 600 : 6)) * kBlock);
      if (random_.Below(5) == 0) {
        ASSERT_OK(volume().Trim(at, length, WriteFlag::kNone));
        model_.Zero(at, length);
      } else {
        Write(at, length);
      }
      if (random_.Below(2) == 0) {
        ASSERT_OK(volume().Sync({}));
      }
    }
    ASSERT_OK(volume().Sync({}));
    store::MemoryStore::Objects now = provider_.Snapshot();
    for (auto object = now.begin(); object != now.end();) {
      const bool goes = object->first.starts_with("packs/") && random_.Below(6) == 0;
      if (goes) lost_.insert(*object);
      object = goes ? now.erase(object) : std::next(object);
    }
    provider_.Restore(now);
    if (random_.Below(2) == 0) Close();
    Open();
    (void)LostBlocks(volume());
    if (HasFailure()) return;
  }
  (void)LostElsewhere();
  BringBack();
  Close();
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
}

}  // namespace
}  // namespace coffer::volume
