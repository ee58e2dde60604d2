// The image file through system calls: what is read and written, and how failures arrive.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <thread>

#include "tests/fuse/fuse_world.h"
#include "tests/support/seeded_random.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
const std::string kZeroBlock(4096, '\0');

struct stat StatOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info;
}

TEST(FuseImage, IsAFileOfTheVolumesSizeThatOnlyItsOwnerMayUse) {
  StrictDevice device(3 * kMiB + 4096);
  FuseWorld world;
  const std::string path = world.Serve(device);
  EXPECT_EQ(path, world.directory() + "/photos.img");
  const struct stat info = StatOf(path);
  EXPECT_EQ(info.st_size, static_cast<off_t>(3 * kMiB + 4096));
  EXPECT_EQ(info.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  EXPECT_EQ(info.st_uid, geteuid());
  EXPECT_LT(info.st_blocks, info.st_size / 512) << "copying programs would not look for holes";
  const struct stat directory = StatOf(world.directory());
  EXPECT_EQ(directory.st_mode, static_cast<mode_t>(S_IFDIR | 0700));
  EXPECT_GT(directory.st_mtime, 1'700'000'000);
}

/// Every way in which bytes go: in place or by a worker, through the kernel's cache or past it.
class FuseBytes : public ::testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  explicit FuseBytes() {
    device_.memory().set_in_place(GetParam().first);
    block::ExportSpec spec{};
    spec.sole = GetParam().second;
    path_ = world_.Serve(device_, spec);
  }
  StrictDevice device_{4 * kMiB};
  FuseWorld world_;
  std::string path_;
};
INSTANTIATE_TEST_SUITE_P(All, FuseBytes,
                         ::testing::Values(std::pair(true, true), std::pair(true, false),
                                           std::pair(false, true), std::pair(false, false)));

TEST_P(FuseBytes, AreWhatWasWrittenAtAnyOffset) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4096}, kMiB - 3}) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{513}, std::size_t{3 * kMiB / 2}}) {
      const std::string text(length, static_cast<char>('a' + (offset + length) % 26));
      EXPECT_EQ(WriteAt(file.get(), offset, text), static_cast<ssize_t>(length));
      EXPECT_EQ(ReadAt(file.get(), offset, length), text);
      EXPECT_EQ(device_.memory().Acknowledged(offset, length), text);
    }
  }
}

TEST_P(FuseBytes, AreCutAtTheEnd) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  const std::uint64_t end = 4 * kMiB;
  EXPECT_EQ(ReadAt(file.get(), end, 1), "");
  EXPECT_EQ(ReadAt(file.get(), end + kMiB, 5000), "");
  EXPECT_EQ(ReadAt(file.get(), end - 10, 5000), std::string(10, '\0'));
  EXPECT_EQ(WriteAt(file.get(), end - 10, std::string(5000, 'x')), 10);
  EXPECT_EQ(device_.memory().Acknowledged(end - 10, 10), std::string(10, 'x'));
  EXPECT_EQ(WriteAt(file.get(), end, "x"), -EFBIG);
  EXPECT_EQ(WriteAt(file.get(), end + 3 * kMiB, std::string(kMiB, 'x')), -EFBIG);
  const UniqueFd appending = OpenFile(path_, O_WRONLY | O_APPEND);
  EXPECT_EQ(WriteAt(appending.get(), 0, "x"), -EFBIG);
  EXPECT_EQ(StatOf(path_).st_size, static_cast<off_t>(end));
}

TEST_P(FuseBytes, AreDurableAfterAnFsync) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 5000, "hello"), 5);
  EXPECT_EQ(device_.memory().Durable(5000, 5), std::string(5, '\0'));
  const UniqueFd other = OpenFile(path_, O_RDONLY);
  ASSERT_EQ(fsync(other.get()), 0);
  EXPECT_EQ(device_.memory().Durable(5000, 5), "hello");
  ASSERT_EQ(WriteAt(file.get(), 5000, "world"), 5);
  ASSERT_EQ(fdatasync(file.get()), 0);
  EXPECT_EQ(device_.memory().Durable(5000, 5), "world");
}

TEST_P(FuseBytes, AreDurableAfterAnFsyncOfTheDirectory) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 5000, "hello"), 5);
  const UniqueFd directory = OpenFile(world_.directory(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(fsync(directory.get()), 0);
  EXPECT_EQ(device_.memory().Durable(5000, 5), "hello");
  device_.memory().set_error(Error{ErrorCode::kNoSpace, "no room"});
  EXPECT_EQ(ErrnoOf([&] { return fsync(directory.get()); }), ENOSPC);
  device_.memory().set_error(std::nullopt);
}

TEST_P(FuseBytes, AreDurableAtOnceWhereOpenSaidSo) {
  for (const int flag : {O_DSYNC, O_SYNC}) {
    const UniqueFd file = OpenFile(path_, O_RDWR | flag);
    const std::string text = flag == O_DSYNC ? "data" : "sync";
    ASSERT_EQ(WriteAt(file.get(), 9000, text), 4);
    EXPECT_EQ(device_.memory().Durable(9000, 4), text);
  }
}

TEST_P(FuseBytes, AreReadAndWrittenPastTheKernelsCacheByWhoeverAsks) {
  const UniqueFd cached = OpenFile(path_, O_RDWR);
  const UniqueFd direct = OpenFile(path_, O_RDWR | O_DIRECT);
  alignas(4096) static std::array<char, 8192> buffer{};
  for (const char c : {'a', 'b'}) {
    buffer.fill(c);
    ASSERT_EQ(pwrite(direct.get(), buffer.data(), buffer.size(), 4096), 8192);
    EXPECT_EQ(ReadAt(cached.get(), 5000, 100), std::string(100, c));
  }
  ASSERT_EQ(WriteAt(cached.get(), 4096, std::string(8192, 'c')), 8192);
  ASSERT_EQ(pread(direct.get(), buffer.data(), buffer.size(), 4096), 8192);
  EXPECT_EQ(std::count(buffer.begin(), buffer.end(), 'c'), 8192);
}

TEST_P(FuseBytes, ArePunchedZeroedAndNeverAllocated) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  const std::string text(3 * 4096, 'x');
  const auto refill = [&] {
    ASSERT_EQ(WriteAt(file.get(), 0, text), 3 * 4096);
    ASSERT_EQ(ReadAt(file.get(), 0, text.size()), text);
  };
  const auto allocate = [&](int mode, off_t offset, off_t length) {
    return ErrnoOf([&] { return fallocate(file.get(), mode, offset, length); });
  };
  const std::string middle_gone = kZeroBlock.substr(0, 4096);
  for (const int mode : {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                         FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE}) {
    refill();
    EXPECT_EQ(allocate(mode, 4096, 4096), 0) << mode;
    EXPECT_EQ(ReadAt(file.get(), 0, text.size()),
              text.substr(0, 4096) + kZeroBlock + text.substr(0, 4096));
    EXPECT_EQ(device_.memory().Acknowledged(4096, 4096), kZeroBlock);
    EXPECT_EQ(allocate(mode, 4000, 10), 0) << "inside a block";
    EXPECT_EQ(ReadAt(file.get(), 3999, 12), "x" + std::string(10, '\0') + "x");
  }
  refill();
  EXPECT_EQ(allocate(0, 0, 4 * kMiB), 0);
  EXPECT_EQ(allocate(FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
  EXPECT_EQ(ReadAt(file.get(), 0, text.size()), text);
  const off_t end = 4 * kMiB;
  EXPECT_EQ(allocate(0, end - 4096, 8192), EFBIG);
  EXPECT_EQ(allocate(FALLOC_FL_KEEP_SIZE, end, 4096), EFBIG);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE, end - 4096, 8192), EFBIG);
  EXPECT_EQ(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end - 4096, 8192), 0);
  EXPECT_EQ(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end + 4096, 8192), 0);
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
                         FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE}) {
    EXPECT_EQ(allocate(mode, 0, 4096), EOPNOTSUPP) << mode;
  }
  EXPECT_EQ(StatOf(path_).st_size, end);
  EXPECT_EQ(ReadAt(file.get(), 0, text.size()), text);
  ASSERT_EQ(fsync(file.get()), 0);
  EXPECT_GE(device_.memory().count(MemoryDevice::Call::kWriteZeroes), 6);
}

TEST_P(FuseBytes, AreFoundBySeekingForDataAndHoles) {
  const UniqueFd file = OpenFile(path_, O_RDWR);
  for (const std::uint64_t offset : {kMiB, kMiB + 3 * 4096, 3 * kMiB}) {
    ASSERT_EQ(WriteAt(file.get(), offset, std::string(4096, 'x')), 4096);
  }
  const auto seek = [&](std::uint64_t from, int whence) {
    const off_t at = lseek(file.get(), static_cast<off_t>(from), whence);
    return at < 0 ? -errno : at;
  };
  const auto mib = static_cast<off_t>(kMiB);
  EXPECT_EQ(seek(0, SEEK_DATA), mib);
  EXPECT_EQ(seek(0, SEEK_HOLE), 0);
  EXPECT_EQ(seek(kMiB + 5, SEEK_DATA), mib + 5);
  EXPECT_EQ(seek(kMiB, SEEK_HOLE), mib + 4096);
  EXPECT_EQ(seek(kMiB + 4096, SEEK_DATA), mib + 3 * 4096);
  EXPECT_EQ(seek(2 * kMiB, SEEK_DATA), 3 * mib);
  EXPECT_EQ(seek(3 * kMiB + 4096, SEEK_DATA), -ENXIO);
  EXPECT_EQ(seek(4 * kMiB - 1, SEEK_HOLE), 4 * mib - 1);
  EXPECT_EQ(seek(4 * kMiB, SEEK_HOLE), -ENXIO);
  ASSERT_EQ(WriteAt(file.get(), 4 * kMiB - 4096, std::string(4096, 'x')), 4096);
  EXPECT_EQ(seek(4 * kMiB - 1, SEEK_HOLE), 4 * mib) << "the end is a hole";
  EXPECT_EQ(seek(0, SEEK_END), 4 * mib);
}

// Found on Linux 6.1 by exercise_file: the kernel asks for data before it has written what is
// there.
TEST(FuseSeek, TellsNoHoleWhereTheKernelMayHaveKeptBackWrites) {
  StrictDevice device(4 * kMiB);
  FuseWorld world;
  block::ExportSpec spec{};
  spec.cache = block::ClientCache::kWriteBack;
  const UniqueFd file = OpenFile(world.Serve(device, spec), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), kMiB, std::string(4096, 'x')), 4096);
  const off_t data = lseek(file.get(), 0, SEEK_DATA);
  ASSERT_GE(data, 0) << "what was written is not there for whoever copies the data alone";
  EXPECT_LE(data, static_cast<off_t>(kMiB));
  EXPECT_GE(lseek(file.get(), static_cast<off_t>(kMiB), SEEK_HOLE),
            static_cast<off_t>(kMiB) + 4096);
  EXPECT_EQ(lseek(file.get(), 0, SEEK_HOLE), static_cast<off_t>(4 * kMiB)) << "the end is a hole";
  EXPECT_EQ(ErrnoOf([&] { return lseek(file.get(), 4 * kMiB, SEEK_DATA); }), ENXIO);
}

class FuseWriteBack : public ::testing::Test {
 protected:
  FuseWriteBack() {
    block::ExportSpec spec{};
    spec.cache = block::ClientCache::kWriteBack;
    path_ = world_.Serve(device_, spec);
    file_ = OpenFile(path_, O_RDWR);
  }
  [[nodiscard]] std::uint64_t SizeOfFile() const {
    struct stat about {};
    EXPECT_EQ(fstat(file_.get(), &about), 0);
    return static_cast<std::uint64_t>(about.st_size);
  }
  /// It is told by a worker, after the write that showed it was answered.
  [[nodiscard]] bool SizeBecomes(std::uint64_t size) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (SizeOfFile() != size) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  StrictDevice device_{kMiB};
  FuseWorld world_;
  std::string path_;
  UniqueFd file_;
};

TEST_F(FuseWriteBack, AWriteAcrossTheEndKeepsWhatFitsAndSaysSoAtTheFsync) {
  ASSERT_EQ(WriteAt(file_.get(), kMiB - 4196, std::string(9000, 'w')), 9000) << "kept back";
  EXPECT_EQ(ErrnoOf([&] { return fsync(file_.get()); }), EFBIG);
  EXPECT_TRUE(SizeBecomes(kMiB)) << SizeOfFile();
  EXPECT_EQ(device_.memory().Acknowledged(kMiB - 4196, 4196), std::string(4196, 'w'));
  EXPECT_EQ(ReadAt(file_.get(), kMiB - 4196, 9000), std::string(4196, 'w'));
  EXPECT_EQ(fsync(file_.get()), 0) << "said once";
}

TEST_F(FuseWriteBack, AWriteBeyondTheEndIsSaidAtTheFsync) {
  ASSERT_EQ(WriteAt(file_.get(), kMiB + 4096, std::string(4096, 'w')), 4096) << "kept back";
  EXPECT_EQ(ErrnoOf([&] { return fsync(file_.get()); }), EFBIG);
  EXPECT_TRUE(SizeBecomes(kMiB)) << SizeOfFile();
  EXPECT_EQ(ReadAt(file_.get(), kMiB - 1, 9000), std::string(1, '\0'));
}

TEST_F(FuseWriteBack, AnOpenFileHasTheNewSizeAfterAResize) {
  ASSERT_EQ(WriteAt(file_.get(), 0, "before"), 6);
  device_.memory().Resize(2 * kMiB);
  world_.server().Resized("photos");
  EXPECT_EQ(SizeOfFile(), 2 * kMiB);
  EXPECT_EQ(device_.memory().Acknowledged(0, 6), "before") << "sent first";
  EXPECT_EQ(WriteAt(file_.get(), 2 * kMiB - 4096, std::string(4096, 'n')), 4096);
  EXPECT_EQ(fsync(file_.get()), 0);
  EXPECT_EQ(device_.memory().Acknowledged(2 * kMiB - 1, 1), "n");
  device_.memory().Resize(kMiB);
  world_.server().Resized("photos");
  EXPECT_EQ(SizeOfFile(), kMiB);
  EXPECT_EQ(ReadAt(file_.get(), kMiB, 1), "");
}

TEST_P(FuseBytes, OfManyThreadsDoNotMix) {
  constexpr int kThreads = 8;
  constexpr std::uint64_t kShare = 4 * kMiB / kThreads;
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([this, number] {
      const UniqueFd file = OpenFile(path_, O_RDWR);
      const std::uint64_t begin = static_cast<std::uint64_t>(number) * kShare;
      std::string model(kShare, '\0');
      SeededRandom random(static_cast<std::uint64_t>(number));
      for (int i = 0; i < 100; ++i) {
        const std::size_t offset = random.Below(kShare);
        const std::size_t fits = 1 + random.Below(std::min<std::uint64_t>(kShare - offset, 70000));
        const std::string text(fits, static_cast<char>('a' + i % 26));
        if (i % 3 == 2) {
          EXPECT_EQ(ReadAt(file.get(), begin + offset, fits), model.substr(offset, fits));
          continue;
        }
        ASSERT_EQ(WriteAt(file.get(), begin + offset, text), static_cast<ssize_t>(fits));
        model.replace(offset, fits, text);
        if (i % 10 == 0) {
          ASSERT_EQ(fsync(file.get()), 0);
        }
      }
      EXPECT_EQ(ReadAt(file.get(), begin, kShare), model);
      EXPECT_EQ(device_.memory().Acknowledged(begin, kShare), model);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FuseImage, TellsWhyTheDeviceFails) {
  const std::pair<ErrorCode, int> table[] = {
      {ErrorCode::kNoSpace, ENOSPC},        {ErrorCode::kUnsupported, EROFS},
      {ErrorCode::kInvalidArgument, EFBIG}, {ErrorCode::kCancelled, ENODEV},
      {ErrorCode::kNotFound, EIO},          {ErrorCode::kAlreadyExists, EIO},
      {ErrorCode::kCorruption, EIO},        {ErrorCode::kUnauthenticated, EIO},
      {ErrorCode::kUnavailable, EIO},       {ErrorCode::kConflict, EIO},
      {ErrorCode::kIoError, EIO},           {ErrorCode::kNeedsPerson, EIO},
  };
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  for (const bool in_place : {true, false}) {
    device.memory().set_in_place(in_place);
    for (const auto& [code, error] : table) {
      device.memory().set_error(Error{code, "so it is"});
      EXPECT_EQ(ReadAt(file.get(), 0, 10), "errno " + std::to_string(error));
      EXPECT_EQ(WriteAt(file.get(), 0, "x"), -error);
      EXPECT_EQ(ErrnoOf([&] { return fsync(file.get()); }), error);
      EXPECT_EQ(ErrnoOf([&] { return fallocate(file.get(), FALLOC_FL_ZERO_RANGE, 0, 4096); }),
                error);
      EXPECT_EQ(ErrnoOf([&] { return lseek(file.get(), 0, SEEK_DATA); }), error);
    }
  }
  device.memory().set_error(std::nullopt);
  EXPECT_EQ(WriteAt(file.get(), 0, "x"), 1);
  EXPECT_EQ(ReadAt(file.get(), 0, 1), "x");
}

TEST(FuseImage, ThatIsReadOnlyIsNotWritten) {
  StrictDevice device(kMiB);
  FuseWorld world;
  block::ExportSpec spec{};
  spec.read_only = true;
  const std::string path = world.Serve(device, spec);
  EXPECT_EQ(StatOf(path).st_mode, static_cast<mode_t>(S_IFREG | 0400));
  for (const int flags : {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND}) {
    EXPECT_EQ(ErrnoOf([&] { return open(path.c_str(), flags); }), EROFS);
  }
  EXPECT_EQ(ErrnoOf([&] { return access(path.c_str(), W_OK); }), EROFS);
  EXPECT_EQ(access(path.c_str(), R_OK), 0);
  const UniqueFd file = OpenFile(path, O_RDONLY);
  EXPECT_EQ(ReadAt(file.get(), 0, 4096), kZeroBlock);
  EXPECT_EQ(fsync(file.get()), 0);
  EXPECT_EQ(lseek(file.get(), 0, SEEK_HOLE), 0);
}

TEST(FuseImage, IsMappedByOneWhoIsTheOnlyOne) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.ServeSole(device), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 4096, "hello"), 5);
  EXPECT_EQ(InChild([&] {
              void* const mapped =
                  mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
              if (mapped == MAP_FAILED) return 1;
              char* const bytes = static_cast<char*>(mapped);
              if (std::string_view(bytes + 4096, 5) != "hello") return 2;
              std::copy_n("world", 5, bytes + 8192);
              return msync(mapped, kMiB, MS_SYNC) == 0 ? 0 : 3;
            }),
            0);
  EXPECT_EQ(device.memory().Durable(8192, 5), "world");
}

TEST(FuseImage, ThatOthersChangeIsNotMappedShared) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  EXPECT_EQ(InChild([&] {
              const void* const mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0);
              return mapped == MAP_FAILED ? errno : 0;
            }),
            ENODEV);
}

}  // namespace
}  // namespace coffer::fuse::testing
