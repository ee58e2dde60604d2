// Settings of an open volume: what its head says, what its owner says, and what changes meanwhile.
#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using format::Durability;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kSize = 16 << 20;

class RetuneTest : public testing::Test {
 protected:
  RetuneTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    settings_.sync_age = hours(10);
    settings_.segment_bytes = 256 * 1024;
    settings_.journal_bytes_max = 1 << 20;
    Open();
  }
  void Open() {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.settings = settings_}));
  }
  void Reopen() {
    ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
    Open();
  }
  Volume& volume() { return **opened_; }
  VolumeStatus status() { return volume().status(); }
  Status Write(std::uint64_t offset, std::uint64_t length) {
    return volume().Write(offset, random_.NewBytes(length), WriteFlag::kNone);
  }
  void Retune() { volume().Retune(settings_); }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Settings settings_ = SmallSettings();
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(RetuneTest, WithCloudDurabilityAFlushReturnsWhenTheHeadCoversIt) {
  ASSERT_OK(Write(0, 4096));
  ASSERT_OK(volume().Flush());
  EXPECT_GT(status().behind_bytes, 0u) << "local: the journal is enough";
  settings_.durability = Durability::kCloud;
  Retune();
  EXPECT_EQ(status().durability, Durability::kCloud);
  ASSERT_OK(Write(4096, 4096));
  ASSERT_OK(volume().Flush());
  EXPECT_EQ(status().behind_bytes, 0u);
  ASSERT_OK(volume().Write(8192, random_.NewBytes(4096), WriteFlag::kForceUnitAccess));
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, ACloudFlushWaitsForAStoreThatIsAway) {
  settings_.durability = Durability::kCloud;
  Retune();
  ASSERT_OK(Write(0, 4096));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  // Back after twenty minutes, in which attempts fail and status says who waits.
  int waited = 0;
  const auto looks = machine_.sync_executor.PostAfter(minutes(1), [&] {
    waited = status().flushes_waiting;
    EXPECT_FALSE(status().trouble.message.empty());
    EXPECT_GT(status().behind_bytes, 0u);
  });
  const auto heals = machine_.sync_executor.PostAfter(minutes(20), [&] { machine_.line.Heal(); });
  const MonotonicTime begin = machine_.clock.Now();
  ASSERT_OK(volume().Flush());
  EXPECT_GE(machine_.clock.Now() - begin, minutes(20));
  EXPECT_LE(machine_.clock.Now() - begin, minutes(26));
  EXPECT_EQ(waited, 1);
  EXPECT_EQ(status().flushes_waiting, 0);
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, ACloudFlushWaitsForTheJournalAloneWhileTheVolumeIsUnmounted) {
  settings_.durability = Durability::kCloud;
  Retune();
  ASSERT_OK(Write(0, 4096));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  const auto closing = machine_.sync_executor.PostAfter(
      minutes(1), [&] { volume().SetFlushes(Volume::Flushes::kHere); });
  const MonotonicTime begin = machine_.clock.Now();
  ASSERT_OK(volume().Flush());  // one that waits already
  EXPECT_GE(machine_.clock.Now() - begin, minutes(1));
  ASSERT_OK(Write(4096, 4096));
  ASSERT_OK(volume().Flush());
  EXPECT_GT(status().behind_bytes, 0u);
  EXPECT_EQ(status().unsynced_bytes, 0u);
  volume().SetFlushes(Volume::Flushes::kAsDurable);
  machine_.line.Heal();
  ASSERT_OK(volume().Flush());
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, ACloudFlushFailsAfterTheTimeThatItWasGivenAndWhatWasWrittenIsThere) {
  settings_.durability = Durability::kCloud;
  settings_.flush_wait = minutes(3);
  Retune();
  ASSERT_OK(Write(0, 4096));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  const MonotonicTime begin = machine_.clock.Now();
  EXPECT_FAILS(volume().Flush(), kUnavailable);
  EXPECT_GE(machine_.clock.Now() - begin, minutes(3));
  EXPECT_GT(status().behind_bytes, 0u);
  EXPECT_EQ(status().unsynced_bytes, 0u) << "it is in the journal all the same";
  machine_.line.Heal();
  ASSERT_OK(volume().Flush());
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, ACloudFlushEndsWhenTheVolumeIsAboutToClose) {
  settings_.durability = Durability::kCloud;
  Retune();
  ASSERT_OK(Write(0, 4096));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  const auto closes = machine_.sync_executor.PostAfter(minutes(9), [&] { volume().RefuseWaits(); });
  EXPECT_FAILS(volume().Flush(), kCancelled);
}

TEST_F(RetuneTest, AReaderWaitsForAStoreThatIsAway) {
  settings_.store_away_wait.reset();
  Retune();
  ASSERT_OK(Write(0, 4096));
  ASSERT_OK(volume().Sync({}));
  Reopen();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  int waited = 0;
  const auto looks =
      machine_.sync_executor.PostAfter(seconds(20), [&] { waited = status().readers_waiting; });
  const auto heals = machine_.sync_executor.PostAfter(minutes(20), [&] { machine_.line.Heal(); });
  Bytes out(4096);
  ASSERT_OK(volume().Read(0, out));
  EXPECT_EQ(waited, 1);
  EXPECT_EQ(status().readers_waiting, 0);

  settings_.store_away_wait = seconds(90);
  Reopen();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  const MonotonicTime begin = machine_.clock.Now();
  EXPECT_FAILS(volume().Read(0, out), kUnavailable);
  EXPECT_EQ(machine_.clock.Now() - begin, seconds(90));

  settings_.store_away_wait.reset();
  Retune();
  const auto closes = machine_.sync_executor.PostAfter(minutes(1), [&] { volume().RefuseWaits(); });
  EXPECT_FAILS(volume().Read(0, out), kCancelled);
}

TEST_F(RetuneTest, TheHeadKeepsADurabilityThatWasSet) {
  settings_.durability = Durability::kCloud;
  Reopen();
  ASSERT_OK(Write(0, 4096));
  ASSERT_OK(volume().Flush());
  settings_.durability.reset();
  Reopen();
  EXPECT_EQ(status().durability, Durability::kCloud) << "nobody has said another";
  settings_.durability = Durability::kLocal;
  Retune();
  EXPECT_EQ(status().durability, Durability::kLocal);
  ASSERT_OK(Write(0, 4096));
  ASSERT_OK(volume().Flush());
  EXPECT_GT(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, AShorterSyncAgeHoldsForWhatWaitsAlready) {
  ASSERT_OK(Write(0, 4096));
  machine_.scheduler.RunFor(hours(1));
  EXPECT_GT(status().behind_bytes, 0u);
  settings_.sync_age = seconds(10);
  Retune();
  machine_.scheduler.RunFor(seconds(11));
  EXPECT_EQ(status().behind_bytes, 0u);
}

TEST_F(RetuneTest, ALargerJournalTakesMoreBeforeWritersWait) {
  settings_.journal_full_wait = seconds(1);
  Retune();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  Status status;
  std::uint64_t written = 0;
  while (written < kSize && (status = Write(written, 128 * 1024)).has_value()) {
    written += 128 * 1024;
  }
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kNoSpace);
  EXPECT_LE(written, 1u << 20);
  settings_.journal_bytes_max = 4 << 20;
  Retune();
  EXPECT_EQ(volume().status().journal_bytes_max, 4u << 20);
  EXPECT_OK(Write(written, 128 * 1024));
}

TEST_F(RetuneTest, NoPackIsLargerThanItsMostAlthoughADeltaMayGoBehindTheData) {
  settings_.sync_bytes = 8 << 20;
  settings_.pack_bytes_target = 512 * 1024;
  settings_.pack_bytes_max = 512 * 1024;
  settings_.codec = {compress::CodecId::kStored, 0};
  Retune();
  // Many small runs: their delta would make the last pack too large.
  for (std::uint64_t at = 0; at < 4 << 20; at += 8192) ASSERT_OK(Write(at, 4096));
  ASSERT_OK(volume().Sync({}));
  std::size_t packs = 0;
  for (const StoreRequest& request : machine_.wire.requests()) {
    if (request.name.rfind("packs/", 0) != 0) continue;
    ++packs;
    EXPECT_LE(request.size, 512u * 1024 * 112 / 100) << request.name;  // with its padding
  }
  EXPECT_GT(packs, 4u);
}

}  // namespace
}  // namespace coffer::volume
