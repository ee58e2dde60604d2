// Work done is kept: what a failed commit or fold has put into the store is not uploaded again by
// the next attempt, also of the next run; and units of upload stay small, so that a slow line gets
// ahead.
#include "core/volume/kept_work.h"

#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using store::StoreOperation;

constexpr std::uint64_t kSize = 32 << 20;
constexpr std::uint64_t kChunk = 16 * 1024;
constexpr std::uint64_t kData = 2 << 20;

class KeptWorkTest : public testing::Test {
 protected:
  KeptWorkTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = kChunk}));
    settings_.sync_bytes = 8 << 20;
    settings_.journal_bytes_max = 64 << 20;
    settings_.segment_bytes = 4 << 20;
    settings_.dirty_memory_bytes_max = 8 << 20;
    Open();
    begin_bytes_ = provider_.total_bytes();
  }
  void Open() {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.settings = settings_}));
  }
  void Kill() {
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.ClearFaults();
    machine_.fs.Crash();
  }
  Volume& volume() { return **opened_; }
  void Write(std::uint64_t offset, std::uint64_t length) {
    const Bytes data = random_.NewBytes(length);
    ASSERT_OK(volume().Write(offset, data, WriteFlag::kNone));
    model_.Write(offset, data);
  }
  /// The store is gone after `packs` more packs.
  void FailAfter(std::uint64_t packs) {
    machine_.line.AddFault({.operation = StoreOperation::kCreate,
                            .name_contains = "packs/",
                            .nth = packs + 1,
                            .count = StoreFault::kForever});
    EXPECT_FAILS(volume().Sync({}), kUnavailable);
  }
  [[nodiscard]] std::uint64_t stored() const { return provider_.total_bytes() - begin_bytes_; }
  [[nodiscard]] std::vector<std::string> KeptFiles() const {
    std::vector<std::string> kept;
    for (const std::string& path : machine_.fs.Files())
      if (path.find("/kept/") != std::string::npos) kept.push_back(path);
    return kept;
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  ByteModel model_{kSize};
  Settings settings_ = SmallSettings();
  std::uint64_t begin_bytes_ = 0;
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(KeptWorkTest, AFailedCommitGoesOnFromWhereItWas) {
  Write(0, kData);
  FailAfter(12);
  EXPECT_GT(stored(), kData / 3) << "about half of it is there";
  EXPECT_FALSE(KeptFiles().empty());
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_LE(stored(), kData * 11 / 10);
  EXPECT_TRUE(KeptFiles().empty()) << "a head names it";
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(KeptWorkTest, AlsoAfterARestart) {
  Write(0, kData);
  FailAfter(12);
  Kill();
  machine_.line.Heal();
  Open();
  ASSERT_OK(volume().Sync({}));
  EXPECT_LE(stored(), kData * 11 / 10);
  EXPECT_TRUE(KeptFiles().empty());
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(KeptWorkTest, AStoreThatIsStillAwayAfterTheRestartIsAskedLater) {
  Write(0, kData);
  FailAfter(12);
  Kill();
  machine_.line.Heal();
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(volume().Sync({}), kUnavailable);
  EXPECT_FALSE(KeptFiles().empty());
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_LE(stored(), kData * 11 / 10);
}

TEST_F(KeptWorkTest, WhatIsMissingOrDamagedIsUploadedAnew) {
  Write(0, kData);
  FailAfter(12);
  Kill();
  machine_.line.Heal();
  // A third of the packs gone, a third damaged in their table or frames, and names of others.
  store::MemoryStore::Objects objects = provider_.Snapshot();
  int number = 0;
  for (auto object = objects.begin(); object != objects.end();) {
    const bool is_pack = object->first.starts_with("packs/");
    number += is_pack ? 1 : 0;
    if (is_pack && number % 3 == 0) {
      object = objects.erase(object);
      continue;
    }
    if (is_pack && number % 3 == 1) {
      Bytes bytes = *object->second;
      for (std::size_t at = bytes.size() * 9 / 10; at < bytes.size(); at += 100)
        bytes[at] ^= std::byte{1};
      object->second = std::make_shared<const Bytes>(std::move(bytes));
    }
    ++object;
  }
  provider_.Restore(objects);
  const std::string directory = KeptFiles()[0].substr(0, KeptFiles()[0].rfind('/') + 1);
  for (const char* name : {"desktop.ini", "..x", "ABCD"})
    ASSERT_OK(machine_.fs.Open(directory + name, FileSystem::OpenMode::kCreate));
  Open();
  ASSERT_OK(volume().Sync({}));
  opened_->resources().windows().Clear();
  EXPECT_TRUE(Holds(volume(), model_));
}

// `add --replace` and `trust accept` may put another store behind the files: their packs are looked
// for in the one that is there.
TEST_F(KeptWorkTest, ACopyOfTheStoreThatHasNoneOfThePacksGetsThemAll) {
  const auto copy = provider_.Snapshot();
  Write(0, kData);
  FailAfter(12);
  ASSERT_FALSE(KeptFiles().empty());
  Kill();
  machine_.line.Heal();
  provider_.Restore(copy);
  Open();
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(KeptFiles().empty());
  opened_->resources().windows().Clear();
  EXPECT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  vault::Machine other(provider_, seed_ + 7, "other");
  ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(other, {.settings = settings_}));
  EXPECT_TRUE(Holds(volume(), model_));
  opened_.reset();  // before its machine
}

TEST_F(KeptWorkTest, OtherBytesWrittenMeanwhileAreTheOnesThatCount) {
  Write(0, kData);
  FailAfter(12);
  Write(3 * kChunk, 5 * kChunk);
  Kill();
  machine_.line.Heal();
  Open();
  Write(7 * kChunk, 2 * kChunk);
  ASSERT_OK(volume().Sync({}));
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_TRUE(KeptFiles().empty());
}

TEST_F(KeptWorkTest, AFoldThatFailsGoesOnFromWhereItWas) {
  settings_.pack_bytes_target = 16 * 1024;
  Open();
  for (int round = 0; round < 3; ++round) {
    // A block of each chunk of eight leaves.
    for (std::uint64_t chunk = 0; chunk < kSize / kChunk; ++chunk)
      Write(chunk * kChunk + static_cast<std::uint64_t>(round) * 4096, 4096);
    ASSERT_OK(volume().Sync({}));
  }
  ASSERT_EQ(volume().status().unfolded_deltas, 3U);
  Write(0, 4096);
  const std::size_t before = machine_.wire.count(StoreOperation::kCreate);
  // The commit's pack and those of five leaves.
  machine_.line.AddFault({.operation = StoreOperation::kCreate,
                          .name_contains = "packs/",
                          .nth = 7,
                          .count = StoreFault::kForever});
  ASSERT_OK(volume().Sync({}));
  machine_.scheduler.RunUntilIdle();
  ASSERT_EQ(volume().status().unfolded_deltas, 4U);
  ASSERT_FALSE(volume().status().trouble.message.empty());
  const std::size_t failed = machine_.wire.count(StoreOperation::kCreate) - before;
  Write(0, 4096);
  machine_.line.Heal();
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().unfolded_deltas, 1U);
  const std::size_t all = machine_.wire.count(StoreOperation::kCreate) - before;
  // Three leaves of a pack each, the root, two heads, the commit; not the other five again.
  EXPECT_LE(all, failed + 8);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(KeptWorkTest, WhatWaitsIsUploadedInUnitsOfSyncBytes) {
  settings_.sync_bytes = 1 << 20;
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  for (std::uint64_t at = 0; at < 24 << 20; at += 512 * 1024) Write(at, 512 * 1024);
  machine_.scheduler.RunFor(std::chrono::minutes(1));
  machine_.line.Heal();
  const std::uint64_t commits = volume().status().commits;
  ASSERT_OK(volume().Sync({}));
  EXPECT_GE(volume().status().commits - commits, 24U * 2 / 3) << "24 MiB, 1.5 at most each";
  EXPECT_TRUE(Holds(volume(), model_));
}

}  // namespace
}  // namespace coffer::volume
