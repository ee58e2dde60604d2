// What is said of a mount whose image has grown. That a real loop device takes the new size over is
// in tests/cli/mount_test.py, with the daemon that serves the image.
#include "core/mount/growth.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

namespace files = std::filesystem;

class GrowthTest : public testing::Test {
 protected:
  GrowthTest() { HasBytes(1 << 20); }
  /// As the kernel shows it.
  void HasBytes(std::uint64_t bytes) {
    files::create_directories(directory_ / "block/loop7");
    WriteTestFile(directory_ / "block/loop7/size", std::to_string(bytes / 512) + "\n");
  }
  [[nodiscard]] std::string Grow(const std::string& file_system) const {
    return GrowLoop(LoopDevices(directory_ / "block"),
                    {directory_ / "loop7", "/home/me/photos", file_system, directory_ / "image"},
                    2 << 20);
  }
  static void ExpectSays(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  const TemporaryDirectory directory_;
};

TEST_F(GrowthTest, ADeviceOfTheNewSizeNeedsNothingButItsFileSystemGrown) {
  HasBytes(2 << 20);
  const std::string device = directory_ / "loop7";
  ExpectSays(Grow("ext4"), device + " has the new size; the ext4 on it keeps its size");
  ExpectSays(Grow("ext4"), "while it is mounted: resize2fs " + device);
  ExpectSays(Grow("xfs"), "xfs_growfs /home/me/photos");
  ExpectSays(Grow("btrfs"), "btrfs filesystem resize max /home/me/photos");
  ExpectSays(Grow("vfat"), "until its own program makes it larger");
  EXPECT_EQ(Grow("ext4").find("opened again"), std::string::npos) << Grow("ext4");
}

TEST_F(GrowthTest, ADeviceThatIsNotThisUsersHasTheNewSizeWhenTheVolumeIsOpenedAgain) {
  const std::string absent = Grow("ext4");
  ExpectSays(absent, "keeps its size until the volume is closed and opened again (opening ");
  ExpectSays(absent, "resize2fs");
  ExpectSays(absent, "without root: open the volume with --fuse=DIR alone, run e2fsck -f");
  WriteTestFile(directory_ / "loop7", "no loop device");
  const std::string refused = Grow("xfs");
  ExpectSays(refused, "closed and opened again (resizing ");
  ExpectSays(refused, "xfs_growfs /home/me/photos");
  EXPECT_EQ(refused.find("e2fsck"), std::string::npos) << refused;
}

TEST_F(GrowthTest, Fuse2fsKnowsItsImageInOneSizeOnly) {
  const std::string text = HowFuse2fsGrows("ext4");
  ExpectSays(text, "the ext4 keeps its size as long as fuse2fs has it");
  ExpectSays(text, "--fuse=DIR alone, run e2fsck -f and resize2fs");
}

}  // namespace
}  // namespace coffer::mount
