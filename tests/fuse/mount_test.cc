// Where a volume may be served and where not, each with what to do about it; what a killed server
// leaves behind.
#include <fcntl.h>
#include <sys/mount.h>

#include <csignal>
#include <functional>
#include <thread>

#include "core/base/mount_table.h"
#include "fuse/kernel_mount.h"
#include "tests/fuse/fuse_world.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

block::ExportSpec At(const std::string& directory) {
  block::ExportSpec spec{};
  spec.address = directory;
  return spec;
}

void ExpectRefused(const Result<block::ExportPlace>& place, ErrorCode code, const std::string& part,
                   const std::string& hint = "") {
  ASSERT_FALSE(place.has_value()) << "expected: " << part;
  EXPECT_EQ(place.error().code, code) << place.error().message;
  EXPECT_NE(place.error().message.find(part), std::string::npos) << place.error().message;
  EXPECT_NE(place.error().hint.find(hint), std::string::npos) << place.error().hint;
}

TEST(FuseMountPoint, IsMadeWhereItsParentIs) {
  StrictDevice device(kMiB);
  FuseWorld world;
  world.Serve(device, At(world.root() + "/made"));
  struct stat info {};
  ASSERT_TRUE(world.server().Withdraw("photos").has_value());
  ASSERT_EQ(stat((world.root() + "/made").c_str(), &info), 0) << "it stays";
  EXPECT_EQ(info.st_mode, static_cast<mode_t>(S_IFDIR | 0700));
  ExpectRefused(world.TryServe(device, At(world.root() + "/not/there")), ErrorCode::kNotFound,
                "/not/there", "mkdir -p " + world.root() + "/not");
}

TEST(FuseMountPoint, HasAnAbsolutePathThatIsNotTooLong) {
  StrictDevice device(kMiB);
  FuseWorld world;
  ExpectRefused(world.TryServe(device, At("relative/place")), ErrorCode::kInvalidArgument,
                "relative/place");
  ExpectRefused(world.TryServe(device, At(world.root() + "/" + std::string(256, 'a'))),
                ErrorCode::kInvalidArgument, "bytes long", "shorter");
  std::string deep = world.root();
  while (deep.size() < 5000) deep += "/directory";
  ExpectRefused(world.TryServe(device, At(deep)), ErrorCode::kInvalidArgument, "bytes long",
                "shorter");
}

TEST(FuseMountPoint, IsAnEmptyDirectoryOfTheUsersOwn) {
  StrictDevice device(kMiB);
  FuseWorld world;
  WriteTestFile(world.root() + "/file", "x");
  ExpectRefused(world.TryServe(device, At(world.root() + "/file")), ErrorCode::kInvalidArgument,
                "no directory");
  ExpectRefused(world.TryServe(device, At(world.root())), ErrorCode::kConflict, "it holds file",
                "another directory");
  if (geteuid() == 0) {
    const std::string others = world.root() + "/others";
    ASSERT_EQ(mkdir(others.c_str(), 0700), 0);
    ASSERT_EQ(chown(others.c_str(), 12345, 12345), 0);
    ExpectRefused(world.TryServe(device, At(others)), ErrorCode::kInvalidArgument,
                  "belongs to user 12345", "of your own");
  } else {
    ExpectRefused(world.TryServe(device, At("/usr")), ErrorCode::kInvalidArgument,
                  "belongs to user 0", "of your own");
  }
}

TEST(FuseMountPoint, HasNothingElseMountedOnIt) {
  StrictDevice device(kMiB);
  FuseWorld world;
  ExpectRefused(world.TryServe(device, At("/proc")), ErrorCode::kConflict,
                "something mounted on it already: proc", "another directory");
  world.Serve(device);
  FuseWorld second;
  ExpectRefused(second.TryServe(device, At(world.directory())), ErrorCode::kConflict,
                "by another cofferd", "another directory");
}

TEST(FuseMountPoint, MayBeReachedThroughASymlink) {
  StrictDevice device(kMiB);
  StrictDevice other(kMiB);
  FuseWorld world;
  ASSERT_EQ(mkdir((world.root() + "/real").c_str(), 0700), 0);
  ASSERT_EQ(symlink("real", (world.root() + "/link").c_str()), 0);
  EXPECT_EQ(world.Serve(device, At(world.root() + "/link")), world.root() + "/real/photos.img");
  block::ExportSpec second = At(world.root() + "/real/");
  second.name = "music";
  EXPECT_EQ(world.Serve(other, second), world.root() + "/real/music.img") << "the same mount";
}

TEST(FuseMachine, WithoutFuseSaysSo) {
  StrictDevice device(kMiB);
  MountTools tools;
  tools.device = "/dev/not-there";
  FuseWorld world(tools);
  ExpectRefused(world.TryServe(device), ErrorCode::kUnsupported, "no /dev/not-there",
                "modprobe fuse");
  if (geteuid() == 0) return;  // who may everything
  FuseWorld other;
  const std::string locked = other.root() + "/locked";
  WriteTestFile(locked, "");
  ASSERT_EQ(chmod(locked.c_str(), 0), 0);
  tools.device = locked;
  FuseWorld without_rights(tools);
  ExpectRefused(without_rights.TryServe(device), ErrorCode::kIoError, "opening " + locked);
}

TEST(FuseMachine, WithoutFusermountServesRootAlone) {
  StrictDevice device(kMiB);
  MountTools tools;
  tools.fusermount = "/usr/bin/not-there";
  FuseWorld world(tools);
  if (geteuid() == 0) {
    world.Serve(device);
  } else {
    ExpectRefused(world.TryServe(device), ErrorCode::kUnsupported, "no /usr/bin/not-there",
                  "fuse3");
  }
}

TEST(FuseMachine, ThatRefusesToMountSaysWhyInItsWords) {
  if (geteuid() == 0) {
    SUCCEED() << "mount(2) refuses nobody who is root";
    return;
  }
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string program = world.root() + "/fusermount";
  WriteTestFile(program, "#!/bin/sh\necho \"fusermount3: not on Sundays\" >&2\nexit 1\n");
  ASSERT_EQ(chmod(program.c_str(), 0700), 0);
  MountTools tools;
  tools.fusermount = program;
  FuseWorld sunday(tools);
  ExpectRefused(sunday.TryServe(device), ErrorCode::kIoError, "not on Sundays");
}

/// A server in another process, killed: what is left is a mount that answers no more.
std::string LeaveDeadMount(const std::string& directory) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Only the mount's own connection matters, and that ends with its process.
    const auto fs = NewPosixFileSystem();
    Status prepared = PrepareMountPoint(*fs, {}, directory);
    const auto mounted = MountConnection(*fs, {}, directory);
    const char ok = prepared.has_value() && mounted.has_value() ? '+' : '-';
    [[maybe_unused]] const ssize_t told = write(ends[1], &ok, 1);
    for (;;) pause();
  }
  char ok = 0;
  EXPECT_EQ(read(ends[0], &ok, 1), 1);
  EXPECT_EQ(ok, '+');
  kill(child, SIGKILL);
  int ended = 0;
  waitpid(child, &ended, 0);
  close(ends[0]);
  close(ends[1]);
  struct stat info {};
  EXPECT_EQ(ErrnoOf([&] { return stat(directory.c_str(), &info); }), ENOTCONN);
  return directory;
}

TEST(FuseMountPoint, IsClearedOfWhatAKilledServerLeft) {
  StrictDevice device(kMiB);
  FuseWorld world;
  LeaveDeadMount(world.directory());
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  EXPECT_EQ(WriteAt(file.get(), 0, "hello"), 5);
  ASSERT_TRUE(world.server().Withdraw("photos").has_value());
  const auto left = FindMount(world.directory());
  ASSERT_TRUE(left.has_value());
  EXPECT_FALSE(left->has_value()) << "nothing is left below it either";
}

TEST(FuseMountPoint, IsNotClearedOfSomebodyElsesMount) {
  if (geteuid() != 0) {
    SUCCEED() << "only root can mount what is not ours here";
    return;
  }
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string place = world.root() + "/theirs";
  ASSERT_EQ(mkdir(place.c_str(), 0700), 0);
  {
    const UniqueFd connection(open("/dev/fuse", O_RDWR | O_CLOEXEC));
    const std::string options =
        "fd=" + std::to_string(connection.get()) + ",rootmode=40000,user_id=0,group_id=0";
    ASSERT_EQ(mount("theirs", place.c_str(), "fuse.theirs", 0, options.c_str()), 0);
  }
  ExpectRefused(world.TryServe(device, At(place)), ErrorCode::kConflict, "whose server is gone",
                "unmount it");
  ASSERT_EQ(umount2(place.c_str(), MNT_DETACH), 0);
}

TEST(FuseMount, ThatSomebodyHasUnmountedIsMountedAnewForTheNextVolume) {
  StrictDevice device(kMiB);
  StrictDevice other(kMiB);
  FuseWorld world;
  const std::string path = world.Serve(device);
  ASSERT_TRUE(UnmountConnection({}, world.directory(), UnmountMode::kNow).has_value());
  block::ExportSpec second{};
  second.name = "music";
  const UniqueFd file = OpenFile(world.Serve(other, second), O_RDWR);
  EXPECT_EQ(WriteAt(file.get(), 0, "x"), 1);
  EXPECT_EQ(access(path.c_str(), R_OK), 0) << "the first one is back as well";
  ASSERT_TRUE(world.server().Withdraw("photos").has_value());
}

TEST(FuseMount, ThatSomebodyHasUnmountedComesBackWhenAskedFor) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string path = world.Serve(device);
  EXPECT_TRUE(world.server().Restore("photos").has_value());
  const UniqueFd kept = OpenFile(path, O_RDWR);
  EXPECT_EQ(WriteAt(kept.get(), 0, "hello"), 5);
  ASSERT_TRUE(UnmountConnection({}, world.directory(), UnmountMode::kLazy).has_value());
  EXPECT_EQ(ErrnoOf([&] { return access(path.c_str(), R_OK); }), ENOENT);
  EXPECT_EQ(ReadAt(kept.get(), 0, 5), "hello") << "as after any lazy unmount";
  ASSERT_TRUE(world.server().Restore("photos").has_value());
  EXPECT_EQ(ReadAt(OpenFile(path, O_RDONLY).get(), 0, 5), "hello");
  EXPECT_EQ(WriteAt(kept.get(), 0, "x"), -ENOTCONN) << "one mount serves a directory";
}

TEST(FuseMount, ThatComesBackHasAnsweredWhatWasAskedBefore) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string path = world.Serve(device);
  const UniqueFd kept = OpenFile(path, O_RDWR);
  device.memory().set_in_place(false);
  device.memory().Hold();
  std::string read;
  std::thread reader([&] { read = ReadAt(kept.get(), 0, 5); });
  EXPECT_TRUE(device.memory().AwaitInside(1));
  EXPECT_TRUE(UnmountConnection({}, world.directory(), UnmountMode::kLazy).has_value());
  std::thread restoring([&] { EXPECT_TRUE(world.server().Restore("photos").has_value()); });
  // The new mount comes after the answer, however long one looks.
  for (int i = 0; i < 50'000; ++i) {
    if (access(path.c_str(), R_OK) == 0) {
      ADD_FAILURE() << "mounted again with a read under way";
      break;
    }
  }
  device.memory().LetGo();
  reader.join();
  restoring.join();
  EXPECT_EQ(read, std::string(5, '\0'));
  EXPECT_EQ(WriteAt(OpenFile(path, O_RDWR).get(), 0, "x"), 1);
}

TEST(FuseMount, OfManyDirectoriesAtOnceAndOfOneByMany) {
  constexpr int kVolumes = 8;
  FuseWorld world;
  std::vector<std::unique_ptr<StrictDevice>> devices;
  for (int i = 0; i < kVolumes; ++i) devices.push_back(std::make_unique<StrictDevice>(kMiB));
  for (const bool together : {false, true}) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kVolumes; ++i) {
      threads.emplace_back([&, i] {
        block::ExportSpec spec{};
        spec.name = "volume" + std::to_string(i);
        spec.address = world.root() + (together ? "/one" : "/of" + std::to_string(i));
        for (int round = 0; round < 3; ++round) {
          const auto place = world.TryServe(*devices[static_cast<std::size_t>(i)], spec);
          if (!place.has_value()) {
            ADD_FAILURE() << place.error().message;
            return;
          }
          {
            const UniqueFd file = OpenFile(place->uri, O_RDWR);
            EXPECT_EQ(WriteAt(file.get(), 0, spec.name), static_cast<ssize_t>(spec.name.size()));
          }
          EXPECT_TRUE(world.server().Withdraw(spec.name).has_value());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(FuseMount, WithWriteBackIsNotSharedWithVolumesWithout) {
  StrictDevice device(kMiB);
  StrictDevice other(kMiB);
  FuseWorld world;
  world.Serve(device);
  block::ExportSpec second{};
  second.name = "music";
  second.cache = block::ClientCache::kWriteBack;
  ExpectRefused(world.TryServe(other, second), ErrorCode::kConflict, "write-back", "fuse_cache");
}

}  // namespace
}  // namespace coffer::fuse::testing
