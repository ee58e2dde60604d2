// What the mounted directory holds, and that nobody but coffer changes it (faults.md row 69).
#include <dirent.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "tests/fuse/fuse_world.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::set<std::string> NamesIn(const std::string& path) {
  std::set<std::string> names;
  DIR* const directory = opendir(path.c_str());
  EXPECT_NE(directory, nullptr) << path;
  if (directory == nullptr) return names;
  while (const dirent* const entry = readdir(directory)) names.insert(entry->d_name);
  closedir(directory);
  return names;
}

block::ExportSpec Named(const std::string& name) {
  block::ExportSpec spec{};
  spec.name = name;
  return spec;
}

TEST(FuseDirectory, HoldsAnImageAndAStatusOfEachVolumeAndRoomForSnapshots) {
  StrictDevice first(kMiB);
  StrictDevice second(2 * kMiB);
  FuseWorld world;
  world.Serve(first, Named("photos"));
  const std::string image = world.Serve(second, Named("attic/photos"));
  EXPECT_EQ(image, world.directory() + "/attic.photos.img");
  const std::set<std::string> expected = {".",
                                          "..",
                                          "snapshots",
                                          "photos.img",
                                          "photos.status.json",
                                          "attic.photos.img",
                                          "attic.photos.status.json"};
  EXPECT_EQ(NamesIn(world.directory()), expected);
  EXPECT_EQ(NamesIn(world.directory() + "/snapshots"), (std::set<std::string>{".", ".."}));
  struct statvfs space {};
  ASSERT_EQ(statvfs(image.c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks * space.f_frsize, 3 * kMiB);
  EXPECT_EQ(space.f_bavail, 0u);
}

TEST(FuseDirectory, TakesAVolumeOnceAndShowsOneInSeveral) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd here = OpenFile(world.Serve(device), O_RDWR);
  const auto again = world.TryServe(device);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  block::ExportSpec elsewhere{};
  elsewhere.address = world.root() + "/elsewhere";
  const UniqueFd there = OpenFile(world.Serve(device, elsewhere), O_RDWR);
  for (int i = 0; i < 200; ++i) {
    const std::string text = "round " + std::to_string(i);
    ASSERT_EQ(WriteAt(i % 2 == 0 ? here.get() : there.get(), 4096, text),
              static_cast<ssize_t>(text.size()));
    ASSERT_EQ(ReadAt(i % 2 == 0 ? there.get() : here.get(), 4096, text.size()), text);
  }
  EXPECT_EQ(world.server().client_count("photos"), 2);
}

TEST(FuseDirectory, SaysBeforehandWhatItWouldRefuseAndChangesNothing) {
  StrictDevice device(kMiB);
  FuseWorld world;
  block::ExportSpec spec = Named("attic/photos");
  spec.address = world.root() + "/images";
  EXPECT_TRUE(world.server().Check(spec).has_value());
  EXPECT_FALSE(std::filesystem::exists(spec.address));
  std::filesystem::create_directory(spec.address);
  EXPECT_TRUE(world.server().Check(spec).has_value());
  const std::string letter = spec.address + "/letter.txt";
  std::ofstream(letter) << "mine";
  const Status full = world.server().Check(spec);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, ErrorCode::kConflict);
  EXPECT_NE(full.error().message.find("letter.txt"), std::string::npos) << full.error().message;
  std::filesystem::remove(letter);
  world.Serve(device, spec);
  const Status taken = world.server().Check(spec);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kAlreadyExists);
  block::ExportSpec beside = Named("other");
  beside.address = spec.address;
  EXPECT_TRUE(world.server().Check(beside).has_value());
  beside.cache = block::ClientCache::kWriteBack;
  EXPECT_FALSE(world.server().Check(beside).has_value());
}

TEST(FuseDirectory, TellsWhatItKnowsOfAVolume) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.ServeSole(device), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 0, "hello"), 5);
  ASSERT_EQ(fsync(file.get()), 0);
  const std::string path = world.directory() + "/photos.status.json";
  const std::string text = ReadTestFile(path);
  for (const char* part : {"\"volume\": \"photos\"", "\"size_bytes\": 1048576",
                           "\"read_only\": false", "\"kernel_cache\": \"reads\"",
                           "\"open_files\": 1", "\"bytes_written\": 5", "\"flushes\": 1"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(text.size()));
  EXPECT_EQ(ErrnoOf([&] { return open(path.c_str(), O_RDWR); }), EACCES);
}

TEST(FuseDirectory, IsChangedByNobody) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string image = world.Serve(device);
  const std::string& place = world.directory();
  const std::string other = place + "/other";
  const std::string outside = world.root() + "/outside";
  WriteTestFile(outside, "x");
  const UniqueFd file = OpenFile(image, O_RDWR);
  const std::pair<const char*, std::function<int()>> table[] = {
      {"truncate", [&] { return truncate(image.c_str(), 0); }},
      {"grow", [&] { return truncate(image.c_str(), 2 * kMiB); }},
      {"ftruncate", [&] { return ftruncate(file.get(), 4096); }},
      {"open O_TRUNC", [&] { return open(image.c_str(), O_RDWR | O_TRUNC); }},
      {"open O_TRUNC for reading", [&] { return open(image.c_str(), O_RDONLY | O_TRUNC); }},
      {"rename", [&] { return rename(image.c_str(), other.c_str()); }},
      {"rename onto",
       [&] { return rename((place + "/photos.status.json").c_str(), image.c_str()); }},
      {"unlink", [&] { return unlink(image.c_str()); }},
      {"unlink status", [&] { return unlink((place + "/photos.status.json").c_str()); }},
      {"rmdir", [&] { return rmdir((place + "/snapshots").c_str()); }},
      {"chmod", [&] { return chmod(image.c_str(), 0644); }},
      {"fchmod", [&] { return fchmod(file.get(), 0644); }},
      {"chown", [&] { return chown(image.c_str(), geteuid(), getegid()); }},
      {"create", [&] { return open(other.c_str(), O_CREAT | O_WRONLY, 0600); }},
      {"create in snapshots",
       [&] { return open((place + "/snapshots/a").c_str(), O_CREAT | O_WRONLY, 0600); }},
      {"mkdir", [&] { return mkdir(other.c_str(), 0700); }},
      {"link", [&] { return link(image.c_str(), other.c_str()); }},
      {"symlink", [&] { return symlink("photos.img", other.c_str()); }},
      {"mkfifo", [&] { return mkfifo(other.c_str(), 0600); }},
  };
  for (const auto& [name, call] : table) EXPECT_EQ(ErrnoOf(call), EPERM) << name;
  EXPECT_EQ(ErrnoOf([&] { return setxattr(image.c_str(), "user.a", "b", 1, 0); }), EOPNOTSUPP);
  EXPECT_EQ(ErrnoOf([&] { return getxattr(image.c_str(), "user.a", nullptr, 0); }), EOPNOTSUPP);
  EXPECT_EQ(ErrnoOf([&] { return open(place.c_str(), O_TMPFILE | O_RDWR, 0600); }), EOPNOTSUPP);
  EXPECT_EQ(ErrnoOf([&] { return access(image.c_str(), X_OK); }), EACCES);
  EXPECT_EQ(ErrnoOf([&] { return open(other.c_str(), O_RDWR); }), ENOENT);
  // What changes nothing, and what programs do that copy a file and its times.
  EXPECT_EQ(ftruncate(file.get(), kMiB), 0);
  EXPECT_EQ(utimensat(AT_FDCWD, image.c_str(), nullptr, 0), 0);
  EXPECT_EQ(fchown(file.get(), static_cast<uid_t>(-1), static_cast<gid_t>(-1)), 0);
  struct stat info {};
  ASSERT_EQ(stat(image.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(kMiB));
}

TEST(FuseDirectory, ShowsTheNewSizeOfAVolumeAndNothingOldBeyondIt) {
  for (const block::ClientCache cache :
       {block::ClientCache::kAuto, block::ClientCache::kNone, block::ClientCache::kWriteBack}) {
    StrictDevice device(2 * kMiB);
    FuseWorld world;
    block::ExportSpec spec{};
    spec.sole = true;
    spec.cache = cache;
    const std::string path = world.Serve(device, spec);
    const auto size = [&path] {
      struct stat info {};
      EXPECT_EQ(stat(path.c_str(), &info), 0);
      return static_cast<std::uint64_t>(info.st_size);
    };
    const auto resize = [&](std::uint64_t to) {
      device.memory().Resize(to);
      world.server().Resized("photos");
    };
    {
      const UniqueFd file = OpenFile(path, O_RDWR);
      ASSERT_EQ(WriteAt(file.get(), kMiB, std::string(kMiB, 'x')), static_cast<ssize_t>(kMiB));
      ASSERT_EQ(ReadAt(file.get(), 2 * kMiB - 1, 1), "x");
      ASSERT_EQ(fsync(file.get()), 0);
    }
    EXPECT_EQ(size(), 2 * kMiB);
    resize(kMiB);
    EXPECT_EQ(size(), kMiB);
    resize(3 * kMiB);
    EXPECT_EQ(size(), 3 * kMiB);
    resize(kMiB);
    resize(2 * kMiB);  // nobody has looked in between
    EXPECT_EQ(size(), 2 * kMiB);
    const UniqueFd file = OpenFile(path, O_RDWR);
    EXPECT_EQ(ReadAt(file.get(), 2 * kMiB - 1, 5), std::string(1, '\0'));
    resize(3 * kMiB);
    EXPECT_EQ(size(), 3 * kMiB);
    // A write across the end that the kernel keeps back is cut later (image_file_test).
    if (cache == block::ClientCache::kWriteBack) continue;
    EXPECT_EQ(WriteAt(file.get(), 3 * kMiB - 2, "abc"), 2);
    EXPECT_EQ(ReadAt(file.get(), 3 * kMiB - 3, 5), std::string("\0ab", 3));
  }
}

TEST(FuseDirectory, HasATimeThatFollowsTheWrites) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string path = world.ServeSole(device);
  const UniqueFd file = OpenFile(path, O_RDWR);
  const timespec past[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(futimens(file.get(), past), 0);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mtime, 1000);
  ASSERT_EQ(WriteAt(file.get(), 0, "x"), 1);
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_GT(info.st_mtime, 1'700'000'000);
}

}  // namespace
}  // namespace coffer::fuse::testing
