#include "core/cache/disk_cache.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "core/base/log.h"
#include "tests/cache/memory_index.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::cache {
namespace {

constexpr std::uint32_t kWindow = DiskCache::kWindowBytes;
constexpr char kDirectory[] = "/home/user/cache/coffer";
constexpr char kFrames[] = "/home/user/cache/coffer/frames";

class DiskCacheTest : public testing::Test {
 protected:
  DiskCacheTest() {
    SetLogLevel(LogLevel::kError);
    fs_.AddDirectories("/home/user");
    Open();
  }

  void Open(std::uint64_t bytes_max = 16 * kWindow) {
    cache_.reset();
    cache_ = std::make_unique<DiskCache>(
        fs_, clock_, DiskCache::Options{.directory = kDirectory, .bytes_max = bytes_max},
        OpenMemoryIndex(index_));
    cache_->Start();
  }

  static WindowKey Key(std::uint64_t number) {
    WindowKey key;
    StoreLe<std::uint64_t>(key.bytes.data(), (number + 1) * 0x9E3779B97F4A7C15u);
    StoreLe<std::uint64_t>(key.bytes.data() + 8, number);
    return key;
  }
  /// What window `number` holds.
  static Bytes Content(std::uint64_t number, std::size_t size = kWindow) {
    return SeededRandom(number + 77).NewBytes(size);
  }
  void Insert(std::uint64_t number, std::size_t size = kWindow) {
    cache_->Insert(Key(number), Content(number, size));
  }
  bool Holds(std::uint64_t number, std::size_t size = kWindow) {
    Bytes out(size);
    if (!cache_->Read(Key(number), 0, out)) return false;
    EXPECT_TRUE(out == Content(number, size)) << number;
    return true;
  }
  [[nodiscard]] std::uint64_t BytesOnDisk() {
    const auto space = fs_.Space("/");
    return space->total_bytes - space->free_bytes;
  }

  FakeClock clock_;
  FaultyFileSystem fs_{TestSeed()};
  MemoryIndexDisk index_;
  std::unique_ptr<DiskCache> cache_;
};

TEST_F(DiskCacheTest, GivesBackPartsOfWhatWasPutIn) {
  Insert(1);
  Insert(2, 10'000);
  EXPECT_TRUE(Holds(1));
  EXPECT_TRUE(Holds(2, 10'000));
  Bytes out(5000);
  ASSERT_TRUE(cache_->Read(Key(1), 100'001, out));
  const Bytes whole = Content(1);
  EXPECT_TRUE(std::equal(out.begin(), out.end(), whole.begin() + 100'001));
  EXPECT_FALSE(cache_->Read(Key(2), 5001, out));  // beyond its end
  EXPECT_FALSE(cache_->Read(Key(3), 0, out));
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, ANewProcessFindsWhatTheOldOneKept) {
  for (std::uint64_t i = 0; i < 10; ++i) Insert(i, kWindow - i * 1000);
  Open();
  for (std::uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(Holds(i, kWindow - i * 1000)) << i;
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, StaysWithinItsBoundOnDiskAtAllTimes) {
  SeededRandom random(TestSeed());
  const std::uint64_t bound = 16 * kWindow;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t number = random.Below(300);
    Insert(number, number % 3 == 0 ? kWindow : 1 + number * 799 % kWindow);
    ASSERT_LE(BytesOnDisk(), bound) << step;
    ASSERT_LE(cache_->numbers().used_bytes, bound);
    if (random.OneIn(5)) cache_->Drop(Key(random.Below(300)));
    if (random.OneIn(200)) Open();
  }
  cache_->CheckInvariants();
  EXPECT_GE(cache_->numbers().used_bytes, bound * 8 / 10);  // and makes use of it
}

TEST_F(DiskCacheTest, CountsAWholeWindowWhereSpaceCannotBeGivenBack) {
  fs_.AddFault({.call = FsCall::kDiscard, .repeat = FaultRepeat::kSticky, .error_number = 95});
  Open();
  for (std::uint64_t i = 0; i < 100; ++i) {
    Insert(i, 5000 + i * 1000);
    ASSERT_LE(BytesOnDisk(), 16 * kWindow);
  }
  EXPECT_EQ(cache_->numbers().windows, 16U);
  Open();
  for (std::uint64_t i = 100; i < 140; ++i) Insert(i, 6000);
  EXPECT_LE(cache_->numbers().used_bytes, 16 * kWindow);
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, TakesAtMostATenthOfTheFreeDisk) {
  fs_.SetTotalBytes(100 * kWindow);
  Open(1000 * kWindow);
  for (std::uint64_t i = 0; i < 40; ++i) Insert(i);
  EXPECT_LE(BytesOnDisk(), 10 * kWindow);
  EXPECT_GE(cache_->numbers().windows, 8U);
}

TEST_F(DiskCacheTest, ASmallerBoundGivesSpaceBackAtOnce) {
  for (std::uint64_t i = 0; i < 16; ++i) Insert(i);
  Open(4 * kWindow);
  EXPECT_LE(BytesOnDisk(), 4 * kWindow);
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, ABoundLoweredWhileItRunsIsKeptFromTheNextReadOn) {
  for (std::uint64_t i = 0; i < 16; ++i) Insert(i);
  cache_->SetBytesMax(4 * kWindow);
  Holds(1);
  EXPECT_LE(BytesOnDisk(), 4 * kWindow);
  cache_->SetBytesMax(0);
  Holds(1);
  EXPECT_EQ(cache_->numbers().windows, 0U);
  cache_->SetBytesMax(16 * kWindow);
  Insert(1);
  EXPECT_TRUE(Holds(1));
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, AHotSetSurvivesAScanFourTimesItsSize) {
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < 8; ++i) {
      if (!Holds(i)) Insert(i);
    }
    clock_.Advance(std::chrono::minutes(1));
  }
  for (std::uint64_t i = 100; i < 164; ++i) Insert(i);
  int left = 0;
  for (std::uint64_t i = 0; i < 8; ++i) left += Holds(i) ? 1 : 0;
  EXPECT_EQ(left, 8);
}

TEST_F(DiskCacheTest, AHotSetSurvivesARestartAndAScan) {
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < 8; ++i) {
      if (!Holds(i)) Insert(i);
    }
    clock_.Advance(std::chrono::minutes(1));
  }
  for (std::uint64_t i = 50; i < 66; ++i) Insert(i);  // moves the hot ones to the main queue
  Open();
  for (std::uint64_t i = 100; i < 164; ++i) Insert(i);
  int left = 0;
  for (std::uint64_t i = 0; i < 8; ++i) left += Holds(i) ? 1 : 0;
  EXPECT_EQ(left, 8);
}

TEST_F(DiskCacheTest, WhatCameAfterARestartOutlivesWhatWasThereBefore) {
  for (std::uint64_t i = 0; i < 100; ++i) Insert(i);
  Open();
  for (std::uint64_t i = 200; i < 204; ++i) Insert(i);
  Open();
  for (std::uint64_t i = 300; i < 304; ++i) Insert(i);
  for (std::uint64_t i = 200; i < 204; ++i) EXPECT_TRUE(Holds(i)) << i;
}

TEST_F(DiskCacheTest, WhatWasFetchedAgainReplacesWhatWasThere) {
  Insert(1, 5000);
  Insert(1);
  EXPECT_TRUE(Holds(1));
  Open();
  EXPECT_TRUE(Holds(1));
  EXPECT_EQ(cache_->numbers().windows, 1U);
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, ADiskThatFillsUpGetsSpaceBackFromACacheThatIsOnlyRead) {
  fs_.SetTotalBytes(200 * kWindow);
  Open();
  for (std::uint64_t i = 0; i < 16; ++i) Insert(i);
  fs_.SetTotalBytes(40 * kWindow);  // the others use the rest
  clock_.Advance(std::chrono::minutes(2));
  Holds(1);
  EXPECT_LE(BytesOnDisk(), 4 * kWindow);
  EXPECT_GE(cache_->numbers().windows, 1U);
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, AFullDiskTurnsCachingOffForAWhile) {
  for (std::uint64_t i = 0; i < 4; ++i) Insert(i);
  fs_.SetTotalBytes(BytesOnDisk());
  Insert(10);
  EXPECT_FALSE(Holds(10));
  const std::uint64_t after = BytesOnDisk();
  EXPECT_LT(after, 4 * kWindow);  // what it has goes back to the user, but for its share
  Insert(11);
  EXPECT_EQ(BytesOnDisk(), after);
  fs_.SetTotalBytes(std::uint64_t{1} << 40);
  Insert(12);
  EXPECT_FALSE(Holds(12));  // not yet
  clock_.Advance(std::chrono::minutes(2));
  Insert(13);  // tries again, and finds the space
  for (std::uint64_t i = 20; i < 30; ++i) Insert(i);
  EXPECT_GE(cache_->numbers().windows, 1U);
  cache_->CheckInvariants();
}

TEST_F(DiskCacheTest, WithoutADirectoryItIsOffAndComesBack) {
  cache_.reset();
  fs_.SetReadOnly();
  Open();
  fs_.PowerCut(CutMode::kKeepAll);
  Insert(1);
  EXPECT_FALSE(cache_->numbers().on && Holds(1));
}

TEST_F(DiskCacheTest, ADirectoryThatIsRemovedIsMadeAnew) {
  Insert(1);
  ASSERT_OK(fs_.Remove(kFrames));
  cache_->Flush();
  EXPECT_FALSE(cache_->numbers().on);
  EXPECT_FALSE(Holds(1));
  clock_.Advance(std::chrono::minutes(2));
  Insert(2);
  EXPECT_TRUE(Holds(2));
  Open();
  EXPECT_TRUE(Holds(2));
  EXPECT_FALSE(Holds(1));
}

TEST_F(DiskCacheTest, ADirectoryThatIsRemovedIsLetGoByReaders) {
  Insert(1);
  cache_->Flush();
  ASSERT_OK(fs_.Remove(kFrames));
  EXPECT_TRUE(Holds(1));  // the file lives on, and its space
  clock_.Advance(std::chrono::minutes(2));
  EXPECT_FALSE(Holds(1));
  EXPECT_FALSE(cache_->numbers().on);
}

TEST_F(DiskCacheTest, WithoutTheFileRowsMeanNothing) {
  for (std::uint64_t i = 0; i < 5; ++i) Insert(i);
  cache_.reset();
  ASSERT_OK(fs_.Remove(kFrames));
  Open();
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_FALSE(Holds(i));
  Insert(7);
  Open();
  EXPECT_TRUE(Holds(7));
  EXPECT_EQ(index_.rows.size(), 1U);
}

TEST_F(DiskCacheTest, WithoutTheIndexItsSpaceIsGivenBack) {
  for (std::uint64_t i = 0; i < 10; ++i) Insert(i);
  cache_.reset();
  index_.rows.clear();
  Open();
  EXPECT_EQ(BytesOnDisk(), 0U);
  EXPECT_EQ(cache_->numbers().windows, 0U);
}

TEST_F(DiskCacheTest, RowsThatCannotBeAreNotBelieved) {
  for (std::uint64_t i = 0; i < 4; ++i) Insert(i);
  cache_.reset();
  index_.rows[100] = {.slot = 100, .key = Key(100), .length = 5};  // beyond the file
  index_.rows[0xFFFFFFFF] = {.slot = 0xFFFFFFFF, .key = Key(101), .length = 5};
  index_.rows[0].length = kWindow + 1;
  index_.rows[1].length = 0;
  index_.rows[2].key = index_.rows[3].key;  // twice
  Open();
  cache_->CheckInvariants();
  EXPECT_LE(cache_->numbers().windows, 2U);
  EXPECT_FALSE(Holds(0));
  EXPECT_FALSE(Holds(1));
  cache_->Flush();
  EXPECT_FALSE(index_.rows.contains(100));
}

TEST_F(DiskCacheTest, AnIndexThatFailsTurnsTheCacheOffForAWhile) {
  Insert(1);
  index_.apply_fails = ErrorCode::kCorruption;
  cache_->Flush();
  EXPECT_FALSE(cache_->numbers().on);
  EXPECT_FALSE(Holds(1));
  index_.apply_fails.reset();
  clock_.Advance(std::chrono::minutes(2));
  Insert(2);
  EXPECT_TRUE(Holds(2));
}

TEST_F(DiskCacheTest, AReadErrorDropsTheWindow) {
  Insert(1);
  fs_.AddFault({.call = FsCall::kRead, .path_contains = "frames"});
  EXPECT_FALSE(Holds(1));
  EXPECT_EQ(cache_->numbers().dropped, 1U);
  EXPECT_FALSE(Holds(1));
  Insert(1);
  EXPECT_TRUE(Holds(1));
}

TEST_F(DiskCacheTest, TwoProcessesDoNotShareIt) {
  Insert(1);
  DiskCache other(fs_, clock_, {.directory = kDirectory, .bytes_max = 16 * kWindow},
                  OpenMemoryIndex(index_));
  other.Start();
  EXPECT_FALSE(other.numbers().on);
  other.Insert(Key(5), Content(5));
  EXPECT_TRUE(Holds(1));
}

TEST_F(DiskCacheTest, EveryFailingCallCostsFetchesAndNothingElse) {
  // Each call of a run, from opening on, fails once and for good.
  for (const FaultRepeat repeat : {FaultRepeat::kOnce, FaultRepeat::kSticky}) {
    for (std::uint64_t nth = 1; nth < 80; ++nth) {
      cache_.reset();
      fs_.ClearFaults();
      fs_.AddFault({.nth = nth, .repeat = repeat, .error_number = nth % 2 == 0 ? 28 : 5});
      Open(6 * kWindow);
      for (std::uint64_t i = 0; i < 20; ++i) {
        Insert(i, i % 4 == 0 ? 9000 : kWindow);
        if (i >= 2) Holds(i - 2, (i - 2) % 4 == 0 ? 9000 : kWindow);  // right or not there
      }
      cache_->Flush();
      cache_->CheckInvariants();
      ASSERT_LE(cache_->numbers().used_bytes, 6 * kWindow);
    }
  }
}

/// Lets a test act between the decision what to read and the reading.
class HookedFile final : public File {
 public:
  HookedFile(std::unique_ptr<File> inner, const std::function<void()>& before_read)
      : inner_(std::move(inner)), before_read_(before_read) {}
  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    if (before_read_) before_read_();
    return inner_->ReadAt(offset, out);
  }
  Status WriteAt(std::uint64_t offset, ByteView data) override {
    return inner_->WriteAt(offset, data);
  }
  Status SyncData() override { return inner_->SyncData(); }
  Status Truncate(std::uint64_t size) override { return inner_->Truncate(size); }
  Status Allocate(std::uint64_t size) override { return inner_->Allocate(size); }
  Status Discard(std::uint64_t offset, std::uint64_t length) override {
    return inner_->Discard(offset, length);
  }
  Result<std::uint64_t> Size() override { return inner_->Size(); }
  Result<FileInfo> Info() override { return inner_->Info(); }

 private:
  const std::unique_ptr<File> inner_;
  const std::function<void()>& before_read_;
};

class HookedFileSystem final : public FileSystem {
 public:
  explicit HookedFileSystem(FileSystem& inner) : inner_(inner) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(auto file, inner_.Open(path, mode));
    return std::make_unique<HookedFile>(std::move(file), before_read);
  }
  Status CreateDirectory(const std::string& path) override { return inner_.CreateDirectory(path); }
  Status SyncDirectory(const std::string& path) override { return inner_.SyncDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return inner_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return inner_.Link(from, to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    return inner_.RenameNoReplace(from, to);
  }
  Status Remove(const std::string& path) override { return inner_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return inner_.RemoveDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return inner_.List(path);
  }
  Result<FileInfo> Stat(const std::string& path) override { return inner_.Stat(path); }
  Result<SpaceInfo> Space(const std::string& path) override { return inner_.Space(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return inner_.Lock(path);
  }

  std::function<void()> before_read;

 private:
  FileSystem& inner_;
};

TEST_F(DiskCacheTest, ASlotGivenAwayWhileItIsReadIsAMiss) {
  cache_.reset();
  HookedFileSystem hooked(fs_);
  DiskCache cache(hooked, clock_, {.directory = kDirectory, .bytes_max = 4 * kWindow},
                  OpenMemoryIndex(index_));
  cache.Start();
  for (std::uint64_t i = 0; i < 4; ++i) cache.Insert(Key(i), Content(i));
  int given_away = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    if (!cache.Contains(Key(i))) continue;
    hooked.before_read = [&] {
      for (std::uint64_t other = 100 * (i + 1); cache.Contains(Key(i)); ++other)
        cache.Insert(Key(other), Content(other));
    };
    Bytes out(kWindow);
    EXPECT_FALSE(cache.Read(Key(i), 0, out));
    ++given_away;
  }
  EXPECT_GT(given_away, 0);
  cache.CheckInvariants();
}

TEST_F(DiskCacheTest, GoingOffWhileItIsReadIsAMiss) {
  cache_.reset();
  HookedFileSystem hooked(fs_);
  DiskCache cache(hooked, clock_, {.directory = kDirectory, .bytes_max = 4 * kWindow},
                  OpenMemoryIndex(index_));
  cache.Start();
  cache.Insert(Key(1), Content(1));
  hooked.before_read = [&] {
    index_.apply_fails = ErrorCode::kIoError;
    cache.Flush();
  };
  Bytes out(kWindow);
  EXPECT_FALSE(cache.Read(Key(1), 0, out));
  EXPECT_FALSE(cache.numbers().on);
}

TEST_F(DiskCacheTest, NamesAndIndexTellNothingOfPacks) {
  Insert(1);
  cache_->Flush();
  for (const std::string& path : fs_.Files()) {
    EXPECT_TRUE(path == kFrames || path == std::string(kDirectory) + "/cache-lock") << path;
  }
}

}  // namespace
}  // namespace coffer::cache
