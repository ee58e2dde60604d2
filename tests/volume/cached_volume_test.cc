// Reads through the disk cache: what they cost the store, and that they are right whatever has
// happened to the cache.
#include <gtest/gtest.h>

#include "core/map/block_map.h"
#include "core/vault/head_chain.h"
#include "core/volume/volume.h"
#include "tests/cache/memory_index.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using store::StoreOperation;

constexpr std::uint64_t kSize = 12 << 20;
constexpr std::uint64_t kWindow = cache::SealedWindows::kWindowBytes;
constexpr char kDirectory[] = "/home/user/cache/coffer";
constexpr char kFrames[] = "/home/user/cache/coffer/frames";

class CachedVolumeTest : public testing::Test {
 protected:
  CachedVolumeTest() : writer_(provider_, seed_), machine_(provider_, seed_ + 9, "b") {}

  /// A volume full of incompressible data, written by another machine and closed; then opened here.
  void SetUp() override {
    ASSERT_OK(writer_.Create({.name = "photos", .size = kSize, .chunk_size = 64 * 1024}));
    Settings settings = SmallSettings();
    settings.journal_bytes_max = 64 << 20;
    settings.sync_bytes = 4 << 20;
    settings.pack_bytes_target = 2 << 20;
    ASSERT_OK_AND_ASSIGN(const auto writer, OpenedVolume::Open(writer_, {.settings = settings}));
    for (std::uint64_t offset = 0; offset < kSize; offset += 1 << 18) {
      const Bytes data = random_.NewBytes(1 << 18);
      ASSERT_OK((*writer)->Write(offset, data, block::WriteFlag::kNone));
      model_.Write(offset, data);
    }
    ASSERT_OK((*writer)->Sync({}));
    for (int i = 0; i < 20; ++i) {  // patches in packs of their own
      const std::uint64_t offset = random_.Below(kSize / 4096) * 4096;
      const Bytes data = random_.NewBytes(4096);
      ASSERT_OK((*writer)->Write(offset, data, block::WriteFlag::kNone));
      model_.Write(offset, data);
    }
    ASSERT_OK((*writer)->Close(CloseMode::kUpload, {}));
    OpenAll();
  }

  /// As after a restart of the daemon: nothing is in memory.
  void OpenAll(std::uint64_t bytes_max = 256 * kWindow) {
    opened_.reset();
    cache_.reset();
    cache_ = std::make_unique<cache::DiskCache>(
        machine_.fs, machine_.clock,
        cache::DiskCache::Options{.directory = kDirectory, .bytes_max = bytes_max},
        cache::OpenMemoryIndex(index_));
    cache_->Start();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.read_only = true, .settings = {}},
                                                     "photos", cache_.get()));
  }
  void CloseAll() {
    opened_.reset();
    cache_.reset();
  }
  Volume& volume() { return **opened_; }
  [[nodiscard]] std::size_t gets() const { return machine_.wire.count(StoreOperation::kGetRange); }
  void Read(std::uint64_t offset, std::uint64_t length) {
    Bytes out(length);
    ASSERT_OK(volume().Read(offset, out));
    ASSERT_FALSE(model_.FirstDifference(offset, out).has_value());
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine writer_;
  vault::Machine machine_;
  SeededRandom random_{seed_ + 1};
  ByteModel model_{kSize};
  cache::MemoryIndexDisk index_;
  std::unique_ptr<cache::DiskCache> cache_;
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(CachedVolumeTest, TheSecondColdReadAsksTheStoreNothing) {
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_GT(gets(), 0U);
  CloseAll();
  machine_.wire.Clear();
  OpenAll();  // its deltas and pages too
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_EQ(gets(), 0U);
}

TEST_F(CachedVolumeTest, TheStoreIsAskedInAlignedWindows) {
  EXPECT_TRUE(Holds(volume(), model_));
  for (const StoreRequest& request : machine_.wire.requests()) {
    if (request.operation != StoreOperation::kGetRange) continue;
    EXPECT_EQ(request.offset % kWindow, 0U) << request;
    EXPECT_EQ(request.length % kWindow, 0U) << request;
  }
}

TEST_F(CachedVolumeTest, AWholeReadFetchesEachWindowOnce) {
  EXPECT_TRUE(Holds(volume(), model_));
  std::set<std::pair<std::string, std::uint64_t>> windows;
  for (const StoreRequest& request : machine_.wire.requests()) {
    if (request.operation != StoreOperation::kGetRange) continue;
    for (std::uint64_t at = 0; at < request.length; at += kWindow)
      EXPECT_TRUE(windows.emplace(request.name, request.offset + at).second) << request;
  }
}

TEST_F(CachedVolumeTest, AColdBlockWithItsPagesAtHandIsOneRequest) {
  Read(0, 4096);  // the pages come along
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t offset = random_.Below(kSize / 4096) * 4096;
    opened_->resources().windows().Clear();
    const std::size_t before = gets();
    Read(offset, 4096);
    EXPECT_LE(gets() - before, 1U);
  }
}

TEST_F(CachedVolumeTest, ALargeReadIsFewRequests) {
  Read(0, 4096);
  const std::size_t before = gets();
  Read(1 << 20, 4 << 20);
  const std::size_t ahead = opened_->resources().windows().numbers().ahead_fetches;
  EXPECT_LE(gets() - before - ahead, 14U);  // 17 windows or more, and those of some patches
}

TEST_F(CachedVolumeTest, ASequentialReaderIsReadAheadForAndARandomOneIsNot) {
  for (int i = 0; i < 40; ++i) Read((static_cast<std::uint64_t>(i) * 37 % 192) * 65536, 4096);
  EXPECT_EQ(opened_->resources().windows().numbers().ahead_fetches, 0U);
  OpenAll(1);  // without the cache
  for (std::uint64_t offset = 0; offset < 2 << 20; offset += 65536) Read(offset, 65536);
  const auto numbers = opened_->resources().windows().numbers();
  EXPECT_GT(numbers.ahead_fetches, 0U);
  EXPECT_LE(numbers.fetched_bytes, 9u << 20);  // three times what was read, at most
}

TEST_F(CachedVolumeTest, DamageInTheCacheIsFoundAndFetchedAnew) {
  EXPECT_TRUE(Holds(volume(), model_));
  CloseAll();
  const auto size = machine_.fs.Contents(kFrames)->size();
  for (std::uint64_t at = random_.Below(20'000); at < size; at += 1 + random_.Below(40'000))
    machine_.fs.Damage(kFrames, at, std::byte{16});
  OpenAll();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_GT(cache_->numbers().dropped, 0U);
  CloseAll();
  machine_.wire.Clear();
  OpenAll();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_EQ(gets(), 0U);  // whole again
}

TEST_F(CachedVolumeTest, ACacheCutShortOrGoneCostsFetchesOnly) {
  for (int kind = 0; kind < 4; ++kind) {
    EXPECT_TRUE(Holds(volume(), model_));
    CloseAll();
    switch (kind) {
      case 0: {
        ASSERT_OK_AND_ASSIGN(const auto file,
                             machine_.fs.Open(kFrames, FileSystem::OpenMode::kReadWrite));
        ASSERT_OK(file->Truncate(5 * kWindow + 1000));
        break;
      }
      case 1:
        ASSERT_OK(machine_.fs.Remove(kFrames));
        break;
      case 2:
        index_.rows.clear();
        break;
      default:  // an index of another time: every row says something wrong
        for (auto& [slot, row] : index_.rows) row.key = index_.rows.begin()->second.key;
        for (auto& [slot, row] : index_.rows) row.key.bytes[0] ^= static_cast<std::byte>(slot);
        break;
    }
    OpenAll();
    EXPECT_TRUE(Holds(volume(), model_)) << kind;
  }
}

TEST_F(CachedVolumeTest, RowsOfWrongSlotsAreFoundOut) {
  EXPECT_TRUE(Holds(volume(), model_));
  CloseAll();
  ASSERT_GT(index_.rows.size(), 10U);
  auto first = index_.rows.begin();
  for (auto row = std::next(first); row != index_.rows.end(); ++row)
    std::swap(first->second.key, row->second.key);
  OpenAll();
  EXPECT_TRUE(Holds(volume(), model_));
  EXPECT_GT(cache_->numbers().dropped, 0U);
}

TEST_F(CachedVolumeTest, AFullDiskIsNoErrorOfARead) {
  const auto space = machine_.fs.Space("/");
  machine_.fs.SetTotalBytes(space->total_bytes - space->free_bytes + 3 * kWindow);
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CachedVolumeTest, ACacheThatFailsInEveryWayIsNoErrorOfARead) {
  machine_.fs.AddFault({.path_contains = kDirectory, .repeat = FaultRepeat::kSticky});
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CachedVolumeTest, AStoreThatSendsDamageOnceIsAskedAgain) {
  machine_.line.AddFault(
      {.kind = StoreFaultKind::kCorruptBody, .operation = StoreOperation::kGetRange, .nth = 3});
  EXPECT_TRUE(Holds(volume(), model_));
  OpenAll();  // what was cached of it heals too
  EXPECT_TRUE(Holds(volume(), model_));
}

// Apart from damage, which it could meet at the second asking: that is an error then.
TEST_F(CachedVolumeTest, AStoreThatSendsTooLittleOnceIsAskedAgain) {
  machine_.line.AddFault(
      {.kind = StoreFaultKind::kTruncatedBody, .operation = StoreOperation::kGetRange, .nth = 9});
  EXPECT_TRUE(Holds(volume(), model_));
  OpenAll();
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CachedVolumeTest, AStoreThatSendsDamageAlwaysIsAnError) {
  machine_.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                          .operation = StoreOperation::kGetRange,
                          .count = StoreFault::kForever});
  int failed = 0;
  for (std::uint64_t offset = 0; offset < kSize; offset += 65536) {
    Bytes out(65536);
    const Status status = volume().Read(offset, out);
    if (status.has_value()) {
      ASSERT_FALSE(model_.FirstDifference(offset, out).has_value());
    } else {
      EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
      ++failed;
    }
  }
  EXPECT_GT(failed, 0);
}

TEST_F(CachedVolumeTest, AFrameOfOtherContentIsAnErrorFromTheDiskCacheToo) {
  ASSERT_OK_AND_ASSIGN(const auto found, opened_->vault().FindVolume("photos"));
  ASSERT_OK_AND_ASSIGN(const auto directory, opened_->vault().VolumeDirectory(found.id));
  vault::HeadChain chain(opened_->vault(), found.id, directory);
  ASSERT_OK_AND_ASSIGN(const auto newest, chain.Load());
  const map::Tree tree{.chunk_size = newest.head.chunk_size,
                       .level = newest.head.map.level,
                       .root = newest.head.map.page};
  VaultResources& resources = opened_->resources();
  ASSERT_OK_AND_ASSIGN(const format::Pieces pieces, map::Lookup(resources.pages(), tree, 3));
  ASSERT_FALSE(pieces.empty());
  const format::FrameRef& frame = pieces[0].frame;
  ContentId other = pieces[0].content;
  other.bytes[0] ^= std::byte{1};
  EXPECT_FAILS(resources.reader().ReadData(frame, other), kCorruption);
  resources.windows().Clear();
  const auto hits = cache_->numbers().hits;
  EXPECT_FAILS(resources.reader().ReadData(frame, other), kCorruption);
  ASSERT_OK(resources.reader().ReadData(frame, pieces[0].content));
  EXPECT_GT(cache_->numbers().hits, hits);
}

TEST_F(CachedVolumeTest, PowerCutsLeaveReadsRight) {
  // The cache is small, so that slots change hands; the index is that of another moment each time.
  OpenAll(20 * kWindow);
  std::vector<std::map<std::uint32_t, cache::IndexRow>> moments{{}};
  for (int cut = 0; cut < 12; ++cut) {
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t length = (1 + random_.Below(40)) * 4096;
      Read(random_.Below((kSize - length) / 4096) * 4096, length);
      if (HasFatalFailure()) return;
      if (i % 7 == 0) moments.push_back(index_.rows);
    }
    machine_.fs.Halt();
    CloseAll();
    const CutMode modes[] = {CutMode::kRandomSubset, CutMode::kDropAll, CutMode::kPrefix,
                             CutMode::kKeepAll};
    machine_.fs.PowerCut(modes[random_.Below(4)]);
    if (!random_.OneIn(3)) index_.rows = moments[random_.Below(moments.size())];
    OpenAll(20 * kWindow);
    cache_->CheckInvariants();
  }
  EXPECT_TRUE(Holds(volume(), model_));
}

TEST_F(CachedVolumeTest, TheSameSeedGivesTheSameRequests) {
  const auto run = [this] {
    vault::Machine machine(provider_, 42, "c");
    cache::MemoryIndexDisk index;
    cache::DiskCache disk(machine.fs, machine.clock,
                          {.directory = kDirectory, .bytes_max = 20 * kWindow},
                          cache::OpenMemoryIndex(index));
    disk.Start();
    {
      const auto opened =
          OpenedVolume::Open(machine, {.read_only = true, .settings = {}}, "photos", &disk);
      EXPECT_OK(opened);
      EXPECT_TRUE(Holds(***opened, model_));
    }
    return std::pair(machine.fs.digest(), machine.scheduler.digest());
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace coffer::volume
