#include "core/volume/volume.h"

#include <gtest/gtest.h>

#include "tests/vault/needs_person.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using block::ZeroFlag;

constexpr std::uint64_t kSize = 3 << 20;

class VolumeTest : public testing::Test {
 protected:
  VolumeTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    Open(machine_);
  }

  void Open(vault::Machine& machine, OpenOptions options = {}) {
    options.settings = SmallSettings();
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine, options));
  }
  Volume& volume() { return **opened_; }

  void Write(std::uint64_t offset, const Bytes& data) {
    ASSERT_OK(volume().Write(offset, data, WriteFlag::kNone));
    model_.Write(offset, data);
  }
  void ExpectAllAsModel() {
    Bytes out(kSize);
    ASSERT_OK(volume().Read(0, out));
    EXPECT_EQ(model_.FirstDifference(0, out), std::nullopt);
  }
  /// One random request, on the volume and on the model.
  void RandomRequest() {
    const bool whole = !random_.OneIn(4);
    const std::uint64_t unit = whole ? 4096 : 1;
    const std::uint64_t offset = random_.Below(kSize / unit) * unit;
    const std::uint64_t most = random_.OneIn(20) ? 400'000 : 40'000;
    const std::uint64_t length = std::min(kSize - offset, (1 + random_.Below(most / unit)) * unit);
    switch (random_.Below(8)) {
      case 0:
        ASSERT_OK(volume().Trim(offset, length, WriteFlag::kNone));
        model_.Trim(offset, length);
        break;
      case 1:
        ASSERT_OK(volume().WriteZeroes(offset, length, ZeroFlag::kNoHole));
        model_.Zero(offset, length);
        break;
      case 2: {
        Bytes out(length);
        ASSERT_OK(volume().Read(offset, out));
        ASSERT_FALSE(model_.FirstDifference(offset, out).has_value());
        break;
      }
      case 3:
        Write(offset, Bytes(length, std::byte{static_cast<unsigned char>(random_.Below(3))}));
        break;
      default:
        Write(offset, random_.NewBytes(length));
    }
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  ByteModel model_{kSize};
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(VolumeTest, ANewVolumeReadsAsZeros) { EXPECT_TRUE(Holds(volume(), model_)); }

TEST_F(VolumeTest, WhatIsWrittenIsReadBeforeAndAfterTheSync) {
  Write(8192, random_.NewBytes(100'000 / 4096 * 4096));
  EXPECT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Sync({}));
  EXPECT_EQ(volume().status().behind_bytes, 0u);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(VolumeTest, BehavesLikeADiskThroughSyncsAndReopens) {
  for (int step = 0; step < 400; ++step) {
    RandomRequest();
    if (HasFatalFailure()) return;
    switch (random_.Below(40)) {
      case 0:
        ASSERT_OK(volume().Flush());
        break;
      case 1:
        ASSERT_OK(volume().Sync({}));
        break;
      case 2:
        ASSERT_OK(
            volume().Close(random_.OneIn(2) ? CloseMode::kUpload : CloseMode::kLeaveInJournal, {}));
        Open(machine_);
        break;
      case 3:  // the process is killed: everything acknowledged is there
        machine_.fs.Halt();
        opened_.reset();
        machine_.fs.Crash();
        Open(machine_);
        break;
      case 4:
        machine_.scheduler.RunFor(std::chrono::seconds(70));
        break;
      default:
        break;
    }
    if (HasFatalFailure()) return;
    if (step % 40 != 0) continue;
    ASSERT_TRUE(Holds(volume(), model_)) << "step " << step;
  }
  ASSERT_TRUE(Holds(volume(), model_));
}

TEST_F(VolumeTest, AnotherMachineReadsItFromTheStoreAlone) {
  for (int step = 0; step < 60; ++step) RandomRequest();
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  vault::Machine other(provider_, seed_ + 2, "b");
  Open(other);
  EXPECT_TRUE(Holds(volume(), model_));
  Write(0, random_.NewBytes(8192));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(VolumeTest, AVolumeLeftOpenElsewhereNeedsTakeOverAndTheLoserIsFenced) {
  Write(0, random_.NewBytes(8192));
  ASSERT_OK(volume().Sync({}));
  auto first = std::move(opened_);
  vault::Machine other(provider_, seed_ + 2, "b");
  EXPECT_FAILS(OpenedVolume::Open(other, {.settings = SmallSettings()}), kConflict);
  Open(other, {.take_over = true});
  Write(4096, random_.NewBytes(4096));
  ASSERT_OK(volume().Sync({}));

  const Bytes lost = random_.NewBytes(4096);
  ASSERT_OK((*first)->Write(0, lost, WriteFlag::kForceUnitAccess));
  const Status fenced = (*first)->Sync({});
  ASSERT_FAILS(fenced, kNeedsPerson);
  EXPECT_NE(fenced.error().message.find("FENCED"), std::string::npos);
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_FAILS((*first)->Close(CloseMode::kUpload, {}), kNeedsPerson);
  first.reset();
  opened_.reset();  // before the machine
}

TEST_F(VolumeTest, ADamagedJournalIsGoneOnFromOnlyWhenAPersonSaysSo) {
  Write(0, random_.NewBytes(8192));
  ASSERT_OK(volume().Flush());
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(volume().Write(65536, random_.NewBytes(65536), WriteFlag::kForceUnitAccess));
  }
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  opened_.reset();
  for (const std::string& path : machine_.fs.Files()) {
    if (path.find("/journal/") != std::string::npos) machine_.fs.Damage(path, 40'000);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(vault::NeedsPerson(
        OpenedVolume::Open(machine_, {.settings = SmallSettings()}), "DAMAGED-JOURNAL",
        {"are lost, with them writes to bytes 65536 to 131072 of the volume"}));
    Open(machine_, {.read_only = true});
    EXPECT_TRUE(Holds(volume(), model_));
    opened_.reset();
  }
  Open(machine_, {.accept_damage = true});
  EXPECT_TRUE(Holds(volume(), model_));
  Write(131072, random_.NewBytes(8192));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  Open(machine_);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(VolumeTest, ACommitReadsNothingFromTheStore) {
  for (int i = 0; i < 8; ++i)
    Write(static_cast<std::uint64_t>(i) * 131072, random_.NewBytes(131072));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  const auto before = machine_.wire.requests().size();
  Write(64 * 1024, random_.NewBytes(4096));
  ASSERT_OK(volume().Sync({}));
  const auto requests = machine_.wire.requests();
  int creates = 0;
  for (std::size_t i = before; i < requests.size(); ++i) {
    EXPECT_NE(requests[i].operation, store::StoreOperation::kGet) << requests[i].name;
    EXPECT_NE(requests[i].operation, store::StoreOperation::kGetRange) << requests[i].name;
    creates += requests[i].operation == store::StoreOperation::kCreate;
  }
  EXPECT_EQ(creates, 2);
}

TEST_F(VolumeTest, AnIdleVolumeCostsNothing) {
  Write(0, random_.NewBytes(4096));
  ASSERT_OK(volume().Sync({}));
  machine_.scheduler.RunFor(std::chrono::minutes(5));
  const auto before = machine_.wire.requests().size();
  machine_.scheduler.RunFor(std::chrono::hours(24));
  EXPECT_EQ(machine_.wire.requests().size(), before);
  EXPECT_EQ(machine_.scheduler.timer_count(), 0u);
}

TEST_F(VolumeTest, WritesReachTheStoreWithinTheSyncAge) {
  Write(0, random_.NewBytes(4096));
  machine_.scheduler.RunFor(std::chrono::seconds(61));
  EXPECT_EQ(volume().status().behind_bytes, 0u);
}

TEST_F(VolumeTest, SyncGoesOnByItselfWhenTheStoreComesBack) {
  machine_.line.FailAll(ErrorCode::kUnavailable);
  Write(0, random_.NewBytes(4096));
  EXPECT_FAILS(volume().Sync({}), kUnavailable);
  EXPECT_FALSE(volume().status().trouble.message.empty());
  machine_.scheduler.RunFor(std::chrono::hours(1));
  machine_.line.Heal();
  machine_.scheduler.RunFor(std::chrono::minutes(5));
  EXPECT_EQ(volume().status().behind_bytes, 0u);
  EXPECT_TRUE(volume().status().trouble.message.empty());
}

TEST_F(VolumeTest, TheSameChunkIsUploadedOnce) {
  const Bytes chunk = random_.NewBytes(16 * 1024);
  Write(0, chunk);
  ASSERT_OK(volume().Sync({}));
  const auto before = volume().status().uploaded_bytes;
  for (std::uint64_t i = 1; i < 40; ++i) Write(i * 16 * 1024, chunk);
  ASSERT_OK(volume().Sync({}));
  EXPECT_LT(volume().status().uploaded_bytes - before, 16'000u);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(VolumeTest, ARequestBeyondTheEndIsRefused) {
  Bytes out(4096);
  EXPECT_FAILS(volume().Read(kSize - 100, out), kInvalidArgument);
  EXPECT_FAILS(volume().Write(kSize, out, WriteFlag::kNone), kInvalidArgument);
  EXPECT_FAILS(volume().Trim(~std::uint64_t{0} - 4095, 4096, WriteFlag::kNone), kInvalidArgument);
}

TEST_F(VolumeTest, AReadOnlyVolumeTakesNoWrites) {
  Write(0, random_.NewBytes(4096));
  ASSERT_OK(volume().Close(CloseMode::kLeaveInJournal, {}));
  Open(machine_, {.read_only = true});
  EXPECT_TRUE(Holds(volume(), model_));  // the journal's tail included
  EXPECT_FAILS(volume().Write(0, Bytes(4096), WriteFlag::kNone), kUnsupported);
}

TEST_F(VolumeTest, ExtentsTellDataFromHoles) {
  Write(32 * 1024, random_.NewBytes(8192));
  const auto check = [&] {
    ASSERT_OK_AND_ASSIGN(const auto extents, volume().Extents(0, kSize, 10));
    ASSERT_EQ(extents.size(), 3u);
    EXPECT_TRUE(extents[0].hole && extents[0].length == 32 * 1024);
    EXPECT_TRUE(!extents[1].hole && extents[1].length == 8192);
    EXPECT_TRUE(extents[2].hole && extents[2].length == kSize - 40 * 1024);
  };
  check();
  ASSERT_OK(volume().Sync({}));
  check();
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  check();
}

// All of the volume, asked for in several steps; holes must be zeros.
void CheckExtents(Volume& volume, const ByteModel& model, std::size_t count_max) {
  for (std::uint64_t at = 0; at < kSize;) {
    ASSERT_OK_AND_ASSIGN(const auto extents, volume.Extents(at, kSize - at, count_max));
    ASSERT_FALSE(extents.empty());
    ASSERT_LE(extents.size(), count_max);
    for (const block::Extent& extent : extents) {
      ASSERT_GT(extent.length, 0u);
      ASSERT_LE(extent.length, kSize - at);
      ASSERT_EQ(extent.hole, extent.reads_zero);
      const Bytes zeros(extent.hole ? extent.length : 0, std::byte{0});
      ASSERT_FALSE(model.FirstDifference(at, zeros).has_value()) << at << "+" << extent.length;
      at += extent.length;
    }
  }
}

// Syncs go on while the tree is asked. Once the tree did not have yet what was folded meanwhile,
// and the deltas, asked after it, had it no more.
TEST_F(VolumeTest, ExtentsNeverCallAHoleWhatHoldsData) {
  for (int round = 0; round < 120; ++round) {
    for (int i = 0; i < 6; ++i) RandomRequest();
    CheckExtents(volume(), model_, 1 + random_.Below(40));
    if (random_.OneIn(2)) {
      ASSERT_OK(volume().Sync({}));
    }
    CheckExtents(volume(), model_, 1000);
    if (random_.OneIn(4)) {
      ASSERT_OK(
          volume().Close(random_.OneIn(2) ? CloseMode::kUpload : CloseMode::kLeaveInJournal, {}));
      opened_.reset();
      Open(machine_);
      CheckExtents(volume(), model_, 1000);
    }
  }
}

// Its tree had a height and no root, and the head that said so could not be read.
TEST_F(VolumeTest, AVolumeTrimmedAsAWholeOpensAgain) {
  constexpr std::uint64_t kMoreThanOnePage = 64 << 20;
  ASSERT_OK(volume().Resize(kMoreThanOnePage, Volume::Tail::kKeep));
  ASSERT_OK(volume().Write(0, random_.NewBytes(65536), WriteFlag::kNone));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  ASSERT_OK(volume().Trim(0, kMoreThanOnePage, WriteFlag::kNone));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  const Bytes data = random_.NewBytes(65536);
  ASSERT_OK(volume().Write(kMoreThanOnePage - 65536, data, WriteFlag::kNone));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  Bytes out(65536);
  ASSERT_OK(volume().Read(kMoreThanOnePage - 65536, out));
  EXPECT_EQ(out, data);
  ASSERT_OK(volume().Read(0, out));
  EXPECT_TRUE(IsZero(out));
}

TEST_F(VolumeTest, ATrimFreesWholeBlocksAndWritesNothingForTheRestOfItsRange) {
  Write(0, random_.NewBytes(8 * 4096));
  ASSERT_OK(volume().Sync({}));
  const std::uint64_t before = volume().status().acknowledged_seq;
  constexpr std::array<std::array<std::uint64_t, 2>, 4> kWithoutABlock = {
      {{100, 200}, {4000, 4096}, {1, 4095}, {8191, 2}}};
  for (const auto& range : kWithoutABlock) {
    ASSERT_OK(volume().Trim(range[0], range[1], WriteFlag::kForceUnitAccess));
  }
  EXPECT_EQ(volume().status().acknowledged_seq, before);  // nothing in the journal
  EXPECT_EQ(volume().status().behind_bytes, 0u);
  ExpectAllAsModel();
  ASSERT_OK(volume().Trim(4096 + 100, 3 * 4096, WriteFlag::kNone));  // two blocks and their edges
  model_.Trim(4096 + 100, 3 * 4096);
  EXPECT_EQ(volume().status().acknowledged_seq, before + 1);
  EXPECT_EQ(volume().status().behind_bytes, 4096u);  // no data, but it waits: it counts as a block
  ASSERT_OK_AND_ASSIGN(const auto extents, volume().Extents(0, 8 * 4096, 100));
  ASSERT_EQ(extents.size(), 3u);
  EXPECT_EQ(extents[0].length, 2u * 4096);
  EXPECT_TRUE(extents[1].hole);
  EXPECT_EQ(extents[1].length, 2u * 4096);
  ExpectAllAsModel();
  ASSERT_OK(volume().WriteZeroes(100, 5000, ZeroFlag::kNone));  // to the byte
  model_.Zero(100, 5000);
  ExpectAllAsModel();
}

TEST_F(VolumeTest, ALargeVolumeIsTrimmedAndMappedInFewSteps) {
  constexpr std::uint64_t kLarge = std::uint64_t{16} << 40;
  ASSERT_OK(volume().Resize(kLarge, Volume::Tail::kKeep));
  for (const std::uint64_t at : {std::uint64_t{0}, kLarge / 2, kLarge - 65536}) {
    ASSERT_OK(volume().Write(at, random_.NewBytes(65536), WriteFlag::kNone));
  }
  const auto check = [&](std::size_t count) {
    ASSERT_OK_AND_ASSIGN(const auto extents, volume().Extents(0, kLarge, 100));
    ASSERT_EQ(extents.size(), count);
    std::uint64_t sum = 0;
    for (const block::Extent& extent : extents) sum += extent.length;
    EXPECT_EQ(sum, kLarge);
  };
  check(5);
  ASSERT_OK(volume().Sync({}));
  check(5);
  ASSERT_OK(volume().Trim(0, kLarge, WriteFlag::kNone));
  check(1);
  ASSERT_OK(volume().Sync({}));
  check(1);
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  check(1);
  ASSERT_OK(volume().WriteZeroes(4096, kLarge - 8192, ZeroFlag::kNone));
  ASSERT_OK(volume().Write(kLarge / 4, random_.NewBytes(65536), WriteFlag::kNone));
  check(3);
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  opened_.reset();
  Open(machine_);
  check(3);
}

TEST_F(VolumeTest, APowerCutKeepsWhatWasFlushed) {
  for (const CutMode mode :
       {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset, CutMode::kPrefix}) {
    for (int i = 0; i < 10; ++i) RandomRequest();
    ASSERT_OK(volume().Flush());
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.PowerCut(mode);
    Open(machine_);
    ASSERT_TRUE(Holds(volume(), model_));
  }
}

}  // namespace
}  // namespace coffer::volume
