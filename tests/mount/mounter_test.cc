// Which way is taken, and what is said and left behind when none is: with a udisks of the test's
// own, programs that are scripts, and a /sys/block in a directory.
#include "core/mount/mounter.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "core/mount/file_systems.h"
#include "core/mount/record.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

namespace files = std::filesystem;

constexpr std::uint64_t kImageBytes = 1 << 20;
constexpr uid_t kNobodysRoot = 4711;  // no root: the loop way is closed to it

/// What the fake udisks is to do, and what it was asked.
struct Script {
  std::optional<Error> connect;
  std::optional<Error> set_up;
  std::optional<Error> check;
  std::optional<Error> mount;
  std::string mount_works_with = "nothing";  // an option with which `mount` is not met
  std::optional<Error> unmount;
  std::uint64_t loop_bytes = kImageBytes;
  std::uint64_t discard_granularity = 4096;
  std::string sys_block;
  std::string image;
  std::vector<std::chrono::milliseconds> limits;  // of calls that undo
  std::vector<std::string> calls;
};

class FakeUdisks final : public Udisks {
 public:
  explicit FakeUdisks(Script& script) : script_(script) {}

  Result<Loop> SetUpLoop(int image_fd, bool read_only) override {
    Note(read_only ? "set up, read-only" : "set up");
    if (script_.set_up) return Fail(*script_.set_up);
    EXPECT_EQ(lseek(image_fd, 0, SEEK_END), static_cast<off_t>(kImageBytes));
    files::create_directories(script_.sys_block + "/loop7/loop");
    WriteTestFile(script_.sys_block + "/loop7/loop/backing_file", script_.image + "\n");
    WriteTestFile(script_.sys_block + "/loop7/size", std::to_string(script_.loop_bytes / 512));
    files::create_directory(script_.sys_block + "/loop7/queue");
    WriteTestFile(script_.sys_block + "/loop7/queue/discard_max_bytes", "4294966784\n");
    WriteTestFile(script_.sys_block + "/loop7/queue/discard_granularity",
                  std::to_string(script_.discard_granularity) + "\n");
    return Loop{"/org/freedesktop/UDisks2/block_devices/loop7", "/dev/loop7"};
  }
  Status Check() override { return script_.check ? Status(Fail(*script_.check)) : Status(); }
  Result<std::string> Mount(const std::string&, const std::string& options) override {
    Note(options.empty() ? "mount" : "mount, " + options);
    if (script_.mount && options.find(script_.mount_works_with) == std::string::npos) {
      return Fail(*script_.mount);
    }
    return std::string("/media/me/photos");
  }
  Status ClearAfterUse(const std::string&) override {
    Note("clear after use");
    return {};
  }
  Status Unmount(const std::string&, Force force, std::chrono::milliseconds limit) override {
    script_.limits.push_back(limit);
    Note(force == Force::kLazily ? "unmount lazily" : "unmount");
    if (script_.unmount) return Fail(*script_.unmount);
    return {};
  }
  Status DeleteLoop(const std::string& object, std::chrono::milliseconds limit) override {
    script_.limits.push_back(limit);
    Note("delete " + object.substr(object.rfind('/') + 1));
    files::remove_all(script_.sys_block + "/loop7");
    return {};
  }

 private:
  void Note(const std::string& call) { script_.calls.push_back(call); }
  Script& script_;
};

class MounterTest : public testing::Test {
 protected:
  MounterTest() {
    files::create_directory(programs_);
    files::create_directory(script_.sys_block = directory_ / "block");
    script_.image = image_;
    WriteTestFile(image_, "");
    files::resize_file(image_, kImageBytes);
    // Says what a test has put into the file "found".
    Program("blkid", "[ -e " + directory_.path() + "/found ] || exit 2\ncat " + directory_.path() +
                         "/found");
    // A directory made and owned by the user that the mounter is told it is.
    EXPECT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  }

  void Program(const std::string& name, const std::string& script) {
    const std::string path = programs_ + "/" + name;
    WriteTestFile(path, "#!/bin/sh\n" + script + "\n");
    files::permissions(path, files::perms::owner_all);
  }
  void Holds(const std::string& what) { WriteTestFile(directory_ / "found", what); }
  void HoldsExt4() { Holds("TYPE=ext4\nUSAGE=filesystem\n"); }

  std::unique_ptr<Mounter> NewMounter() {
    SystemMounterOptions options;
    options.uid = kNobodysRoot;
    options.gid = kNobodysRoot;
    options.program_directories = {programs_};
    options.sys_block = script_.sys_block;
    options.connect_udisks = [this]() -> Result<std::unique_ptr<Udisks>> {
      if (script_.connect) return Fail(*script_.connect);
      return std::make_unique<FakeUdisks>(script_);
    };
    return NewSystemMounter(*fs_, std::move(options));
  }
  MountSpec Spec() {
    MountSpec spec;
    spec.image = image_;
    spec.directory = point_;
    spec.label = "photos";
    spec.record_path = record_;
    return spec;
  }
  Result<std::unique_ptr<MountedImage>> Mount(const MountSpec& spec) {
    return (mounter_ = NewMounter())->Mount(spec);
  }
  /// No trace but the image.
  void ExpectNothingLeft() {
    EXPECT_FALSE(files::exists(files::symlink_status(point_)));
    EXPECT_FALSE(files::exists(record_));
    EXPECT_FALSE(files::exists(script_.sys_block + "/loop7"));
  }
  [[nodiscard]] bool Asked(const std::string& call) const {
    return std::find(script_.calls.begin(), script_.calls.end(), call) != script_.calls.end();
  }

  const TemporaryDirectory directory_;
  const std::string programs_ = directory_ / "programs";
  const std::string image_ = directory_ / "photos.img";
  const std::string point_ = directory_ / "photos";
  const std::string record_ = directory_ / "record";
  Script script_;
  const std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  std::unique_ptr<Mounter> mounter_;
};

Error Unsupported(const std::string& message, const std::string& hint = "") {
  return Error{ErrorCode::kUnsupported, message, hint};
}

void ExpectSays(const Error& error, const std::string& message, const std::string& hint) {
  EXPECT_NE(error.message.find(message), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find(hint), std::string::npos) << error.hint;
}

TEST_F(MounterTest, SaysOfEachWayWhyItDoesNotWork) {
  HoldsExt4();
  script_.connect = Unsupported("there is no system D-Bus", "apt install udisks2");
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kUnsupported);
  ExpectSays(mounted.error(), "loop: cofferd does not run as root", "apt install udisks2");
  ExpectSays(mounted.error(), "udisks: there is no system D-Bus", "apt install fuse2fs");
  ExpectSays(mounted.error(), "fuse2fs: fuse2fs is not installed", "");
  ExpectNothingLeft();
}

TEST_F(MounterTest, TakesUdisksAndPutsALinkWhereTheDirectoryWas) {
  HoldsExt4();
  files::create_directory(point_);
  EXPECT_EQ(chown(point_.c_str(), kNobodysRoot, kNobodysRoot), geteuid() == 0 ? 0 : -1);
  if (geteuid() != 0) files::remove(point_);  // one of ours would be another user's to it
  auto mounted = Mount(Spec());
  ASSERT_OK(mounted);
  const MountedAs& as = (*mounted)->as();
  EXPECT_EQ(as.way, "udisks");
  EXPECT_EQ(as.path, "/media/me/photos");
  EXPECT_EQ(as.directory, point_);
  EXPECT_EQ(as.device, "/dev/loop7");
  EXPECT_EQ(as.file_system, "ext4");
  ASSERT_EQ(as.passed_over.size(), 1U);
  EXPECT_EQ(as.note, "");
  EXPECT_EQ(files::read_symlink(point_), "/media/me/photos");
  EXPECT_TRUE(Asked("clear after use"));
  ASSERT_OK_AND_ASSIGN(const auto record, ReadRecord(*fs_, record_));
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->device, "/dev/loop7");
  EXPECT_EQ(record->link, "/media/me/photos");
  // It is not in the mount table, after all.
  EXPECT_EQ((*mounted)->presence(), Presence::kUnmounted);
  EXPECT_NE(TroubleText(as, (*mounted)->presence()).find("nothing is lost"), std::string::npos);
  EXPECT_EQ(TroubleText(as, Presence::kThere), "");
  ASSERT_OK_AND_ASSIGN(const std::string lost, (*mounted)->Unmount({}));
  EXPECT_EQ(lost, "");
  EXPECT_TRUE(Asked("delete loop7"));
  if (geteuid() == 0) {
    EXPECT_TRUE(files::is_directory(files::symlink_status(point_)));
    files::remove(point_);
  }
  ExpectNothingLeft();
}

TEST_F(MounterTest, WhatIsNotMountedAnyMoreDoesNotGrow) {
  HoldsExt4();
  const auto mounted = Mount(Spec());
  ASSERT_OK(mounted);
  EXPECT_EQ((*mounted)->ImageGrew(2 * kImageBytes), "");  // it is not in the mount table, after all
}

// Linux 6.1, without user_allow_other.
TEST_F(MounterTest, ALoopDeviceThatGivesNothingBackIsExplained) {
  HoldsExt4();
  script_.discard_granularity = 0;
  const auto mounted = Mount(Spec());
  ASSERT_OK(mounted);
  EXPECT_EQ((*mounted)->as().way, "udisks");
  const std::string& note = (*mounted)->as().note;
  EXPECT_NE(note.find("/dev/loop7 takes no discards"), std::string::npos) << note;
  EXPECT_NE(note.find("user_allow_other"), std::string::npos) << note;
}

TEST_F(MounterTest, NothingIsSaidOfDiscardsWhereNothingIsDeleted) {
  HoldsExt4();
  script_.discard_granularity = 0;
  MountSpec spec = Spec();
  spec.read_only = true;
  const auto mounted = Mount(spec);
  ASSERT_OK(mounted);
  EXPECT_EQ((*mounted)->as().note, "");
}

TEST_F(MounterTest, ReadOnlyIsSoAllTheWay) {
  HoldsExt4();
  MountSpec spec = Spec();
  spec.read_only = true;
  ASSERT_OK(Mount(spec));
  EXPECT_TRUE(Asked("set up, read-only"));
  EXPECT_TRUE(Asked("mount, ro"));
}

// What an unclean end leaves in a journal, a read-only device cannot take back.
TEST_F(MounterTest, ReadOnlyWhatWasInUseIsMountedWithoutItsJournalAndThatIsSaid) {
  HoldsExt4();
  MountSpec spec = Spec();
  spec.read_only = true;
  script_.mount = Error{ErrorCode::kIoError, "mounting: needs recovery"};
  script_.mount_works_with = "noload";
  {
    const auto mounted = Mount(spec);
    ASSERT_OK(mounted);
    EXPECT_TRUE(Asked("mount, ro"));
    EXPECT_TRUE(Asked("mount, ro,noload"));
    EXPECT_NE((*mounted)->as().note.find("in use when it was last written"), std::string::npos);
    ASSERT_OK((*mounted)->Unmount({}));
  }
  script_.mount_works_with = "nothing";
  const auto refused = Mount(spec);
  ASSERT_FAILS(refused, kIoError);
  ExpectSays(refused.error(), "needs recovery", "");
}

TEST_F(MounterTest, AnXfsIsNotHeldBackByItsCopy) {
  const std::vector<MountOptions> options = KernelOptions("xfs", Access::kReadOnly);
  ASSERT_EQ(options.size(), 2U);
  EXPECT_EQ(options[0].words, "ro,nouuid");
  EXPECT_EQ(options[1].words, "ro,nouuid,norecovery");
  EXPECT_EQ(KernelOptions("xfs", Access::kReadWrite)[0].words, "rw,nouuid");
  EXPECT_EQ(KernelOptions("ext4", Access::kReadWrite)[0].words, "rw");
}

/// As `umount -l` leaves it: out of sight, and its file system at work.
TEST_F(MounterTest, WhatIsHeldOutOfSightIsNeitherClosedNorForgotten) {
  HoldsExt4();
  const auto mounted = Mount(Spec());
  ASSERT_OK(mounted);
  WriteTestFile(script_.sys_block + "/loop7/loop/autoclear", "1\n");
  EXPECT_EQ((*mounted)->presence(), Presence::kHeld);
  const auto refused = (*mounted)->Unmount({});
  ASSERT_FAILS(refused, kConflict);
  ExpectSays(refused.error(), "while it was in use", "");
  EXPECT_TRUE(files::exists(record_));
  files::remove(script_.sys_block + "/loop7/loop/autoclear");
  EXPECT_EQ((*mounted)->presence(), Presence::kUnmounted);
  files::create_directories(directory_ / "fs/ext4/loop7");
  EXPECT_EQ((*mounted)->presence(), Presence::kHeld);
  script_.limits.clear();
  UnmountHow how{.force = Force::kYes};
  how.patience = std::chrono::milliseconds(700);
  ASSERT_OK((*mounted)->Unmount(how));
  ExpectNothingLeft();
  ASSERT_FALSE(script_.limits.empty());
  for (const auto limit : script_.limits) EXPECT_EQ(limit, how.patience);
}

TEST_F(MounterTest, ALoopDeviceThatTheKernelSeesAsEmptyIsGivenBackAndExplained) {
  HoldsExt4();
  script_.loop_bytes = 0;
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kUnsupported);
  ExpectSays(mounted.error(), "as empty", "user_allow_other in /etc/fuse.conf");
  EXPECT_TRUE(Asked("delete loop7"));
  EXPECT_FALSE(Asked("mount"));
  ExpectNothingLeft();
}

TEST_F(MounterTest, WhatPolkitDeniesFallsThroughToTheNextWay) {
  HoldsExt4();
  Program("e2fsck", "exit 0");
  Program("fusermount", "exit 0");
  Program("fuse2fs", "echo fuse2fs was here; exit 1");
  script_.mount = Unsupported("udisks2 does not allow it (polkit)");
  const auto mounted = Mount(Spec());
  ASSERT_FALSE(mounted.has_value());
  ExpectSays(mounted.error(), "polkit", "");
  ExpectSays(mounted.error(), "fuse2fs was here", "");
  ExpectNothingLeft();
}

TEST_F(MounterTest, AWayThatIsForcedIsTheOnlyOne) {
  HoldsExt4();
  MountSpec spec = Spec();
  spec.way = "fuse2fs";
  const auto mounted = Mount(spec);
  ASSERT_FAILS(mounted, kUnsupported);
  EXPECT_TRUE(script_.calls.empty());
  EXPECT_EQ(mounted.error().message.find("loop"), std::string::npos);
  spec.way = "elsewhere";
  EXPECT_FAILS(Mount(spec), kInvalidArgument);
}

TEST_F(MounterTest, DamageIsNotTriedInAnotherWay) {
  HoldsExt4();
  script_.mount = Error{ErrorCode::kIoError, "mounting: structure needs cleaning"};
  Program("fuse2fs", "touch " + directory_.path() + "/tried; exit 1");
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kIoError);
  ExpectSays(mounted.error(), "structure needs cleaning", "fsck");
  EXPECT_FALSE(files::exists(directory_ / "tried"));
  ExpectNothingLeft();

  script_.connect = Unsupported("none");
  Program("fusermount", "exit 0");
  Program("e2fsck", "echo needs a person; exit 4");
  const auto by_fuse2fs = Mount(Spec());
  ASSERT_FAILS(by_fuse2fs, kCorruption);
  ExpectSays(by_fuse2fs.error(), "needs a person", "e2fsck -f");
  EXPECT_FALSE(files::exists(directory_ / "tried"));
}

TEST_F(MounterTest, Fuse2fsIsForExtAlone) {
  Holds("TYPE=xfs\nUSAGE=filesystem\n");
  script_.connect = Unsupported("none");
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kUnsupported);
  ExpectSays(mounted.error(), "this is xfs", "");
  MountSpec spec = Spec();
  spec.way = "fuse2fs";
  spec.make = "xfs";
  EXPECT_FAILS(Mount(spec), kInvalidArgument);
}

TEST_F(MounterTest, WithoutAFileSystemItNamesWhatMakesOne) {
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kNotFound);
  ExpectSays(mounted.error(), "no file system on the volume yet", "--mkfs");
  ExpectNothingLeft();
}

TEST_F(MounterTest, WhatIsNoFileSystemIsNamed) {
  Holds("PTTYPE=gpt\n");
  const auto mounted = Mount(Spec());
  ASSERT_FAILS(mounted, kInvalidArgument);
  ExpectSays(mounted.error(), "a partition table (gpt)", "coffer open NAME --fuse=DIR");
  Program("blkid", "exit 8");
  ExpectSays(Mount(Spec()).error(), "several kinds", "");
  Program("blkid", "echo cannot read; exit 4");
  EXPECT_FAILS(Mount(Spec()), kIoError);
  files::remove(programs_ + "/blkid");
  EXPECT_FAILS(Mount(Spec()), kUnsupported);
}

/// Made by a mke2fs that leaves its words in the file "made".
class MakingTest : public MounterTest {
 protected:
  MakingTest() {
    Program("mke2fs", "echo \"$*\" > " + directory_.path() + "/made");
    spec_ = Spec();
    spec_.make = "ext4";
    spec_.is_blank = true;
  }
  [[nodiscard]] std::string made() const { return ReadTestFile(directory_ / "made"); }
  MountSpec spec_;
};

TEST_F(MakingTest, WhereThereIsNothing) {
  spec_.label = "a-label-of-more-than-sixteen";
  const auto mounted = Mount(spec_);
  ASSERT_OK(mounted);
  EXPECT_TRUE((*mounted)->as().made);
  EXPECT_NE(made().find("-L a-label-of-more- "), std::string::npos) << made();
  EXPECT_NE(made().find("root_owner=4711:4711"), std::string::npos) << made();
  EXPECT_NE(made().find("-b 4096"), std::string::npos) << made();
  EXPECT_NE(made().find(image_), std::string::npos) << made();
}

TEST_F(MakingTest, NothingIsMadeOverAnything) {
  HoldsExt4();
  const auto over_ext4 = Mount(spec_);
  ASSERT_FAILS(over_ext4, kAlreadyExists);
  ExpectSays(over_ext4.error(), "ext4", "without --mkfs");
  Holds("PTTYPE=dos\n");
  EXPECT_FAILS(Mount(spec_), kAlreadyExists);
  files::remove(directory_ / "found");
  spec_.is_blank = false;
  EXPECT_FAILS(Mount(spec_), kAlreadyExists);
  spec_.is_blank = true;
  spec_.read_only = true;
  EXPECT_FAILS(Mount(spec_), kInvalidArgument);
  EXPECT_EQ(made(), "");
  ExpectNothingLeft();
}

// Without fuse2fs and udisks, as an ordinary user.
TEST_F(MakingTest, NothingIsMadeThatCouldNotBeMounted) {
  script_.check = Unsupported("udisks2 does not answer", "apt install udisks2");
  const auto refused = Mount(spec_);
  ASSERT_FAILS(refused, kUnsupported);
  ExpectSays(refused.error(), "no file system is made", "apt install fuse2fs");
  ExpectSays(refused.error(), "udisks2 does not answer", "apt install udisks2");
  EXPECT_EQ(made(), "");
  ExpectNothingLeft();
  EXPECT_FAILS(NewMounter()->Check(spec_), kUnsupported);
  script_.check.reset();
  EXPECT_OK(NewMounter()->Check(spec_));
  spec_.make = "ntfs";
  EXPECT_FAILS(NewMounter()->Check(spec_), kInvalidArgument);
}

TEST_F(MakingTest, WhatWasMadeAndNotMountedTheNextTryGoesOnWith) {
  script_.mount = Unsupported("udisks2 does not allow it (polkit)");
  const auto failed = Mount(spec_);
  ASSERT_FAILS(failed, kUnsupported);
  ExpectSays(failed.error(), "the same command goes on with it", "");
  const std::string words = made();
  ASSERT_OK_AND_ASSIGN(const auto record, ReadRecord(*fs_, record_));
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->way, "");
  ASSERT_EQ(record->made.substr(0, 5), "ext4 ");
  const std::string uuid = record->made.substr(5);
  EXPECT_NE(words.find("-U " + uuid), std::string::npos) << words;
  // What a killed daemon left is undone at each open; there is nothing to undo of this.
  ASSERT_OK(NewMounter()->CleanUp(record_));
  files::remove(directory_ / "made");
  spec_.is_blank = false;

  Holds("TYPE=ext4\nUSAGE=filesystem\nUUID=somebody-elses\n");
  EXPECT_FAILS(Mount(spec_), kAlreadyExists);
  Holds("TYPE=ext4\nUSAGE=filesystem\nUUID=" + uuid + "\n");
  EXPECT_FAILS(Mount(spec_), kUnsupported);  // still not
  script_.mount.reset();
  const auto mounted = Mount(spec_);
  ASSERT_OK(mounted);
  EXPECT_TRUE((*mounted)->as().made);
  EXPECT_FALSE(files::exists(directory_ / "made"));
  ASSERT_OK((*mounted)->Unmount({}));
  ExpectNothingLeft();
  EXPECT_FAILS(Mount(spec_), kAlreadyExists);  // it has been mounted once
}

TEST_F(MakingTest, WhatMkfsLeavesHalfDoneIsTakenAway) {
  Program("mke2fs", "printf half | dd of=\"" + image_ +
                        "\" conv=notrunc 2>/dev/null; "
                        "printf 'no room\\n\\tat all\\n'; exit 1");
  const auto failed = Mount(spec_);
  ASSERT_FAILS(failed, kIoError);
  ExpectSays(failed.error(), "mke2fs: no room at all", "");
  EXPECT_EQ(ReadTestFile(image_), std::string(kImageBytes, '\0'));
  ExpectNothingLeft();
}

TEST_F(MakingTest, LostAndFoundBelongsToTheUser) {
  Program("debugfs", "echo \"$*\" >> " + directory_.path() + "/owned");
  ASSERT_OK(Mount(spec_));
  EXPECT_EQ(ReadTestFile(directory_ / "owned"),
            "-w -R set_inode_field /lost+found uid 4711 " + image_ +
                "\n-w -R set_inode_field /lost+found gid 4711 " + image_ + "\n");
}

TEST_F(MakingTest, APlaceThatCannotBeMountedAtIsNoticedBefore) {
  files::create_directory(point_);
  WriteTestFile(point_ + "/mine", "x");
  EXPECT_FALSE(Mount(spec_).has_value());
  EXPECT_EQ(made(), "");
  EXPECT_TRUE(files::exists(point_ + "/mine"));
}

TEST_F(MakingTest, WhatCannotBeMadeIsSaidWithWhatInstallsIt) {
  files::remove(programs_ + "/mke2fs");
  const auto without = Mount(spec_);
  ASSERT_FAILS(without, kUnsupported);
  ExpectSays(without.error(), "mke2fs is not installed", "apt install e2fsprogs");
  spec_.make = "reiserfs";
  EXPECT_FAILS(Mount(spec_), kInvalidArgument);
  spec_.make = "btrfs";
  Program("mkfs.btrfs", "exit 0");
  EXPECT_FAILS(Mount(spec_), kUnsupported);  // its root would be root's
  Program("mke2fs", "echo no room; exit 1");
  spec_.make = "ext4";
  const auto failed = Mount(spec_);
  ASSERT_FAILS(failed, kIoError);
  ExpectSays(failed.error(), "no room", "");
  ExpectNothingLeft();
}

/// What a cofferd left that was killed.
class CleanUpTest : public MounterTest {
 protected:
  CleanUpTest() {
    left_.boot = BootId();
    left_.image = image_;
    left_.point = {point_, /*existed=*/false, 0700};
    left_.way = "udisks";
    left_.device = "/dev/loop7";
    left_.object = "/org/freedesktop/UDisks2/block_devices/loop7";
    left_.link = "/media/me/photos";
    files::create_symlink(left_.link, point_);
    SetUpLoopOn(image_);
  }
  void SetUpLoopOn(const std::string& image) {
    files::create_directories(script_.sys_block + "/loop7/loop");
    WriteTestFile(script_.sys_block + "/loop7/loop/backing_file", image + "\n");
  }
  Status CleanUp() {
    EXPECT_OK(WriteRecord(*fs_, record_, left_));
    return NewMounter()->CleanUp(record_);
  }
  Record left_;
};

TEST_F(CleanUpTest, UndoesIt) {
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(Asked("delete loop7"));
  ExpectNothingLeft();
  ASSERT_OK(NewMounter()->CleanUp(record_));  // nothing to do any more
}

TEST_F(CleanUpTest, WhatIsLeftIsNoReasonToRefuseTheNextOpen) {
  MountSpec spec = Spec();
  spec.directory = directory_.path() + "/programs/../photos/";
  ASSERT_OK(WriteRecord(*fs_, record_, left_));
  EXPECT_OK(NewMounter()->Check(spec));
  EXPECT_TRUE(files::is_symlink(files::symlink_status(point_)));  // only looked at
  spec.record_path = "";
  EXPECT_FAILS(NewMounter()->Check(spec), kInvalidArgument);  // somebody else's link
  spec = Spec();
  files::create_symlink("/media/me/mail", spec.directory = directory_ / "mail");
  EXPECT_FAILS(NewMounter()->Check(spec), kInvalidArgument);
  left_.way.clear();  // nothing is left to be undone
  ASSERT_OK(WriteRecord(*fs_, record_, left_));
  EXPECT_FAILS(NewMounter()->Check(Spec()), kInvalidArgument);
}

TEST_F(CleanUpTest, FindsTheDeviceThatWasNotRecordedYet) {
  left_.device.clear();
  left_.object.clear();
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(Asked("delete loop7"));
  ExpectNothingLeft();
}

TEST_F(CleanUpTest, LeavesADeviceAloneThatIsOnSomethingElseByNow) {
  SetUpLoopOn("/somebody/elses.img");
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(script_.calls.empty());
  EXPECT_TRUE(files::exists(script_.sys_block + "/loop7"));
  EXPECT_FALSE(files::exists(record_));
}

TEST_F(CleanUpTest, ADeviceStaysOnItsImageThatHasGotAnotherNumber) {
  SetUpLoopOn(image_ + " (deleted)");
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(Asked("delete loop7"));
  ExpectNothingLeft();
}

/// A "device" that is mounted on every machine: /proc.
TEST_F(CleanUpTest, UnmountsADeviceOnlyWhileItIsOnTheImage) {
  left_.device = "proc";
  files::create_directories(script_.sys_block + "/proc/loop");
  const std::string backing_file = script_.sys_block + "/proc/loop/backing_file";
  WriteTestFile(backing_file, "/somebody/elses.img\n");
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(script_.calls.empty());
  WriteTestFile(backing_file, image_ + "\n");
  script_.unmount = Error{ErrorCode::kConflict, "busy"};
  EXPECT_FALSE(CleanUp().has_value());
  EXPECT_EQ(script_.calls, (std::vector<std::string>{"unmount", "unmount lazily"}));
  EXPECT_TRUE(files::exists(record_));
}

TEST_F(CleanUpTest, AfterAnotherBootOnlyTheLinkIsLeft) {
  left_.boot = "another";
  ASSERT_OK(CleanUp());
  EXPECT_TRUE(script_.calls.empty());
  EXPECT_FALSE(files::exists(files::symlink_status(point_)));
}

TEST_F(CleanUpTest, ALinkThatLeadsElsewhereIsNotOurs) {
  files::remove(point_);
  files::create_symlink("/somewhere/else", point_);
  ASSERT_OK(CleanUp());
  EXPECT_EQ(files::read_symlink(point_), "/somewhere/else");
}

TEST_F(CleanUpTest, ARecordThatMakesNoSenseIsDropped) {
  WriteTestFile(record_, "coffer-mount 1\nrubbish");
  ASSERT_OK(NewMounter()->CleanUp(record_));
  EXPECT_TRUE(script_.calls.empty());
  EXPECT_FALSE(files::exists(record_));
}

}  // namespace
}  // namespace coffer::mount
