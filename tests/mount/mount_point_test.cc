#include "core/mount/mount_point.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

class MountPointTest : public testing::Test {
 protected:
  static bool IsDirectory(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }
  static bool Exists(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
  }
  Result<MountPoint> Find(const std::string& path) { return FindMountPoint(path, geteuid()); }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_ / "photos";
};

TEST_F(MountPointTest, IsMadeWhereItIsMissingAndGoneAfterwards) {
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(path_ + "//"));
  EXPECT_EQ(point.path, path_);
  EXPECT_FALSE(Exists(path_));
  ASSERT_OK(TakeMountPoint(point));
  EXPECT_TRUE(IsDirectory(path_));
  ASSERT_OK(GiveBackMountPoint(point, ""));
  EXPECT_FALSE(Exists(path_));
}

TEST_F(MountPointTest, ThatWasThereStays) {
  ASSERT_EQ(mkdir(path_.c_str(), 0750), 0);
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(path_));
  ASSERT_OK(TakeMountPoint(point));
  ASSERT_OK(GiveBackMountPoint(point, ""));
  EXPECT_TRUE(IsDirectory(path_));
}

TEST_F(MountPointTest, BecomesALinkAndThenADirectoryOfTheSameMode) {
  ASSERT_EQ(mkdir(path_.c_str(), 0750), 0);
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(path_));
  ASSERT_OK(LinkMountPoint(point, "/media/me/photos"));
  EXPECT_FALSE(IsDirectory(path_));
  ASSERT_OK(GiveBackMountPoint(point, "/media/me/photos"));
  ASSERT_TRUE(IsDirectory(path_));
  struct stat info {};
  ASSERT_EQ(lstat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0750U);
}

TEST_F(MountPointTest, ALinkWhereNothingWasGoesWithoutATrace) {
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(path_));
  ASSERT_OK(LinkMountPoint(point, "/media/me/photos"));
  ASSERT_OK(GiveBackMountPoint(point, "/media/me/photos"));
  EXPECT_FALSE(Exists(path_));
}

TEST_F(MountPointTest, WhatSomebodyPutThereMeanwhileIsLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(path_));
  ASSERT_EQ(symlink("/elsewhere", path_.c_str()), 0);
  ASSERT_OK(GiveBackMountPoint(point, "/media/me/photos"));
  EXPECT_TRUE(Exists(path_));
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ASSERT_OK(TakeMountPoint(point));
  WriteTestFile(path_ + "/mine", "x");
  ASSERT_OK(GiveBackMountPoint(point, ""));
  EXPECT_TRUE(Exists(path_ + "/mine"));
}

TEST_F(MountPointTest, IsRefusedWhereItWouldHideOrTouchWhatIsThere) {
  EXPECT_FAILS(Find(directory_ / "no/such"), kNotFound);
  EXPECT_FAILS(Find("photos"), kInvalidArgument);
  EXPECT_FAILS(Find("/"), kInvalidArgument);
  EXPECT_FAILS(Find(directory_ / ".."), kInvalidArgument);
  WriteTestFile(path_, "");
  EXPECT_FAILS(Find(path_), kInvalidArgument);
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ASSERT_EQ(symlink("/tmp", path_.c_str()), 0);
  EXPECT_FAILS(Find(path_), kInvalidArgument);
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  WriteTestFile(path_ + "/mine", "x");
  EXPECT_FAILS(Find(path_), kConflict);
  EXPECT_FAILS(FindMountPoint(path_, geteuid() + 1), kInvalidArgument);
  // Whatever the machine, something is mounted there.
  EXPECT_FAILS(Find("/proc"), kConflict);
}

TEST_F(MountPointTest, IsNamedWithoutTheLinksThatLeadToIt) {
  ASSERT_EQ(mkdir((directory_ / "real").c_str(), 0700), 0);
  ASSERT_EQ(symlink((directory_ / "real").c_str(), (directory_ / "link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const MountPoint point, Find(directory_ / "link/photos"));
  EXPECT_EQ(point.path, directory_ / "real/photos");
}

}  // namespace
}  // namespace coffer::mount
