// The journal at its quota, and its disk full: writers wait and nobody loses anything.
#include <gtest/gtest.h>

#include "tests/vault/needs_person.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using std::chrono::seconds;

constexpr std::uint64_t kSize = 16 << 20;
constexpr std::uint64_t kTotalBytes = std::uint64_t{1} << 40;

class FullDiskTest : public testing::Test {
 protected:
  FullDiskTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    machine_.fs.SetTotalBytes(kTotalBytes);
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    settings_.segment_bytes = 256 * 1024;
    settings_.journal_bytes_max = 1 << 20;
    Open();
  }
  void Open(bool read_only = false) {
    opened_.reset();
    OpenOptions options;
    options.settings = settings_;
    options.read_only = read_only;
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, options));
  }
  Volume& volume() { return **opened_; }
  Status Write(std::uint64_t offset, std::uint64_t length) {
    const Bytes data = random_.NewBytes(length);
    RETURN_IF_ERROR(volume().Write(offset, data, WriteFlag::kNone));
    model_.Write(offset, data);
    return {};
  }
  /// Others fill the disk up to `left` bytes.
  void FillDisk(std::uint64_t left) {
    machine_.fs.SetTotalBytes(kTotalBytes);
    const std::uint64_t used = kTotalBytes - machine_.fs.Space("/")->free_bytes;
    machine_.fs.SetTotalBytes(used + left);
  }
  /// Runs `then` once the writer has waited so long.
  std::unique_ptr<Executor::Timer> After(Duration delay, std::function<void()> then) {
    return machine_.work_executor.PostAfter(delay, std::move(then));
  }
  Duration Elapsed() const { return machine_.clock.Now() - started_; }
  void StartClock() { started_ = machine_.clock.Now(); }
  void ReopenAndCheck() {
    EXPECT_TRUE(Holds(volume(), model_));
    ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
    Open();
    EXPECT_TRUE(Holds(volume(), model_));
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Settings settings_ = SmallSettings();
  ByteModel model_{kSize};
  std::unique_ptr<OpenedVolume> opened_;
  MonotonicTime started_{};
};

TEST_F(FullDiskTest, AWriterAtTheQuotaWaitsForCommitsAndGoesOn) {
  for (std::uint64_t offset = 0; offset < kSize; offset += 512 * 1024) {
    ASSERT_OK(Write(offset, 512 * 1024));
    EXPECT_LE(volume().status().journal_bytes, settings_.journal_bytes_max);
  }
  EXPECT_GT(volume().status().commits, 10U);
  ReopenAndCheck();
}

TEST_F(FullDiskTest, ARequestLargerThanTheJournalIsWrittenInPieces) {
  ASSERT_OK(Write(4096, 3 << 20));
  ASSERT_OK(Write(100, (3 << 20) + 77));
  ReopenAndCheck();
}

TEST_F(FullDiskTest, AWriterWaitsForAStoreThatIsAwayWithoutLimit) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  StartClock();
  const auto back = After(seconds(3600), [this] { machine_.line.Heal(); });
  ASSERT_OK(Write(0, 3 << 20));
  EXPECT_GE(Elapsed(), seconds(3600));
  ReopenAndCheck();
}

TEST_F(FullDiskTest, AfterTheTimeThatIsSetTheWriterLearnsThatThereIsNoSpace) {
  settings_.journal_full_wait = seconds(30);
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  ASSERT_OK(Write(0, 512 * 1024));
  StartClock();
  Bytes refused(1 << 20, std::byte{7});
  EXPECT_FAILS(volume().Write(8 << 20, refused, WriteFlag::kNone), kNoSpace);
  EXPECT_GE(Elapsed(), seconds(30));
  EXPECT_LT(Elapsed(), seconds(40));
  // Reads and flushes go on meanwhile, and so does everything once the store is back.
  ASSERT_OK(volume().Flush());
  Bytes out(512 * 1024);
  ASSERT_OK(volume().Read(0, out));
  EXPECT_FALSE(model_.FirstDifference(0, out).has_value());
  machine_.line.Heal();
  ASSERT_OK(Write(8 << 20, 1 << 20));
  ReopenAndCheck();
}

TEST_F(FullDiskTest, TheTimeInWhichTheMachineSleepsIsNoneInWhichTheWriterWaits) {
  settings_.journal_full_wait = seconds(60);
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  ASSERT_OK(Write(0, 512 * 1024));
  constexpr Duration kNight = std::chrono::hours(9);
  const auto sleep = After(seconds(5), [this] { machine_.clock.Advance(kNight); });
  const auto back = After(kNight + seconds(20), [this] { machine_.line.Heal(); });
  StartClock();
  ASSERT_OK(Write(8 << 20, 1 << 20));
  EXPECT_GE(Elapsed(), kNight + seconds(20));
  ReopenAndCheck();
}

TEST_F(FullDiskTest, TheQuotaIsAFifthOfWhatTheDiskHasFree) {
  settings_.journal_bytes_max = std::uint64_t{4} << 30;
  FillDisk(10 << 20);
  Open();
  EXPECT_LE(volume().status().journal_bytes_max, 2u << 20);
  for (std::uint64_t offset = 0; offset < kSize; offset += 1 << 20) {
    ASSERT_OK(Write(offset, 1 << 20));
  }
  ReopenAndCheck();
}

TEST_F(FullDiskTest, OnAFullDiskAWriterWaitsUntilSpaceIsFreed) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  ASSERT_OK(Write(0, 64 * 1024));
  FillDisk(0);
  StartClock();
  bool complained = false;
  const auto look = After(seconds(60), [&] {
    const VolumeStatus status = volume().status();
    complained = status.trouble.message.starts_with("NO-SPACE: ") && status.writers_waiting == 1;
  });
  const auto freed = After(seconds(100), [this] { machine_.fs.SetTotalBytes(kTotalBytes); });
  ASSERT_OK(Write(1 << 20, 600 * 1024));
  EXPECT_GE(Elapsed(), seconds(100));
  EXPECT_LE(Elapsed(), seconds(102));
  EXPECT_TRUE(complained);
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(volume().status().trouble.message.empty());
  ReopenAndCheck();
}

TEST_F(FullDiskTest, OnAFullDiskCommitsStillEndAndMakeRoom) {
  ASSERT_OK(Write(0, 700 * 1024));
  FillDisk(0);
  StartClock();
  ASSERT_OK(Write(2 << 20, 900 * 1024));
  EXPECT_LE(Elapsed(), seconds(5));
  ASSERT_OK(volume().Sync({}));
  ReopenAndCheck();
}

TEST_F(FullDiskTest, WithoutEvenTheReserveAndNothingToUploadItIsNoSpaceAtOnce) {
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  for (const std::string& path : machine_.fs.Files()) {  // spare segments would help out
    if (path.ends_with(".seg")) {
      ASSERT_OK(machine_.fs.Remove(path));
    }
  }
  FillDisk(64 * 1024);
  Open();
  StartClock();
  EXPECT_FAILS(volume().Write(0, Bytes(4096, std::byte{1}), WriteFlag::kNone), kNoSpace);
  EXPECT_LT(Elapsed(), seconds(1));
  EXPECT_TRUE(Holds(volume(), model_));
  machine_.fs.SetTotalBytes(kTotalBytes);
  ASSERT_OK(Write(0, 4096));
}

TEST_F(FullDiskTest, WhoWaitsLeavesWhenTheVolumeIsAboutToClose) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  const auto closing = After(seconds(50), [this] { volume().RefuseWaits(); });
  EXPECT_FAILS(volume().Write(0, Bytes(3 << 20, std::byte{1}), WriteFlag::kNone), kCancelled);
  machine_.line.Heal();
  EXPECT_OK(volume().Close(CloseMode::kUpload, {}));
}

}  // namespace
}  // namespace coffer::volume
