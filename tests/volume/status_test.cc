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
  Kill();
  machine_.clock.Advance(minutes(60));
  machine_.fs.AddFault({.call = FsCall::kSync, .repeat = FaultRepeat::kOnce});  // written again
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

}  // namespace
}  // namespace coffer::volume
