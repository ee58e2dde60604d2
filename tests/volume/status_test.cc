// What a volume's status says, and that it is true.
#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using std::chrono::minutes;

class StatusTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = 1 << 20, .chunk_size = 16 * 1024}));
    settings_.sync_age = std::chrono::hours(24);
    Open();
  }
  void Open(bool read_only = false) {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(
        opened_, OpenedVolume::Open(machine_, {.read_only = read_only, .settings = settings_}));
  }
  Volume& volume() { return **opened_; }
  Status Write(std::uint64_t offset) {
    return volume().Write(offset, Bytes(8192, std::byte{7}), WriteFlag::kNone);
  }
  void Kill() {
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.Crash();
  }

  store::MemoryStore provider_;
  vault::Machine machine_{provider_, 1};
  Settings settings_ = SmallSettings();
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(StatusTest, WhatACrashHasLeftWaitingIsAsOldAsItIs) {
  ASSERT_OK(Write(0));
  machine_.clock.Advance(minutes(3));
  ASSERT_OK(Write(65536));
  machine_.fs.AddFault({.call = FsCall::kSync});  // written again elsewhere: no younger for that
  ASSERT_OK(volume().Flush());
  Kill();
  machine_.clock.Advance(minutes(60));
  Open();
  EXPECT_EQ(volume().status().behind_bytes, 16384u);
  EXPECT_NEAR(volume().status().behind_seconds, 63 * 60, 1);
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().behind_seconds, 0);
}

TEST_F(StatusTest, AClockSetBackMakesWhatWaitsNoYoungerThanNothing) {
  ASSERT_OK(Write(0));
  Kill();
  machine_.clock.SetWall(0);  // 1970, as after a flat battery
  Open();
  EXPECT_EQ(volume().status().behind_bytes, 8192u);
  EXPECT_GE(volume().status().behind_seconds, 0);
  EXPECT_LT(volume().status().behind_seconds, 1);
}

/// The one thing that needs a person; an empty error if there is another number of them.
Error OnlyNeed(Volume& volume) {
  const std::vector<Error> needs = volume.status().needs;
  return needs.size() == 1 ? needs[0] : Error{ErrorCode::kUnavailable, {}, {}};
}

TEST_F(StatusTest, TellsWhatIsAcknowledgedDurableAndCommitted) {
  ASSERT_OK(Write(0));
  VolumeStatus status = volume().status();
  EXPECT_EQ(status.unsynced_bytes, 8192u);
  EXPECT_LT(status.durable_seq, status.acknowledged_seq);
  ASSERT_OK(volume().Flush());
  status = volume().status();
  EXPECT_EQ(status.unsynced_bytes, 0u);
  EXPECT_EQ(status.durable_seq, status.acknowledged_seq);
  EXPECT_LT(status.committed_seq, status.durable_seq);
  EXPECT_EQ(status.behind_bytes, 8192u);
  ASSERT_OK(volume().Sync({}));
  status = volume().status();
  EXPECT_EQ(status.committed_seq, status.acknowledged_seq);
  EXPECT_EQ(status.behind_bytes, 0u);
  EXPECT_TRUE(status.needs.empty());
}

TEST_F(StatusTest, AFailedJournalNeedsAPersonAndLeavesAVolumeToRead) {
  ASSERT_OK(Write(0));
  ASSERT_OK(volume().Flush());
  ASSERT_OK(Write(65536));
  machine_.fs.AddFault(
      {.call = FsCall::kSync, .path_contains = "journal", .repeat = FaultRepeat::kSticky});
  EXPECT_FALSE(volume().Flush().has_value());
  machine_.fs.ClearFaults();
  EXPECT_FALSE(volume().Flush().has_value()) << "what the disk forgot is not durable now";
  EXPECT_FALSE(Write(0).has_value());
  Bytes out(8192);
  EXPECT_OK(volume().Read(65536, out));
  const VolumeStatus status = volume().status();
  EXPECT_TRUE(status.failed);
  EXPECT_EQ(status.unsynced_bytes, 8192u);
  const Error need = OnlyNeed(volume());
  EXPECT_TRUE(need.message.starts_with("FAILED-JOURNAL: ")) << need.message;
  EXPECT_NE(need.hint.find("coffer open"), std::string::npos);
  EXPECT_FALSE(volume().Close(CloseMode::kUpload, {}).has_value());
  Open();
  EXPECT_TRUE(volume().status().needs.empty());
  EXPECT_OK(volume().Read(0, out));
  EXPECT_EQ(out[0], std::byte{7});
}

TEST_F(StatusTest, AStoreThatRefusesThisMachineNeedsAPersonAndIsAskedAgain) {
  ASSERT_OK(Write(0));
  machine_.line.FailAll(ErrorCode::kUnauthenticated);
  EXPECT_FALSE(volume().Sync({}).has_value());
  const Error need = OnlyNeed(volume());
  EXPECT_TRUE(need.message.starts_with("CREDENTIALS: ")) << need.message;
  EXPECT_FALSE(need.hint.empty());
  EXPECT_GT(volume().status().retry_in_seconds, 0);
  machine_.line.Heal();
  machine_.scheduler.RunFor(minutes(5));
  EXPECT_TRUE(volume().status().needs.empty());
  EXPECT_EQ(volume().status().behind_bytes, 0u);
}

TEST_F(StatusTest, AFullStoreNeedsAPersonAndIsAskedAgain) {
  ASSERT_OK(Write(0));
  machine_.line.SetQuota(0);
  EXPECT_FALSE(volume().Sync({}).has_value());
  EXPECT_TRUE(OnlyNeed(volume()).message.starts_with("NO-SPACE: ")) << OnlyNeed(volume()).message;
  EXPECT_FALSE(OnlyNeed(volume()).hint.empty());
  machine_.line.Heal();
  machine_.scheduler.RunFor(minutes(5));
  EXPECT_TRUE(volume().status().needs.empty());
  EXPECT_EQ(volume().status().behind_bytes, 0u);
}

TEST_F(StatusTest, AnUnreachableStoreIsTriedAgainAndNeedsNobody) {
  ASSERT_OK(Write(0));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  EXPECT_FALSE(volume().Sync({}).has_value());
  const VolumeStatus status = volume().status();
  EXPECT_TRUE(status.needs.empty());
  EXPECT_FALSE(status.trouble.message.empty());
  EXPECT_GT(status.retry_in_seconds, 0);
  machine_.line.Heal();
  machine_.scheduler.RunFor(minutes(5));
  EXPECT_TRUE(volume().status().trouble.message.empty());
}

TEST_F(StatusTest, AMissingPackShowsOnceARealReadHasMetIt) {
  ASSERT_OK(Write(0));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  store::MemoryStore::Objects objects = provider_.Snapshot();
  Open(/*read_only=*/true);
  std::erase_if(objects, [](const auto& object) { return object.first.starts_with("packs/"); });
  provider_.Restore(objects);
  EXPECT_TRUE(volume().status().needs.empty());
  opened_->resources().windows().Clear();
  opened_->resources().pages().Clear();
  Bytes out(4096);
  EXPECT_FALSE(volume().Read(0, out).has_value());
  const Error need = OnlyNeed(volume());
  EXPECT_TRUE(need.message.starts_with("MISSING-PACKS: 1 read has failed")) << need.message;
  EXPECT_FALSE(need.hint.empty());
}

}  // namespace
}  // namespace coffer::volume
