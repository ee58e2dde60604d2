// One promise each, as small as can be: what a kill, a failed sync or a failed upload must not
// take. The crash enumeration shows the same at every point; these say at once which promise is
// broken.
#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using store::StoreOperation;

constexpr std::uint64_t kSize = 1 << 20;

class Durability : public testing::Test {
 protected:
  Durability() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    Open();
  }
  void Open() {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.settings = SmallSettings()}));
  }
  /// The process is killed and another starts.
  void Kill() {
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.ClearFaults();
    machine_.fs.Crash();
    Open();
  }
  Volume& volume() { return **opened_; }
  void Write(std::uint64_t offset, std::uint64_t length) {
    const Bytes data = random_.NewBytes(length);
    ASSERT_OK(volume().Write(offset, data, WriteFlag::kNone));
    model_.Write(offset, data);
  }
  [[nodiscard]] std::size_t heads() const {
    std::size_t count = 0;
    for (const auto& [name, object] : provider_.Snapshot()) count += name.starts_with("heads/");
    return count;
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  ByteModel model_{kSize};
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(Durability, AKillTakesNoAcknowledgedWrite) {
  Write(0, 8192);
  Write(65536, 40960);
  Kill();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(Durability, AKillTakesNoAcknowledgedTrim) {
  Write(0, 65536);
  ASSERT_OK(volume().Sync({}));
  ASSERT_OK(volume().Trim(8192, 16384, WriteFlag::kNone));
  model_.Zero(8192, 16384);
  Kill();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(Durability, TheJournalKeepsWhatNoHeadCovers) {
  Write(0, 65536);
  machine_.fs.AddFault({.path_contains = "spool", .repeat = FaultRepeat::kSticky});
  EXPECT_FAILS(volume().Sync({}), kIoError);  // packs are up, no head is
  machine_.scheduler.RunUntilIdle();
  Kill();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(Durability, WhatAFailedSyncCouldNotUploadIsReadAndUploadedLater) {
  Write(0, 65536);
  machine_.line.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(volume().Sync({}), kUnavailable);
  ASSERT_TRUE(Holds(volume(), model_));
  EXPECT_GT(volume().status().behind_bytes, 0U);
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(Durability, NoHeadNamesAPackThatIsNotThere) {
  const std::size_t before = heads();
  for (const std::uint64_t nth : {1U, 2U}) {  // a pack of data, the one with the delta
    Write(0, 150'000 / 4096 * 4096);
    machine_.line.AddFault({.operation = StoreOperation::kCreate,
                            .name_contains = "packs/",
                            .nth = nth,
                            .count = StoreFault::kForever});
    EXPECT_FAILS(volume().Sync({}), kUnavailable) << nth;
    EXPECT_EQ(heads(), before) << nth;
    machine_.line.Heal();
  }
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
}

}  // namespace
}  // namespace coffer::volume
