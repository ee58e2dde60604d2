#include "core/control/places.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "core/control/unix_socket.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::control {
namespace {

class PlacesTest : public testing::Test {
 protected:
  UserEnvironment User(std::map<std::string, std::string> variables) {
    UserEnvironment user;
    user.home = home_.path();
    user.uid = geteuid();
    user.variable = [variables](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
    return user;
  }

  TemporaryDirectory home_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
};

TEST_F(PlacesTest, FollowTheXdgVariables) {
  ASSERT_OK_AND_ASSIGN(const auto places, FindPlaces(*fs_, User({{"XDG_CONFIG_HOME", "/c"},
                                                                 {"XDG_STATE_HOME", "/s"},
                                                                 {"XDG_CACHE_HOME", "/k"},
                                                                 {"XDG_RUNTIME_DIR", "/r/"}})));
  EXPECT_EQ(places.config, "/c/coffer");
  EXPECT_EQ(places.state, "/s/coffer");
  EXPECT_EQ(places.cache, "/k/coffer");
  EXPECT_EQ(places.control_socket(), "/r/coffer/control.sock");
}

TEST_F(PlacesTest, FallBackToTheHomeDirectory) {
  auto user = User({{"XDG_STATE_HOME", "relative/is/unset"}});
  user.uid = 4'000'000'000;  // has no /run/user directory
  ASSERT_OK_AND_ASSIGN(const auto places, FindPlaces(*fs_, user));
  EXPECT_EQ(places.config, home_ / ".config/coffer");
  EXPECT_EQ(places.state, home_ / ".local/state/coffer");
  EXPECT_EQ(places.cache, home_ / ".cache/coffer");
  EXPECT_EQ(places.runtime, home_ / ".local/state/coffer/run");
}

TEST_F(PlacesTest, NeedAHome) {
  auto user = User({});
  user.home.clear();
  EXPECT_FAILS(FindPlaces(*fs_, user), kInvalidArgument);
}

TEST_F(PlacesTest, AMissingDirectoryIsMadePrivate) {
  const std::string path = home_ / "a/b/coffer";
  ASSERT_OK(EnsurePrivateDirectory(*fs_, path, geteuid()));
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
  EXPECT_OK(EnsurePrivateDirectory(*fs_, path, geteuid()));
}

TEST_F(PlacesTest, ADirectoryOpenToOthersIsRefused) {
  const std::string path = home_ / "coffer";
  for (const mode_t mode : {0777U, 0755U, 0710U, 0701U}) {
    rmdir(path.c_str());
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const auto status = EnsurePrivateDirectory(*fs_, path, geteuid());
    ASSERT_FAILS(status, kInvalidArgument);
    EXPECT_EQ(status.error().hint, "chmod 700 " + path);
  }
}

TEST_F(PlacesTest, ASymlinkedDirectoryIsRefused) {
  const std::string path = home_ / "coffer";
  ASSERT_EQ(mkdir((home_ / "real").c_str(), 0700), 0);
  ASSERT_EQ(symlink("real", path.c_str()), 0);
  const auto status = EnsurePrivateDirectory(*fs_, path, geteuid());
  ASSERT_FAILS(status, kInvalidArgument);
  EXPECT_NE(status.error().message.find("symbolic link"), std::string::npos);
}

TEST_F(PlacesTest, ADirectoryOfAnotherUserIsRefused) {
  const std::string path = home_ / "coffer";
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  EXPECT_FAILS(EnsurePrivateDirectory(*fs_, path, geteuid() + 1), kInvalidArgument);
}

TEST_F(PlacesTest, AFileInThePlaceOfADirectoryIsRefused) {
  WriteTestFile(home_ / "coffer", "");
  EXPECT_FAILS(EnsurePrivateDirectory(*fs_, home_ / "coffer", geteuid()), kInvalidArgument);
}

TEST(UnixSocket, APathOver107BytesSaysSo) {
  EXPECT_OK(CheckSocketPath("/" + std::string(106, 'x')));
  const auto status = CheckSocketPath("/" + std::string(107, 'x'));
  ASSERT_FAILS(status, kInvalidArgument);
  EXPECT_NE(status.error().message.find("107"), std::string::npos);
}

}  // namespace
}  // namespace coffer::control
