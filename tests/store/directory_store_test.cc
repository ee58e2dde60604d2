// DirectoryStore beyond what every store does: opening, the mount guard, what others left or
// planted.
#include "core/store/directory_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/base/log.h"
#include "core/store/directory_guard.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"

namespace coffer::store {
namespace {

using StorePtr = std::unique_ptr<DirectoryStore>;

bool Mentions(const Error& error, std::string_view text) {
  return error.message.find(text) != std::string::npos;
}

class DirectoryStoreTest : public testing::Test {
 protected:
  DirectoryStoreTest() { fs_.AddDirectories("/mnt"); }

  Result<StorePtr> Open() { return DirectoryStore::Open(fs_, random_, kPath); }
  Result<StorePtr> OpenForInit() { return DirectoryStore::OpenForInit(fs_, random_, kPath); }
  StorePtr NewVault() {
    auto store = OpenForInit();
    EXPECT_OK(store);
    EXPECT_OK(Put(**store, "vault"));
    return std::move(*store);
  }
  static Status Put(ObjectStore& store, const std::string& name, std::string_view text = "text") {
    return store.Create({}, name, AsBytes(text), ObjectClass::kControl);
  }
  void Unmount() { fs_.Load(*empty_); }

  const std::string kPath = "/mnt/backup";
  SeededRandom random_{1};
  FaultyFileSystem fs_;
  std::shared_ptr<const FaultyFileSystem::Image> empty_ = [] {
    FaultyFileSystem::Image image;
    image.entries["/mnt"] = {true, 0700, 0, {}};
    image.entries["/mnt/backup"] = {true, 0700, 0, {}};
    return std::make_shared<const FaultyFileSystem::Image>(image);
  }();
};

TEST_F(DirectoryStoreTest, InitMakesTheLastPathPartOnly) {
  EXPECT_FAILS(DirectoryStore::OpenForInit(fs_, random_, "/mnt/a/b"), kNotFound);
  EXPECT_FAILS(fs_.Stat("/mnt/a"), kNotFound);
  ASSERT_OK(DirectoryStore::OpenForInit(fs_, random_, "/mnt/a"));
  fs_.PowerCut(CutMode::kDropAll);
  EXPECT_OK(fs_.Stat("/mnt/a"));
}

TEST_F(DirectoryStoreTest, OpenRefusesADirectoryThatIsMissingOrHoldsNoVault) {
  const auto missing = Open();
  ASSERT_FAILS(missing, kNotFound);
  EXPECT_TRUE(Mentions(missing.error(), "no such directory"));

  fs_.AddDirectories(kPath);
  const auto empty = Open();
  ASSERT_FAILS(empty, kNotFound);
  EXPECT_EQ(empty.error().message,
            "store at /mnt/backup has lost its mount or is not a coffer vault: its object 'vault' "
            "is missing");
}

TEST_F(DirectoryStoreTest, RefusesAStoreThatIsAFile) {
  fs_.AddFile(kPath, AsBytes("x"));
  const auto opened = Open();
  ASSERT_FAILS(opened, kInvalidArgument);
  EXPECT_TRUE(Mentions(opened.error(), "is not a directory"));
  EXPECT_FAILS(OpenForInit(), kInvalidArgument);
  EXPECT_FAILS(DirectoryStore::OpenForInit(fs_, random_, kPath + "/inside"), kInvalidArgument);
}

TEST_F(DirectoryStoreTest, RefusesThePathsThatNoStoreCanHave) {
  for (const char* path : {"", "/", "relative"}) {
    EXPECT_FAILS(DirectoryStore::Open(fs_, random_, path), kInvalidArgument) << path;
    EXPECT_FAILS(DirectoryStore::OpenForInit(fs_, random_, path), kInvalidArgument) << path;
  }
}

TEST_F(DirectoryStoreTest, InitRefusesADirectoryThatHoldsSomethingElse) {
  fs_.AddDirectories(kPath);
  fs_.AddFile(kPath + "/letter.txt", AsBytes("x"));
  const auto opened = OpenForInit();
  ASSERT_FAILS(opened, kAlreadyExists);
  EXPECT_TRUE(Mentions(opened.error(), "directory is not empty and holds no vault"));
  EXPECT_EQ(fs_.Files(), std::vector<std::string>{kPath + "/letter.txt"});
}

/// What can be removed is said by the store's own times.
TEST(DirectoryStoreOnDisk, HalfAVaultMayBeAnInitUnderWayUntilItIsOld) {
  const ScratchDirectory directory;
  const auto fs = NewPosixFileSystem();
  SeededRandom random(1);
  const std::string part = directory.path() + "/keys/fffffffffffffffe";
  std::filesystem::create_directories(directory.path() + "/keys");
  std::filesystem::create_directories(directory.path() + "/.coffer-tmp");
  std::ofstream(part) << "x";
  const auto fresh = DirectoryStore::OpenForInit(*fs, random, directory.path());
  ASSERT_FAILS(fresh, kCorruption);
  EXPECT_TRUE(Mentions(fresh.error(), "an init seems to be under way"));
  EXPECT_EQ(fresh.error().hint.find("remove the directory"), std::string::npos);
  struct timespec times[2] = {};
  times[0].tv_sec = times[1].tv_sec = time(nullptr) - 3600;
  ASSERT_EQ(utimensat(AT_FDCWD, part.c_str(), times, 0), 0);
  const auto old = DirectoryStore::OpenForInit(*fs, random, directory.path());
  ASSERT_FAILS(old, kCorruption);
  EXPECT_NE(old.error().hint.find("remove the directory"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path() + "/.coffer-tmp"));
}

TEST_F(DirectoryStoreTest, RefusesHalfAVault) {
  for (const char* part : {"keys", "catalog", "heads", "packs"}) {
    const std::string path = Concat("/mnt/half-", part);
    fs_.AddDirectories(Concat(path, "/", part, "/ab"));
    fs_.AddFile(Concat(path, "/", part, "/ab/object"), AsBytes("x"));
    const auto for_init = DirectoryStore::OpenForInit(fs_, random_, path);
    ASSERT_FAILS(for_init, kCorruption);
    EXPECT_TRUE(Mentions(for_init.error(), "half a vault"));
    const auto opened = DirectoryStore::Open(fs_, random_, path);
    ASSERT_FAILS(opened, kCorruption);
    EXPECT_TRUE(Mentions(opened.error(), "half a vault"));
  }
}

TEST_F(DirectoryStoreTest, InitTakesWhatAFileSystemOrABrokenOffInitLeaves) {
  fs_.AddDirectories(kPath + "/lost+found");
  fs_.AddDirectories(kPath + "/probe");
  fs_.AddFile(kPath + "/probe/0123456789abcdef0123456789abcdef", AsBytes("x"));
  fs_.AddDirectories(kPath + "/.coffer-tmp");
  for (const char* taken_back : {"/keys", "/catalog", "/heads/ab", "/packs/cd"}) {
    fs_.AddDirectories(kPath + taken_back);
  }
  ASSERT_OK(OpenForInit());
  fs_.AddFile(kPath + "/probe/letter.txt", AsBytes("x"));
  EXPECT_FAILS(OpenForInit(), kAlreadyExists);
}

TEST_F(DirectoryStoreTest, InitGivesTheVaultThatIsThere) {
  NewVault();
  ASSERT_OK_AND_ASSIGN(const StorePtr store, OpenForInit());
  EXPECT_OK(store->Get({}, "vault", 100));
  Unmount();
  EXPECT_FAILS(Put(*store, "packs/ab/x"), kUnavailable);  // guarded from the first moment
}

TEST_F(DirectoryStoreTest, InitSaysAtOnceThatItMayNotWrite) {
  fs_.AddDirectories(kPath);
  fs_.SetReadOnly();
  const auto opened = OpenForInit();
  ASSERT_FALSE(opened.has_value());
  EXPECT_TRUE(Mentions(opened.error(), "cannot be written to")) << opened.error().message;
}

TEST_F(DirectoryStoreTest, OpeningAndReadingAVaultChangesNothing) {
  NewVault();
  fs_.AddFile(kPath + "/.coffer-tmp/00000000000000000000000000000000.1", AsBytes("unfinished"));
  const std::uint64_t changes = fs_.change_count();
  {
    ASSERT_OK_AND_ASSIGN(const StorePtr store, Open());
    EXPECT_OK(store->Get({}, "vault", 100));
    EXPECT_OK(store->GetRange({}, "vault", 0, 1));
    EXPECT_OK(store->List({}, "", "", 10));
    EXPECT_FAILS(store->Get({}, "heads/x", 100), kNotFound);
  }
  EXPECT_EQ(fs_.change_count(), changes);
}

TEST_F(DirectoryStoreTest, ALostMountIsNeitherEmptyNorWrittenTo) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "heads/ab/1"));
  const auto mounted = fs_.Save();
  Unmount();
  for (const Status& status : {Put(*store, "heads/ab/0"), store->Delete({}, "heads/ab/1"),
                               Status(Fail(store->List({}, "heads/", "", 2).error())),
                               Status(Fail(store->Get({}, "heads/ab/1", 100).error())),
                               Status(Fail(store->GetRange({}, "heads/ab/1", 0, 1).error())),
                               Status(Fail(store->Get({}, "vault", 100).error()))}) {
    ASSERT_FAILS(status, kUnavailable);
    EXPECT_TRUE(Mentions(status.error(), "has lost its mount or is not a coffer vault"));
  }
  EXPECT_EQ(fs_.Files(), std::vector<std::string>{});
  EXPECT_FAILS(fs_.Stat(kPath + "/heads"), kNotFound);

  fs_.Load(*mounted);  // and everything works again by itself
  EXPECT_OK(Put(*store, "heads/ab/0"));
  ASSERT_OK_AND_ASSIGN(const ListPage page, store->List({}, "heads/", "", 5));
  EXPECT_EQ(page.names(), (std::vector<std::string>{"heads/ab/0", "heads/ab/1"}));
}

TEST_F(DirectoryStoreTest, AnotherVaultInItsPlaceIsNotWrittenTo) {
  const StorePtr store = NewVault();
  Unmount();
  fs_.AddFile(kPath + "/vault", AsBytes("another"));
  const Status created = Put(*store, "packs/ab/x");
  ASSERT_FAILS(created, kUnavailable);
  EXPECT_TRUE(Mentions(created.error(), "holds another vault"));
  EXPECT_FAILS(store->List({}, "", "", 5), kUnavailable);
}

TEST_F(DirectoryStoreTest, AnEmptyMarkerIsDamage) {
  fs_.AddDirectories(kPath);
  fs_.AddFile(kPath + "/vault", {});
  EXPECT_FAILS(Open(), kCorruption);
}

TEST_F(DirectoryStoreTest, ListReadsOnlyTheDirectoriesItNeeds) {
  const StorePtr store = NewVault();
  for (int i = 10; i < 60; ++i) {
    ASSERT_OK(Put(*store, Concat("packs/", i, "/a")));
    ASSERT_OK(Put(*store, Concat("heads/ab/", i)));
  }
  const std::uint64_t lists = fs_.call_count(FsCall::kList);
  const std::uint64_t stats = fs_.call_count(FsCall::kStat);
  ASSERT_OK_AND_ASSIGN(const ListPage heads, store->List({}, "heads/ab/", "", 2));
  EXPECT_EQ(heads.names(), (std::vector<std::string>{"heads/ab/10", "heads/ab/11"}));
  EXPECT_TRUE(heads.more);
  EXPECT_EQ(fs_.call_count(FsCall::kList) - lists, 1U);
  EXPECT_LE(fs_.call_count(FsCall::kStat) - stats, 5U);

  ASSERT_OK_AND_ASSIGN(const ListPage packs, store->List({}, "packs/", "packs/30/a", 2));
  EXPECT_EQ(packs.names(), (std::vector<std::string>{"packs/31/a", "packs/32/a"}));
  EXPECT_LE(fs_.call_count(FsCall::kList) - lists, 1U + 1 + 4);
}

TEST_F(DirectoryStoreTest, ListPassesOverWhatHasNoObjectName) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "keys/1"));
  fs_.AddFile(kPath + "/keys/README.txt", AsBytes("x"));
  fs_.AddFile(kPath + "/keys/.hidden", AsBytes("x"));
  fs_.AddFile(kPath + "/keys/a b", AsBytes("x"));
  fs_.AddDirectories(kPath + "/System Volume Information");
  fs_.AddFile(kPath + "/System Volume Information/x", AsBytes("x"));
  fs_.AddDirectories(kPath + "/keys/empty");
  ASSERT_OK_AND_ASSIGN(const ListPage page, store->List({}, "", "", 100));
  EXPECT_EQ(page.names(), (std::vector<std::string>{"keys/1", "vault"}));
  EXPECT_FALSE(page.more);
}

TEST_F(DirectoryStoreTest, AFullDiskIsNoSpaceAndLeavesNothing) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "packs/ab/small"));
  ASSERT_OK_AND_ASSIGN(const SpaceInfo space, fs_.Space(kPath));
  fs_.SetTotalBytes(space.total_bytes - space.free_bytes + 8192);
  const std::vector<std::string> before = fs_.Files();
  const Status created =
      store->Create({}, "packs/ab/large", Bytes(100'000, std::byte{1}), ObjectClass::kData);
  ASSERT_FAILS(created, kNoSpace);
  EXPECT_TRUE(Mentions(created.error(), "packs/ab/large"));
  EXPECT_EQ(fs_.Files(), before);
  EXPECT_OK(Put(*store, "packs/ab/small-too"));
  EXPECT_FAILS(store->Get({}, "packs/ab/large", 1), kNotFound);
}

TEST_F(DirectoryStoreTest, NoSpaceAtSyncLeavesNothing) {
  const StorePtr store = NewVault();
  const std::vector<std::string> before = fs_.Files();
  fs_.AddFault({.call = FsCall::kSync, .error_number = 28});
  EXPECT_FAILS(Put(*store, "packs/ab/x"), kNoSpace);
  EXPECT_EQ(fs_.Files(), before);
  EXPECT_FAILS(store->Get({}, "packs/ab/x", 100), kNotFound);
  EXPECT_OK(Put(*store, "packs/ab/x"));
}

TEST_F(DirectoryStoreTest, AReadOnlyDiskFailsChangesAndServesReads) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "keys/1"));
  fs_.SetReadOnly();
  const Status created = Put(*store, "keys/0");
  ASSERT_FAILS(created, kIoError);
  EXPECT_TRUE(Mentions(created.error(), "cannot create keys/0")) << created.error().message;
  EXPECT_TRUE(Mentions(created.error(), "Read-only")) << created.error().message;
  EXPECT_FAILS(store->Delete({}, "keys/1"), kIoError);
  EXPECT_OK(store->Get({}, "keys/1", 100));
  EXPECT_OK(store->List({}, "", "", 10));
}

TEST_F(DirectoryStoreTest, AFailedDirectorySyncIsAmbiguousAndSettledByRepeating) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "heads/ab/2"));
  fs_.AddFault({.call = FsCall::kSyncDirectory, .path_contains = "heads/ab"});
  EXPECT_FAILS(Put(*store, "heads/ab/1"), kUnavailable);
  EXPECT_FAILS(Put(*store, "heads/ab/1"), kAlreadyExists);
  fs_.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const StorePtr after, Open());
  EXPECT_OK(after->Get({}, "heads/ab/1", 100));
}

TEST_F(DirectoryStoreTest, WhatExistsByAnotherWriterStillExistsAfterAPowerCut) {
  const StorePtr mine = NewVault();
  ASSERT_OK_AND_ASSIGN(const StorePtr theirs, Open());
  ASSERT_OK(Put(*theirs, "keys/1"));
  // They link and then fail to sync, as if they hung just there.
  fs_.AddFault({.call = FsCall::kSyncDirectory, .path_contains = "keys"});
  EXPECT_FAILS(Put(*theirs, "keys/0", "theirs"), kUnavailable);
  EXPECT_FAILS(Put(*mine, "keys/0", "mine"), kAlreadyExists);
  fs_.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const StorePtr after, Open());
  ASSERT_OK_AND_ASSIGN(const Bytes kept, after->Get({}, "keys/0", 100));
  EXPECT_EQ(AsText(kept), "theirs");
}

TEST_F(DirectoryStoreTest, ADirectoryMadeByAnotherWriterIsSyncedBeforeItIsReliedOn) {
  const StorePtr mine = NewVault();
  ASSERT_OK(fs_.CreateDirectory(kPath + "/packs"));  // by somebody who was killed right after
  ASSERT_OK(Put(*mine, "packs/x"));
  fs_.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const StorePtr after, Open());
  EXPECT_OK(after->Get({}, "packs/x", 100));
}

TEST_F(DirectoryStoreTest, RemovesTheUnfinishedFilesOfTheDeadAndNotOfTheLiving) {
  const StorePtr living = NewVault();
  ASSERT_OK(Put(*living, "keys/9"));
  const std::string tmp = kPath + "/.coffer-tmp/";
  const std::vector<std::string> of_the_living = fs_.Files();
  const std::string lock = *std::ranges::find_if(
      of_the_living, [&](const std::string& path) { return path.ends_with(".lock"); });
  const std::string live_file = lock.substr(0, lock.size() - 4) + "77";
  fs_.AddFile(live_file, AsBytes("being written"));
  const std::string dead = tmp + "00112233445566778899aabbccddeeff.";
  fs_.AddFile(dead + "lock", {});
  fs_.AddFile(dead + "0", AsBytes("unfinished"));
  fs_.AddFile(dead + "12", AsBytes("unfinished"));
  fs_.AddFile(tmp + "ffffffffffffffffffffffffffffffff.3", AsBytes("its lock file was lost"));
  fs_.AddFile(tmp + "letter.txt", AsBytes("not ours"));
  fs_.AddFile(dead + "bak", AsBytes("not ours"));

  ASSERT_OK_AND_ASSIGN(const StorePtr store, Open());
  ASSERT_OK(Put(*store, "keys/8"));
  std::vector<std::string> left;
  for (const std::string& path : fs_.Files()) {
    if (path.starts_with(tmp) && !path.ends_with(".lock")) left.push_back(path);
  }
  std::vector<std::string> expected = {live_file, tmp + "letter.txt", dead + "bak"};
  std::ranges::sort(expected);
  EXPECT_EQ(left, expected);
  EXPECT_OK(fs_.Stat(lock));
}

TEST_F(DirectoryStoreTest, AWriterWhoseUnfinishedFileWasTakenAwayWritesItAgain) {
  const StorePtr store = NewVault();
  ASSERT_OK(Put(*store, "keys/9"));
  fs_.AddFault({.call = FsCall::kLink, .error_number = ENOENT});
  ASSERT_OK(Put(*store, "keys/8", "whole"));
  ASSERT_OK_AND_ASSIGN(const Bytes kept, store->Get({}, "keys/8", 100));
  EXPECT_EQ(AsText(kept), "whole");
}

TEST_F(DirectoryStoreTest, CleansUpOncePerOpening) {
  const StorePtr store = NewVault();
  const std::string foreign = kPath + "/.coffer-tmp/00112233445566778899aabbccddeeff.1";
  fs_.AddFile(foreign, AsBytes("of a machine whose locks do not reach us"));
  for (const std::string& path : fs_.Files()) {  // that machine took us for dead
    if (!path.ends_with(".lock")) continue;
    ASSERT_OK(fs_.Remove(path));
  }
  fs_.AddFault({.call = FsCall::kLink, .error_number = ENOENT});
  ASSERT_OK(Put(*store, "keys/1"));
  EXPECT_OK(fs_.Stat(foreign));
}

TEST_F(DirectoryStoreTest, GoesOnWhenItsHiddenDirectoryWasRemoved) {
  const StorePtr store = NewVault();
  for (const std::string& path : fs_.Files()) {
    if (path.find(".coffer-tmp") == std::string::npos) continue;
    ASSERT_OK(fs_.Remove(path));
  }
  ASSERT_OK(fs_.RemoveDirectory(kPath + "/.coffer-tmp"));
  EXPECT_OK(Put(*store, "keys/1"));
}

TEST_F(DirectoryStoreTest, LeavesNoHiddenDirectoryBehind) {
  {
    const StorePtr store = NewVault();
    ASSERT_OK(Put(*store, "keys/1"));
  }
  EXPECT_EQ(fs_.Files(), (std::vector<std::string>{kPath + "/keys/1", kPath + "/vault"}));
  EXPECT_FAILS(fs_.Stat(kPath + "/.coffer-tmp"), kNotFound);
}

TEST_F(DirectoryStoreTest, WorksWhereThereAreNoLocks) {
  fs_.AddFault({.call = FsCall::kLock, .repeat = FaultRepeat::kSticky, .error_number = ENOLCK});
  const StorePtr store = NewVault();
  EXPECT_OK(Put(*store, "keys/1"));
  EXPECT_OK(store->Get({}, "keys/1", 100));
}

/// File systems say in many words that they have no hard links, or no rename flags.
TEST_F(DirectoryStoreTest,
       IsStrongWithoutLinksAndWeakWithoutRenameFlagsWhateverTheyAreRefusedWith) {
  int number = 0;
  for (const int refusal : {EPERM, EIO, ENOTSUP, EINVAL, ENOSYS, EACCES}) {
    for (const bool has_flags : {true, false}) {
      SCOPED_TRACE(Concat(strerror(refusal), has_flags ? ", with flags" : ", without"));
      fs_.ClearFaults();
      fs_.AddFault(
          {.call = FsCall::kLink, .repeat = FaultRepeat::kSticky, .error_number = refusal});
      if (!has_flags) {
        fs_.AddFault({.call = FsCall::kRenameNoReplace,
                      .repeat = FaultRepeat::kSticky,
                      .error_number = refusal});
      }
      ASSERT_OK_AND_ASSIGN(const StorePtr store,
                           DirectoryStore::OpenForInit(fs_, random_, Concat("/mnt/s", number++)));
      ASSERT_OK(Put(*store, "vault"));
      EXPECT_EQ(store->capabilities().strength,
                has_flags ? StoreStrength::kStrong : StoreStrength::kWeak);
      EXPECT_FAILS(Put(*store, "vault", "other"), kAlreadyExists);
      ASSERT_OK(Put(*store, "keys/1"));
    }
  }
}

TEST_F(DirectoryStoreTest, ADiskThatFailsOnceIsNotTakenForOneWithoutLinks) {
  const StorePtr store = NewVault();
  fs_.AddFault({.call = FsCall::kLink, .error_number = EIO});
  EXPECT_FAILS(Put(*store, "keys/1"), kIoError);
  EXPECT_OK(Put(*store, "keys/1"));
  EXPECT_EQ(store->capabilities().strength, StoreStrength::kStrong);
  // Nor one where the links have worked and nothing works now but to replace.
  fs_.AddFault({.call = FsCall::kLink, .repeat = FaultRepeat::kSticky, .error_number = EIO});
  fs_.AddFault(
      {.call = FsCall::kRenameNoReplace, .repeat = FaultRepeat::kSticky, .error_number = EIO});
  EXPECT_FAILS(Put(*store, "keys/2"), kIoError);
  EXPECT_EQ(store->capabilities().strength, StoreStrength::kStrong);
  fs_.ClearFaults();
  EXPECT_OK(Put(*store, "keys/2"));
  for (const std::string& path : fs_.Files()) {
    EXPECT_TRUE(path.find(".coffer-tmp/") == std::string::npos || path.ends_with(".lock")) << path;
  }
}

TEST_F(DirectoryStoreTest, ADirectoryInTheWayOfAnObjectIsNamed) {
  const StorePtr store = NewVault();
  fs_.AddDirectories(kPath + "/keys/fffffffffffffffe");
  const Status created = Put(*store, "keys/fffffffffffffffe");
  ASSERT_FAILS(created, kCorruption);
  EXPECT_TRUE(Mentions(created.error(), "is a directory where an object belongs"));
  fs_.AddFile(kPath + "/packs", AsBytes("x"));
  const Status below = Put(*store, "packs/ab/x");
  ASSERT_FAILS(below, kCorruption);
  EXPECT_TRUE(Mentions(below.error(), "is a file where a directory belongs"));
  EXPECT_FALSE(below.error().hint.empty());
}

TEST_F(DirectoryStoreTest, ListsTheFirstNamesWhateverElseIsThere) {
  const StorePtr store = NewVault();
  std::vector<std::string> expected;
  for (int i = 100; i < 130; ++i) {
    fs_.AddDirectories(Concat(kPath, "/heads/ab/", i, "-directory/below"));
    fs_.AddFile(Concat(kPath, "/heads/ab/", i, "-directory/file"), AsBytes("x"));
    fs_.AddFile(Concat(kPath, "/heads/ab/", i, " (conflicted copy)"), AsBytes("x"));
    expected.push_back(Concat("heads/ab/", i, "-head"));
    ASSERT_OK(Put(*store, expected.back()));
  }
  for (const std::size_t limit : {1, 2, 7, 1000}) {
    std::vector<std::string> names;
    bool more = true;
    while (more) {
      ASSERT_OK_AND_ASSIGN(const ListPage page,
                           store->List({}, "heads/ab/", names.empty() ? "" : names.back(), limit));
      for (const ListedObject& object : page.objects) names.push_back(object.name);
      more = page.more;
    }
    EXPECT_EQ(names, expected) << limit;
  }
}

TEST_F(DirectoryStoreTest, InitTakesADirectoryThatOnlyASystemHasUsed) {
  fs_.AddDirectories(kPath + "/System Volume Information");
  fs_.AddDirectories(kPath + "/.Trash-1000/files");
  for (const char* name : {"/.DS_Store", "/Thumbs.db", "/desktop.ini"}) {
    fs_.AddFile(kPath + name, AsBytes("x"));
  }
  EXPECT_OK(OpenForInit());
}

TEST_F(DirectoryStoreTest, AMarkerThatIsTooLongIsDamage) {
  fs_.AddDirectories(kPath);
  fs_.AddFile(kPath + "/vault", Bytes(5000));
  EXPECT_FAILS(Open(), kCorruption);
}

/// What only the real file system has.
class DirectoryStoreOnPosix : public testing::Test {
 protected:
  void SetUp() override {
    auto store = DirectoryStore::OpenForInit(*fs_, random_, path_);
    ASSERT_OK(store);
    store_ = std::move(*store);
    ASSERT_OK(Put("vault"));
  }
  Status Put(const std::string& name) {
    return store_->Create({}, name, AsBytes("text"), ObjectClass::kControl);
  }
  static unsigned ModeOf(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
    return found.st_mode & 07777U;
  }

  ScratchDirectory directory_;
  SystemRandom random_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  std::string path_ = directory_.path() + "/vault";
  std::unique_ptr<DirectoryStore> store_;
};

/// Modes that umask and the mode of the store's directory lead to.
struct SharedCase {
  mode_t umask;
  std::optional<unsigned> store;  // of a directory that was there before; else init makes it
  unsigned directories;
  unsigned files;
};

TEST_F(DirectoryStoreOnPosix, GivesOthersWhatTheStoresDirectoryGrants) {
  const std::vector<SharedCase> cases = {
      {0022, {}, 0755, 0644},     {0077, {}, 0700, 0600},   {0002, {}, 0775, 0664},
      {0177, {}, 0700, 0600},     {0777, {}, 0700, 0600},   {0022, 0700, 0700, 0600},
      {0022, 0777, 0777, 0644},   {0077, 0777, 0777, 0644}, {0002, 02775, 02775, 0664},
      {0022, 02770, 02770, 0640}, {0177, 0755, 0755, 0644},
  };
  int number = 0;
  for (const SharedCase& each : cases) {
    SCOPED_TRACE(Concat("umask ", each.umask, ", store ", each.store.value_or(0)));
    const std::string path = Concat(directory_.path(), "/shared", number++);
    if (each.store.has_value()) {
      ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
      ASSERT_EQ(chmod(path.c_str(), *each.store), 0);
    }
    const mode_t old = umask(each.umask);
    auto store = DirectoryStore::OpenForInit(*fs_, random_, path);
    Status created = store.has_value() ? Status() : Fail(store.error());
    for (const char* name : {"vault", "heads/ab/1", "packs/ab/x"}) {
      if (created.has_value())
        created = (*store)->Create({}, name, AsBytes("text"), ObjectClass::kControl);
    }
    const unsigned hidden = created.has_value() ? ModeOf(path + "/.coffer-tmp") : 0;
    umask(old);
    ASSERT_OK(created);
    for (const char* directory : {"", "/heads", "/heads/ab", "/packs/ab"}) {
      EXPECT_EQ(ModeOf(path + directory), each.directories) << directory;
    }
    EXPECT_EQ(hidden, each.directories);
    for (const char* file : {"/vault", "/heads/ab/1", "/packs/ab/x"}) {
      EXPECT_EQ(ModeOf(path + file), each.files) << file;
    }
  }
}

TEST_F(DirectoryStoreOnPosix, WhatComesAfterAChangeOfAccessHasItToo) {
  ASSERT_OK(Put("heads/ab/1"));
  ASSERT_EQ(chmod(path_.c_str(), 0777), 0);
  const mode_t old = umask(0077);
  const Status created = Put("heads/ab/0");
  const Status beside = Put("heads/cd/0");
  umask(old);
  ASSERT_OK(created);
  ASSERT_OK(beside);
  EXPECT_EQ(ModeOf(path_ + "/heads/ab/0"), 0644U);
  EXPECT_EQ(ModeOf(path_ + "/heads/cd"), 0777U);
}

TEST_F(DirectoryStoreOnPosix, ADefaultAclDecidesInPlaceOfTheUmask) {
  // Version 2; then tag, permissions, id of each entry: user::rwx, user:12345:rwx, group::r-x,
  // mask::rwx, other::---.
  constexpr std::array<std::uint16_t, 20> kEntries = {
      0x01,   7,      0xffff, 0xffff, 0x02,   7,      12345, 0, 0x04,   5,
      0xffff, 0xffff, 0x10,   7,      0xffff, 0xffff, 0x20,  0, 0xffff, 0xffff};
  Bytes acl(4 + kEntries.size() * 2);
  StoreLe(acl.data(), std::uint32_t{2});
  for (std::size_t i = 0; i < kEntries.size(); ++i) StoreLe(acl.data() + 4 + i * 2, kEntries[i]);
  store_.reset();
  if (setxattr(path_.c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) != 0)
    GTEST_SKIP() << "no ACLs on this file system: " << strerror(errno);
  ASSERT_OK_AND_ASSIGN(store_, DirectoryStore::Open(*fs_, random_, path_));
  const mode_t old = umask(0077);
  const Status created = Put("heads/ab/1");
  umask(old);
  ASSERT_OK(created);
  // The group's bits show the mask.
  EXPECT_EQ(ModeOf(path_ + "/heads/ab"), 0770U);
  EXPECT_EQ(ModeOf(path_ + "/heads/ab/1"), 0660U);
}

TEST_F(DirectoryStoreOnPosix, RefusesASymlinkInPlaceOfAnObject) {
  const std::string outside = directory_.path() + "/outside";
  std::ofstream(outside) << "precious";
  ASSERT_OK(Put("keys/1"));
  std::filesystem::create_symlink(outside, path_ + "/keys/0");
  EXPECT_FAILS(store_->Get({}, "keys/0", 100), kCorruption);
  EXPECT_FAILS(store_->GetRange({}, "keys/0", 0, 1), kCorruption);
  EXPECT_FAILS(store_->Delete({}, "keys/0"), kCorruption);
  EXPECT_FAILS(Put("keys/0"), kAlreadyExists);
  EXPECT_OK(store_->List({}, "keys/", "", 10));  // it may be nobody's
  EXPECT_TRUE(std::filesystem::exists(outside));
  EXPECT_EQ(std::filesystem::file_size(outside), 8U);
  EXPECT_OK(store_->List({}, "heads/", "", 10));
}

TEST_F(DirectoryStoreOnPosix, RefusesASymlinkInPlaceOfADirectory) {
  const std::string outside = directory_.path() + "/outside";
  std::filesystem::create_directory(outside);
  std::ofstream(outside + "/there") << "precious";
  std::filesystem::create_directory(path_ + "/packs");
  std::filesystem::create_directory_symlink(outside, path_ + "/packs/ab");
  EXPECT_FAILS(Put("packs/ab/x"), kCorruption);
  EXPECT_FAILS(store_->Get({}, "packs/ab/there", 100), kCorruption);
  EXPECT_FAILS(store_->Delete({}, "packs/ab/there"), kCorruption);
  EXPECT_FAILS(store_->List({}, "packs/ab/", "", 10), kCorruption);
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "packs/", "", 10));
  EXPECT_EQ(page.names(), std::vector<std::string>{"packs/ab"});  // not followed
  EXPECT_TRUE(std::filesystem::exists(outside + "/there"));
  EXPECT_FALSE(std::filesystem::exists(outside + "/x"));
}

TEST_F(DirectoryStoreOnPosix, RefusesASymlinkInPlaceOfTheHiddenDirectory) {
  store_.reset();
  const std::string outside = directory_.path() + "/outside";
  std::filesystem::create_directory(outside);
  std::filesystem::create_directory_symlink(outside, path_ + "/.coffer-tmp");
  auto store = DirectoryStore::Open(*fs_, random_, path_);
  ASSERT_OK(store);
  EXPECT_FAILS((*store)->Create({}, "keys/1", AsBytes("x"), ObjectClass::kControl), kCorruption);
  EXPECT_TRUE(std::filesystem::is_empty(outside));
}

TEST_F(DirectoryStoreOnPosix, AStoreMayBeReachedByASymlinkAndStaysWhatThatPointedTo) {
  const std::string link = directory_.path() + "/link";
  std::filesystem::create_directory_symlink(path_, link);
  ASSERT_OK_AND_ASSIGN(const StorePtr store, DirectoryStore::Open(*fs_, random_, link));
  std::filesystem::remove(link);
  EXPECT_OK(store->Create({}, "keys/1", AsBytes("text"), ObjectClass::kControl));
  EXPECT_OK(store_->Get({}, "keys/1", 100));

  const std::string empty = directory_.path() + "/empty";
  std::filesystem::create_directory(empty);
  std::filesystem::create_directory_symlink("empty", link);
  EXPECT_OK(DirectoryStore::OpenForInit(*fs_, random_, link));
  EXPECT_FAILS(DirectoryStore::Open(*fs_, random_, link), kNotFound);
  std::filesystem::remove(empty);
  EXPECT_FAILS(DirectoryStore::OpenForInit(*fs_, random_, link), kUnavailable);
}

TEST_F(DirectoryStoreOnPosix, DoesNotWaitForAFifo) {
  ASSERT_OK(Put("keys/1"));
  ASSERT_EQ(mkfifo((path_ + "/keys/0").c_str(), 0600), 0);
  EXPECT_FAILS(store_->Get({}, "keys/0", 100), kCorruption);
}

TEST_F(DirectoryStoreOnPosix, SaysWhyWhenItMayNotWrite) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  ASSERT_OK(Put("keys/1"));
  ASSERT_EQ(chmod((path_ + "/keys").c_str(), 0500), 0);
  const Status created = Put("keys/0");
  ASSERT_FAILS(created, kIoError);
  EXPECT_NE(created.error().message.find("Permission denied"), std::string::npos);
}

TEST_F(DirectoryStoreOnPosix, LetsExactlyOneOfManyStoresCreateAName) {
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> won{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 4; ++id) {
      threads.emplace_back([&, id] {
        auto store = DirectoryStore::Open(*fs_, random_, path_);
        ASSERT_OK(store);
        const Status created =
            (*store)->Create({}, Concat("heads/", round), AsBytes(Concat(id)), ObjectClass::kHead);
        if (created.has_value()) {
          ++won;
        } else {
          EXPECT_FAILS(created, kAlreadyExists);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
  }
}

}  // namespace
}  // namespace coffer::store
