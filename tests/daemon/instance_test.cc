#include "core/daemon/instance.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/control/unix_socket.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::daemon {
namespace {

class InstanceTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Instance>> Claim(const control::Places& places) {
    return Instance::Claim(*fs_, places, geteuid(), 4711);
  }

  TemporaryDirectory root_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  control::Places places_{root_ / "config", root_ / "state", root_ / "cache", root_ / "run"};
};

TEST_F(InstanceTest, MakesItsPlacesAndWritesItsPid) {
  ASSERT_OK_AND_ASSIGN(auto instance, Claim(places_));
  EXPECT_EQ(ReadTestFile(places_.pid_file()), "4711\n");
  for (const std::string& path : {places_.state, places_.cache, places_.runtime}) {
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
  }
  instance.reset();
  EXPECT_NE(access(places_.pid_file().c_str(), F_OK), 0);
}

TEST_F(InstanceTest, ASecondDaemonOnTheSameStateIsRefusedAndToldOfTheFirst) {
  ASSERT_OK_AND_ASSIGN(const auto first, Claim(places_));
  const auto second = Claim(places_);
  ASSERT_FAILS(second, kConflict);
  EXPECT_NE(second.error().message.find("pid 4711"), std::string::npos);
  EXPECT_EQ(ReadTestFile(places_.pid_file()), "4711\n");
}

TEST_F(InstanceTest, ASecondDaemonOnTheSameRuntimeDirectoryIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto first, Claim(places_));
  control::Places other = places_;
  other.state = root_ / "other-state";
  EXPECT_FAILS(Claim(other), kConflict);
}

TEST_F(InstanceTest, WhatAKilledDaemonLeftIsRemoved) {
  ASSERT_EQ(mkdir(places_.runtime.c_str(), 0700), 0);
  { ASSERT_OK(control::ListenUnix(places_.control_socket())); }
  ASSERT_EQ(access(places_.control_socket().c_str(), F_OK), 0);
  ASSERT_OK(Claim(places_));
  EXPECT_NE(access(places_.control_socket().c_str(), F_OK), 0);
}

TEST_F(InstanceTest, AnUnsafePlaceIsRefused) {
  for (std::string control::Places::*place : {&control::Places::config, &control::Places::state,
                                              &control::Places::cache, &control::Places::runtime}) {
    const TemporaryDirectory root;
    control::Places places{root / "config", root / "state", root / "cache", root / "run"};
    const std::string path = places.*place;
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    ASSERT_EQ(chmod(path.c_str(), 0777), 0);
    EXPECT_FAILS(Claim(places), kInvalidArgument) << path;
    ASSERT_EQ(rmdir(path.c_str()), 0);
    ASSERT_EQ(mkdir((path + "-real").c_str(), 0700), 0);
    ASSERT_EQ(symlink((path + "-real").c_str(), path.c_str()), 0);
    // The config holds no secrets, and dotfiles are often links.
    if (place == &control::Places::config) {
      EXPECT_OK(Claim(places));
    } else {
      EXPECT_FAILS(Claim(places), kInvalidArgument) << path;
    }
    ASSERT_EQ(unlink(path.c_str()), 0);
    EXPECT_OK(Claim(places)) << path;
  }
}

TEST_F(InstanceTest, OthersMayReadTheConfigButNotTheState) {
  ASSERT_EQ(mkdir(places_.config.c_str(), 0700), 0);
  ASSERT_EQ(chmod(places_.config.c_str(), 0755), 0);
  EXPECT_OK(Claim(places_));
  ASSERT_EQ(chmod(places_.state.c_str(), 0755), 0);
  EXPECT_FAILS(Claim(places_), kInvalidArgument);
}

TEST_F(InstanceTest, SaysToWhoeverHasTheStateWhereItsSocketIs) {
  {
    ASSERT_OK_AND_ASSIGN(const auto instance, Claim(places_));
    ASSERT_OK_AND_ASSIGN(const std::string socket, control::ReadSocketPointer(*fs_, places_));
    EXPECT_EQ(socket, places_.control_socket());
  }
  EXPECT_FAILS(control::ReadSocketPointer(*fs_, places_), kNotFound);
}

TEST_F(InstanceTest, ATooLongSocketPathSaysSoBeforeAnythingIsMade) {
  places_.runtime = root_ / std::string(100, 'r');
  const auto claimed = Claim(places_);
  ASSERT_FAILS(claimed, kInvalidArgument);
  EXPECT_NE(claimed.error().message.find("107"), std::string::npos);
}

}  // namespace
}  // namespace coffer::daemon
