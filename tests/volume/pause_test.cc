// Uploads that rest: what is written stays in the journal, what somebody waits for goes up.
#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kSize = 16 << 20;

class PauseTest : public testing::Test {
 protected:
  PauseTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    settings_.sync_age = seconds(10);
    settings_.segment_bytes = 256 * 1024;
    settings_.journal_bytes_max = 1 << 20;
    Open(Uploads::kGoOn);
  }
  void Open(Uploads uploads) {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_,
                         OpenedVolume::Open(machine_, {.settings = settings_, .uploads = uploads}));
  }
  Volume& volume() { return **opened_; }
  VolumeStatus status() { return volume().status(); }
  Status Write(std::uint64_t offset, std::uint64_t length) {
    return volume().Write(offset, random_.NewBytes(length), WriteFlag::kNone);
  }
  /// Virtual time in which everything happens that happens by itself.
  void Pass(Duration time) {
    bool over = false;
    Mutex mutex;
    CondVar changed;
    const auto end = machine_.sync_executor.PostAfter(time, [&] { over = true; });
    MutexLock lock(mutex);
    machine_.sync_executor.Await(lock, changed, [&over] { return over; });
  }
  std::size_t objects() { return provider_.object_count(); }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Settings settings_ = SmallSettings();
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(PauseTest, NothingIsUploadedByItselfUntilItIsOver) {
  volume().SetUploads(Uploads::kPaused);
  ASSERT_OK(Write(0, 300'000 / 4096 * 4096));
  ASSERT_OK(volume().Flush());
  const std::size_t before = objects();
  Pass(hours(3));
  EXPECT_EQ(objects(), before);
  EXPECT_GT(status().behind_bytes, 0U);
  EXPECT_TRUE(status().trouble.message.empty());
  volume().SetUploads(Uploads::kGoOn);
  Pass(minutes(1));
  EXPECT_EQ(status().behind_bytes, 0U);
  EXPECT_GT(objects(), before);
}

TEST_F(PauseTest, WhatSomebodyWaitsForGoesUpAndNothingAfterIt) {
  volume().SetUploads(Uploads::kPaused);
  ASSERT_OK(Write(0, 65536));
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(status().behind_bytes, 0U);
  ASSERT_OK(Write(65536, 65536));
  Pass(hours(1));
  EXPECT_EQ(status().behind_bytes, 65536U);
}

TEST_F(PauseTest, ASyncThatMetAStoreAwayGoesOnByItself) {
  volume().SetUploads(Uploads::kPaused);
  ASSERT_OK(Write(0, 65536));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(volume().Sync({}), kUnavailable);
  machine_.line.Heal();
  Pass(minutes(10));
  EXPECT_EQ(status().behind_bytes, 0U) << "it was asked for";
}

TEST_F(PauseTest, ClosingUploadsAllTheSame) {
  volume().SetUploads(Uploads::kPaused);
  ASSERT_OK(Write(0, 65536));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  EXPECT_EQ(status().behind_bytes, 0U);
}

TEST_F(PauseTest, OneThatIsOpenedWhilePausedLeavesWhatItsJournalHolds) {
  ASSERT_OK(Write(0, 65536));
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  Open(Uploads::kPaused);
  Pass(hours(1));
  EXPECT_EQ(status().behind_bytes, 65536U);
  volume().SetUploads(Uploads::kGoOn);
  Pass(minutes(1));
  EXPECT_EQ(status().behind_bytes, 0U);
}

TEST_F(PauseTest, AWriterAtTheQuotaWaitsUntilItIsOver) {
  volume().SetUploads(Uploads::kPaused);
  const auto over =
      machine_.sync_executor.PostAfter(hours(2), [this] { volume().SetUploads(Uploads::kGoOn); });
  const MonotonicTime begin = machine_.clock.Now();
  for (std::uint64_t at = 0; at < (3u << 20); at += 65536) ASSERT_OK(Write(at, 65536));
  EXPECT_GE(machine_.clock.Now() - begin, hours(2));
}

}  // namespace
}  // namespace coffer::volume
