// Growing and shrinking: nothing beyond the new end is ever seen again, nothing inside is touched,
// whatever is written, synced, killed or reopened meanwhile.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using std::chrono::seconds;
using Tail = Volume::Tail;

constexpr std::uint64_t kSize = 2 << 20;
constexpr std::uint64_t kChunk = 16 * 1024;

class ResizeTest : public testing::Test {
 protected:
  ResizeTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = kChunk}));
    Open();
  }
  void Open(OpenOptions options = {}) {
    options.settings = settings_;
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, options));
  }
  void Kill() {
    machine_.fs.Halt();
    opened_.reset();
    machine_.fs.Crash();
    Open();
  }
  Volume& volume() { return **opened_; }
  void Write(std::uint64_t offset, std::uint64_t length) {
    const Bytes data = random_.NewBytes(length);
    ASSERT_OK(volume().Write(offset, data, WriteFlag::kNone));
    model_.Write(offset, data);
  }
  void Resize(std::uint64_t size) {
    ASSERT_OK(volume().Resize(size, Tail::kDiscard));
    model_.Resize(size);
  }
  /// From the store alone, on a machine that has never seen the volume.
  testing::AssertionResult HoldsElsewhere() {
    vault::Machine other(provider_, seed_ + 77, "other");
    OpenOptions options;
    options.read_only = true;
    options.settings = settings_;
    auto opened = OpenedVolume::Open(other, options);
    if (!opened.has_value()) return testing::AssertionFailure() << TextOf(opened.error());
    return Holds(***opened, model_);
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Settings settings_ = SmallSettings();
  ByteModel model_{kSize};
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(ResizeTest, AGrownVolumeHasZerosAtItsEndAndTakesWritesThere) {
  Write(kSize - 8192, 8192);
  Resize(kSize + 5 * 4096);
  EXPECT_TRUE(Holds(volume(), model_));
  Write(kSize + 4096, 4 * 4096);
  Write(kSize - 100, 333);
  EXPECT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_TRUE(HoldsElsewhere());
}

TEST_F(ResizeTest, TheNewSizeIsThereAfterAKillAndAfterAPowerCut) {
  machine_.line.FailAll(ErrorCode::kUnavailable);  // no head can have it
  Resize(3 * kSize);
  Write(3 * kSize - 4096, 4096);
  machine_.line.Heal();
  Kill();
  EXPECT_TRUE(Holds(volume(), model_));
  machine_.line.FailAll(ErrorCode::kUnavailable);
  ASSERT_OK(volume().Flush());
  Resize(kSize / 2);
  machine_.fs.Halt();
  opened_.reset();
  machine_.fs.PowerCut(CutMode::kDropAll);
  machine_.line.Heal();
  Open();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(ResizeTest, AGrowthBeyondTheRootsReachIsReadAndWritten) {
  Write(0, 100 * 4096);
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));  // folded: a root for 2 MiB
  Open();
  const std::uint64_t large = std::uint64_t{40} << 30;  // two levels more
  ASSERT_OK(volume().Resize(large, Tail::kKeep));
  ASSERT_OK(volume().Sync({}));
  const Bytes data = random_.NewBytes(8192);
  ASSERT_OK(volume().Write(large - 8192, data, WriteFlag::kNone));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  Open();
  EXPECT_EQ(volume().size(), large);
  Bytes out(8192);
  ASSERT_OK(volume().Read(large - 8192, out));
  EXPECT_EQ(out, data);
  Bytes begin(100 * 4096);
  ASSERT_OK(volume().Read(0, begin));
  EXPECT_FALSE(model_.FirstDifference(0, begin).has_value());
  ASSERT_OK(volume().Read(large / 2, out));
  EXPECT_TRUE(IsZero(out));
}

TEST_F(ResizeTest, ShrinkingIsRefusedUnlessTheTailMayGo) {
  Write(kSize - 4096, 4096);
  EXPECT_FAILS(volume().Resize(kSize - 4096, Tail::kKeep), kInvalidArgument);
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_OK(volume().Resize(kSize, Tail::kKeep));
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(ResizeTest, WhatWasCutOffIsNeverSeenAgain) {
  // Everywhere where it can be: in a head, in a delta, in the journal, within a chunk and beyond.
  for (const std::uint64_t cut :
       {kSize / 2, kSize / 2 + 4096, kChunk + 3 * 4096, std::uint64_t{4096}}) {
    for (int synced = 0; synced < 8; ++synced) {
      SCOPED_TRACE(testing::Message() << cut << " " << synced);
      Write(0, model_.size());
      if ((synced & 1) != 0) {
        ASSERT_OK(volume().Sync({}));
      }
      Resize(cut);
      EXPECT_TRUE(Holds(volume(), model_));
      if ((synced & 2) != 0) {
        ASSERT_OK(volume().Sync({}));
      }
      if ((synced & 4) != 0) {
        ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
        Open();
      }
      Resize(kSize + 4096);
      EXPECT_TRUE(Holds(volume(), model_));
      Write(cut, 4096);
      ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
      Open();
      EXPECT_TRUE(Holds(volume(), model_));
      EXPECT_TRUE(HoldsElsewhere());
    }
  }
}

TEST_F(ResizeTest, NothingIsReadOrWrittenBeyondTheNewEnd) {
  Resize(kSize / 2);
  Bytes out(4096);
  const Bytes data = random_.NewBytes(4096);
  for (const std::uint64_t offset : {kSize / 2, kSize / 2 - 1, kSize - 4096}) {
    EXPECT_FAILS(volume().Read(offset, out), kInvalidArgument);
    EXPECT_FAILS(volume().Write(offset, data, WriteFlag::kNone), kInvalidArgument);
    EXPECT_FAILS(volume().Trim(offset, 4096, WriteFlag::kNone), kInvalidArgument);
    EXPECT_FALSE(volume().TryWrite({{{offset, data}}}).has_value());
  }
  EXPECT_OK(volume().Write(kSize / 2 - 4096, data, WriteFlag::kNone));
}

TEST_F(ResizeTest, SizesThatCannotBeAreRefused) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kSize + 1, kSize - 512,
                                   (std::uint64_t{16} << 40) + 4096, ~std::uint64_t{0}}) {
    EXPECT_FAILS(volume().Resize(size, Tail::kDiscard), kInvalidArgument);
  }
  EXPECT_TRUE(Holds(volume(), model_));
  Open({.read_only = true});
  EXPECT_FAILS(volume().Resize(2 * kSize, Tail::kKeep), kUnsupported);
}

TEST_F(ResizeTest, AWriteThatWaitedWhileItsPlaceWasCutOffIsRefused) {
  settings_.segment_bytes = 64 * 1024;
  settings_.journal_bytes_max = 512 * 1024;
  Open();
  machine_.line.FailAll(ErrorCode::kUnavailable);
  Write(0, 300 * 1024);
  Status resized = Fail(ErrorCode::kCancelled, "not yet");
  const auto cut = machine_.work_executor.PostAfter(seconds(10), [&] {
    resized = volume().Resize(kSize / 2, Tail::kDiscard);
    model_.Resize(kSize / 2);
  });
  const auto heal = machine_.work_executor.PostAfter(seconds(20), [&] { machine_.line.Heal(); });
  const Bytes data(64 * 1024 * 5, std::byte{7});
  EXPECT_FAILS(volume().Write(kSize - data.size(), data, WriteFlag::kNone), kInvalidArgument);
  EXPECT_OK(resized);
  EXPECT_TRUE(Holds(volume(), model_));
  Resize(kSize);
  EXPECT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  EXPECT_TRUE(HoldsElsewhere());
}

TEST_F(ResizeTest, BehavesLikeADiskThroughAnySequence) {
  for (int step = 0; step < 300; ++step) {
    SCOPED_TRACE(step);
    switch (random_.Below(16)) {
      case 0:
      case 1:
        Resize((1 + random_.Below(3 * kSize / 4096)) * 4096);
        break;
      case 2:
        ASSERT_OK(volume().Sync({}));
        break;
      case 3:
        ASSERT_OK(
            volume().Close(random_.OneIn(2) ? CloseMode::kUpload : CloseMode::kLeaveInJournal, {}));
        Open();
        break;
      case 4:
        Kill();
        break;
      case 5:
        machine_.scheduler.RunFor(seconds(70));
        break;
      default: {
        const std::uint64_t offset = random_.Below(model_.size());
        const std::uint64_t most = std::min<std::uint64_t>(model_.size() - offset, 60'000);
        const std::uint64_t length = 1 + random_.Below(most);
        if (random_.OneIn(4)) {
          ASSERT_OK(volume().Trim(offset, length, WriteFlag::kNone));
          model_.Trim(offset, length);
        } else {
          Write(offset, length);
        }
      }
    }
    if (HasFatalFailure()) return;
    if (step % 30 == 0) {
      ASSERT_TRUE(Holds(volume(), model_));
    }
  }
  ASSERT_TRUE(Holds(volume(), model_));
  ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
  EXPECT_TRUE(HoldsElsewhere());
}

/// Real threads: writers and readers at work over the whole of the larger size while it shrinks and
/// grows. What a read gives is a stamp that was written there, zeros, or an error; in the end the
/// tail holds only what was written after the last growth.
TEST(ResizeConcurrency, WritersAndReadersGoOnMeanwhile) {
  store::MemoryStore provider;
  vault::Machine machine(provider, TestSeed());
  const auto fetch = NewThreadExecutor("fetch", 2);
  const auto work = NewThreadExecutor("work", 2);
  const auto sync = NewThreadExecutor("sync", 2);
  vault::Environment env{machine.fs,
                         machine.clock,
                         machine.random,
                         *sync,
                         *work,
                         *fetch,
                         vault::kCheapKdf,
                         vault::kCheapBounds,
                         machine.env.state_directory,
                         "threads"};
  constexpr std::uint64_t kLarge = 1 << 20;
  constexpr std::uint64_t kSmall = 256 * 1024;
  ASSERT_OK_AND_ASSIGN(
      const auto vault,
      vault::Vault::Create(env, machine.Store(), vault::Password("x"),
                           {.name = "photos", .size = kLarge, .chunk_size = kChunk}));
  cache::FrameCache frames(1 << 20);
  VaultResources resources(*vault, frames, nullptr);
  ASSERT_OK_AND_ASSIGN(const auto listed, vault->FindVolume("photos"));
  OpenOptions options;
  options.settings.sync_bytes = 128 * 1024;
  options.settings.segment_bytes = 512 * 1024;
  ASSERT_OK_AND_ASSIGN(const auto volume, Volume::Open(resources, listed.id, options));

  std::atomic<bool> stop{false};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 3; ++writer) {
    threads.emplace_back([&, writer] {
      SeededRandom random(static_cast<std::uint64_t>(writer) + 1);
      while (!stop) {
        const std::uint64_t offset = random.Below(kLarge / 4096) * 4096;
        const Bytes stamp(4096, static_cast<std::byte>(1 + offset / 4096 % 255));
        const Status written = volume->Write(offset, stamp, WriteFlag::kNone);
        if (!written.has_value()) {
          EXPECT_EQ(written.error().code, ErrorCode::kInvalidArgument) << written.error().message;
          ++refused;
        }
      }
    });
  }
  threads.emplace_back([&] {
    SeededRandom random(99);
    while (!stop) {
      const std::uint64_t offset = random.Below(kLarge / 4096) * 4096;
      const auto stamp = static_cast<std::byte>(1 + offset / 4096 % 255);
      Bytes out(4096);
      if (!volume->Read(offset, out).has_value()) continue;
      EXPECT_TRUE(out == Bytes(4096, stamp) || IsZero(out)) << "at " << offset;
    }
  });
  for (int round = 0; round < 60 || refused < 20; ++round) {
    ASSERT_OK(volume->Resize(kSmall, Tail::kDiscard));
    ASSERT_OK(volume->Resize(kLarge, Tail::kKeep));
  }
  ASSERT_OK(volume->Resize(kSmall, Tail::kDiscard));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(volume->Resize(kLarge, Tail::kKeep));
  for (int synced = 0; synced < 2; ++synced) {
    Bytes tail(kLarge - kSmall);
    ASSERT_OK(volume->Read(kSmall, tail));
    EXPECT_TRUE(IsZero(tail));
    ASSERT_OK(volume->Sync({}));
  }
  ASSERT_OK(volume->Close(CloseMode::kUpload, {}));
}

}  // namespace
}  // namespace coffer::volume
