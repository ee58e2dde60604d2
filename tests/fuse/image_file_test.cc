// The image file through system calls: what is read and written, what is refused.
#include "tests/fuse/fuse_world.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

TEST(FuseImage, IsAFileOfTheVolumesSizeThatOnlyItsOwnerMayUse) {
  MemoryDevice device(3 * kMiB + 4096);
  FuseWorld world;
  const std::string path = world.Serve(device);
  EXPECT_EQ(path, world.directory() + "/photos.img");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(3 * kMiB + 4096));
  EXPECT_EQ(info.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  EXPECT_EQ(info.st_uid, geteuid());
}

TEST(FuseImage, GivesBackWhatWasWrittenAtAnyOffset) {
  MemoryDevice device(4 * kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4096}, kMiB - 3}) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{513}, std::size_t{3 * kMiB / 2}}) {
      const std::string text(length, static_cast<char>('a' + offset % 26));
      EXPECT_EQ(WriteAt(file.get(), offset, text), static_cast<ssize_t>(length));
      EXPECT_EQ(ReadAt(file.get(), offset, length), text);
      EXPECT_EQ(device.Acknowledged(offset, length), text);
    }
  }
}

TEST(FuseImage, FsyncMakesDurableWhatWasWritten) {
  MemoryDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 5000, "hello"), 5);
  EXPECT_EQ(device.Durable(5000, 5), std::string(5, '\0'));
  ASSERT_EQ(fsync(file.get()), 0);
  EXPECT_EQ(device.Durable(5000, 5), "hello");
}

}  // namespace
}  // namespace coffer::fuse::testing
