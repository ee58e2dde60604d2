#include "tests/support/faulty_file_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <thread>

#include "tests/support/result_macros.h"

namespace coffer {
namespace {

using Mode = FileSystem::OpenMode;

constexpr CutMode kAllModes[] = {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset,
                                 CutMode::kPrefix};

/// A durable file of `size` times 'o'.
std::unique_ptr<File> OldFile(FaultyFileSystem& fs, const std::string& path, std::size_t size) {
  fs.AddFile(path, Bytes(size, std::byte{'o'}));
  Result<std::unique_ptr<File>> file = fs.Open(path, Mode::kReadWrite);
  EXPECT_OK(file);
  return std::move(*file);
}

Bytes Letters(std::size_t size, char letter) { return Bytes(size, static_cast<std::byte>(letter)); }

std::string Text(const FaultyFileSystem& fs, const std::string& path) {
  const auto contents = fs.Contents(path);
  return contents.has_value() ? std::string(AsText(*contents)) : "(none)";
}

TEST(PowerCut, LosesUnsyncedDataAndKeepsSynced) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  ASSERT_OK(file->WriteAt(0, AsBytes("AB")));
  ASSERT_OK(file->SyncData());
  ASSERT_OK(file->WriteAt(1, AsBytes("XY")));
  EXPECT_EQ(Text(fs, "/f"), "AXYo");
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "ABoo");
}

TEST(PowerCut, KeepsSyncedDataInEveryMode) {
  for (const CutMode mode : kAllModes) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      FaultyFileSystem fs(seed);
      const auto file = OldFile(fs, "/f", 3000);
      ASSERT_OK(file->WriteAt(100, Letters(5000, 'n')));
      ASSERT_OK(file->SyncData());
      const std::string synced = Text(fs, "/f");
      fs.PowerCut(mode);
      EXPECT_EQ(Text(fs, "/f"), synced);
    }
  }
}

TEST(PowerCut, KeepAllKeepsAll) {
  FaultyFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/d/f", Mode::kCreate));
  ASSERT_OK(file->WriteAt(0, AsBytes("abc")));
  fs.PowerCut(CutMode::kKeepAll);
  EXPECT_EQ(Text(fs, "/d/f"), "abc");
}

TEST(PowerCut, LosesSyncedFilesWhoseNameWasNot) {
  FaultyFileSystem fs;
  ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/f", Mode::kCreate));
  ASSERT_OK(file->WriteAt(0, AsBytes("abc")));
  ASSERT_OK(file->SyncData());
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "(none)");
}

TEST(PowerCut, KeepsNamesWithoutTheDataNotSynced) {
  FaultyFileSystem fs;
  ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/f", Mode::kCreate));
  ASSERT_OK(file->WriteAt(0, AsBytes("abc")));
  ASSERT_OK(fs.SyncDirectory("/"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "");
}

TEST(PowerCut, LosesWhatLiesBelowALostDirectory) {
  FaultyFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  ASSERT_OK(fs.Open("/d/f", Mode::kCreate));
  ASSERT_OK(fs.SyncDirectory("/d"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_FAILS(fs.Stat("/d"), kNotFound);
}

TEST(PowerCut, BringsBackWhatWasRemovedWithoutASync) {
  FaultyFileSystem fs;
  fs.AddFile("/f", AsBytes("old"));
  ASSERT_OK(fs.Remove("/f"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "old");
  ASSERT_OK(fs.Remove("/f"));
  ASSERT_OK(fs.SyncDirectory("/"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "(none)");
}

TEST(PowerCut, TearsWritesAtSectorsOnly) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    FaultyFileSystem fs(seed);
    const auto file = OldFile(fs, "/f", 1536);
    ASSERT_OK(file->WriteAt(0, Letters(1536, 'n')));
    fs.PowerCut(CutMode::kRandomSubset);
    const std::string text = Text(fs, "/f");
    std::string sectors;
    for (std::size_t at = 0; at < 1536; at += 512) {
      EXPECT_EQ(text.substr(at, 512), std::string(512, text[at]));
      sectors.push_back(text[at]);
    }
    outcomes.insert(sectors);
  }
  EXPECT_EQ(outcomes.size(), 8U);  // any order: a later sector without an earlier one too
}

TEST(PowerCut, AnOverwrittenSectorIsOneOfItsVersions) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    FaultyFileSystem fs(seed);
    const auto file = OldFile(fs, "/f", 4);
    ASSERT_OK(file->WriteAt(0, AsBytes("1")));
    ASSERT_OK(file->WriteAt(1, AsBytes("2")));
    fs.PowerCut(CutMode::kRandomSubset);
    outcomes.insert(Text(fs, "/f"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"oooo", "1ooo", "12oo"}));
}

TEST(PowerCut, LosesSizeAndDataApart) {
  std::set<std::pair<std::size_t, bool>> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    FaultyFileSystem fs(seed);
    const auto file = OldFile(fs, "/f", 512);
    ASSERT_OK(file->WriteAt(512, Letters(512, 'n')));
    fs.PowerCut(CutMode::kRandomSubset);
    const std::string text = Text(fs, "/f");
    outcomes.emplace(text.size(), text.size() > 512 && text[512] == 'n');
  }
  // Not there; there; as long, but zeros.
  EXPECT_EQ(outcomes,
            (std::set<std::pair<std::size_t, bool>>{{512, false}, {1024, true}, {1024, false}}));
}

TEST(PowerCut, PrefixKeepsAnOrderOfThings) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    FaultyFileSystem fs(seed);
    const auto a = OldFile(fs, "/a", 1);
    const auto b = OldFile(fs, "/b", 1);
    ASSERT_OK(a->WriteAt(0, AsBytes("1")));
    ASSERT_OK(b->WriteAt(0, AsBytes("2")));
    ASSERT_OK(fs.Open("/c", Mode::kCreate));
    ASSERT_OK(a->WriteAt(0, AsBytes("3")));
    fs.PowerCut(CutMode::kPrefix);
    outcomes.insert(Text(fs, "/a") + Text(fs, "/b") + Text(fs, "/c"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"oo(none)", "1o(none)", "12(none)", "12", "32"}));
}

TEST(PowerCut, RenamesNeverLoseTheFile) {
  for (const CutMode mode : kAllModes) {
    for (const char* target : {"/d/new", "/e/new"}) {
      std::set<std::pair<std::string, std::string>> outcomes;
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        FaultyFileSystem fs(seed);
        fs.AddFile("/d/old", AsBytes("x"));
        fs.AddDirectories("/e");
        ASSERT_OK(fs.Rename("/d/old", target));
        fs.PowerCut(mode);
        outcomes.emplace(Text(fs, "/d/old"), Text(fs, target));
      }
      EXPECT_FALSE(outcomes.contains({"(none)", "(none)"}));
      if (mode == CutMode::kRandomSubset) {
        EXPECT_EQ(outcomes.size(), 3U);  // old, new, both
      }
    }
  }
}

TEST(PowerCut, SyncingTheOldDirectoryOfARenameStoresTheNewName) {
  FaultyFileSystem fs;
  fs.AddFile("/d/old", AsBytes("x"));
  fs.AddFile("/e/new", AsBytes("replaced"));
  ASSERT_OK(fs.Rename("/d/old", "/e/new"));
  ASSERT_OK(fs.SyncDirectory("/d"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/d/old"), "(none)");
  EXPECT_EQ(Text(fs, "/e/new"), "x");
}

TEST(PowerCut, SyncingTheNewDirectoryOfARenameMayLeaveBothNames) {
  FaultyFileSystem fs;
  fs.AddFile("/d/old", AsBytes("x"));
  fs.AddDirectories("/e");
  ASSERT_OK(fs.Rename("/d/old", "/e/new"));
  ASSERT_OK(fs.SyncDirectory("/e"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/d/old"), "x");
  EXPECT_EQ(Text(fs, "/e/new"), "x");
}

TEST(PowerCut, ANameIsOneOfItsVersions) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    FaultyFileSystem fs(seed);
    fs.AddFile("/f", AsBytes("1"));
    ASSERT_OK(fs.Remove("/f"));
    ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/f", Mode::kCreate));
    ASSERT_OK(file->WriteAt(0, AsBytes("2")));
    ASSERT_OK(file->SyncData());
    fs.PowerCut(CutMode::kRandomSubset);
    outcomes.insert(Text(fs, "/f"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"1", "(none)", "2"}));
}

TEST(PowerCut, EndsHandlesAndLocks) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 1);
  ASSERT_OK_AND_ASSIGN(auto lock, fs.Lock("/f"));
  fs.PowerCut(CutMode::kKeepAll);
  Bytes out(1);
  EXPECT_FAILS(file->ReadAt(0, out), kIoError);
  EXPECT_FAILS(file->WriteAt(0, out), kIoError);
  EXPECT_FAILS(file->SyncData(), kIoError);
  ASSERT_OK_AND_ASSIGN(const auto mine, fs.Lock("/f"));
  lock.reset();
  EXPECT_FAILS(fs.Lock("/f"), kConflict);  // the dead process's lock gives nothing back
}

TEST(Crash, KeepsUnsyncedDataUnsynced) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  ASSERT_OK(file->WriteAt(0, AsBytes("new")));
  ASSERT_OK_AND_ASSIGN(const auto lock, fs.Lock("/lock"));
  fs.Crash();
  EXPECT_EQ(Text(fs, "/f"), "newo");
  EXPECT_FAILS(file->WriteAt(0, AsBytes("x")), kIoError);
  EXPECT_OK(fs.Lock("/lock"));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "oooo");
}

TEST(HaltAt, StopsTheNthChangeAndAllThatFollows) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  fs.HaltAt(3);
  Bytes out(1);
  ASSERT_OK(file->WriteAt(0, AsBytes("1")));
  ASSERT_OK(file->ReadAt(0, out));  // reads are no changes
  ASSERT_OK(file->SyncData());
  EXPECT_FALSE(fs.halted());
  EXPECT_FAILS(fs.CreateDirectory("/d"), kIoError);
  EXPECT_TRUE(fs.halted());
  EXPECT_FAILS(file->WriteAt(1, AsBytes("2")), kIoError);
  EXPECT_FAILS(file->ReadAt(0, out), kIoError);
  EXPECT_FAILS(fs.Remove("/f"), kIoError);
  EXPECT_FAILS(fs.Stat("/f"), kIoError);
  fs.PowerCut(CutMode::kKeepAll);
  EXPECT_EQ(Text(fs, "/f"), "1ooo");
  EXPECT_OK(fs.CreateDirectory("/d"));
}

TEST(HaltAt, TearsTheWriteItStops) {
  std::set<std::size_t> written;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultyFileSystem fs(seed);
    const auto file = OldFile(fs, "/f", 1024);
    fs.HaltAt(1);
    EXPECT_FAILS(file->WriteAt(0, Letters(1024, 'n')), kIoError);
    fs.Crash();
    const std::string text = Text(fs, "/f");
    written.insert(text.find_first_not_of('n') == std::string::npos ? 1024
                                                                    : text.find_first_not_of('n'));
  }
  EXPECT_EQ(written, (std::set<std::size_t>{0, 512, 1024}));
}

TEST(FailedSync, ForgetsAndALaterSuccessSaysNothingAboutIt) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  ASSERT_OK(file->WriteAt(0, AsBytes("A")));
  fs.AddFault({.call = FsCall::kSync, .error_number = EIO});
  EXPECT_FAILS(file->SyncData(), kIoError);
  EXPECT_EQ(Text(fs, "/f"), "Aooo");  // still readable
  ASSERT_OK(file->WriteAt(1, AsBytes("B")));
  ASSERT_OK(file->SyncData());
  fs.PowerCut(CutMode::kKeepAll);
  EXPECT_EQ(Text(fs, "/f"), "oBoo");
}

TEST(Faults, OnceAndSticky) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  fs.AddFault({.call = FsCall::kSync, .nth = 2, .error_number = ENOSPC});
  EXPECT_OK(file->SyncData());
  EXPECT_FAILS(file->SyncData(), kNoSpace);
  EXPECT_OK(file->SyncData());
  fs.AddFault({.call = FsCall::kSync, .repeat = FaultRepeat::kSticky});
  EXPECT_FAILS(file->SyncData(), kIoError);
  EXPECT_FAILS(file->SyncData(), kIoError);
  fs.ClearFaults();
  EXPECT_OK(file->SyncData());
}

TEST(Faults, ChooseCallsAndPaths) {
  FaultyFileSystem fs;
  fs.AddFile("/journal/0", AsBytes("x"));
  fs.AddFile("/trust", AsBytes("x"));
  fs.AddFault({.path_contains = "journal", .repeat = FaultRepeat::kSticky});
  EXPECT_FAILS(fs.Open("/journal/0", Mode::kRead), kIoError);
  EXPECT_FAILS(fs.Stat("/journal/0"), kIoError);
  EXPECT_OK(fs.Open("/trust", Mode::kRead));
  fs.ClearFaults();
  fs.AddFault({.nth = 2});  // of any kind
  EXPECT_OK(fs.Stat("/trust"));
  EXPECT_FAILS(fs.List("/"), kIoError);
  EXPECT_OK(fs.List("/"));
}

TEST(Faults, AFailedWriteLeavesAPartAtMost) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 2048);
  fs.AddFault({.call = FsCall::kWrite, .error_number = ENOSPC});
  EXPECT_FAILS(file->WriteAt(0, Letters(2048, 'n')), kNoSpace);
  const std::string text = Text(fs, "/f");
  const std::size_t part = std::min(text.find('o'), text.size());
  EXPECT_EQ(part % 512, 0U);
  EXPECT_EQ(text, std::string(part, 'n') + std::string(2048 - part, 'o'));
}

TEST(Faults, ReadsLie) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 1024);
  ASSERT_OK(file->WriteAt(512, Letters(512, 'n')));
  const auto read = [&](ReadDamage damage) {
    fs.AddFault({.call = FsCall::kRead, .damage = damage});
    Bytes out(512);
    EXPECT_OK(file->ReadAt(512, out));
    return std::string(AsText(out));
  };
  const std::string right(512, 'n');
  const std::string flipped = read(ReadDamage::kBitFlip);
  EXPECT_NE(flipped, right);
  EXPECT_EQ(read(ReadDamage::kZeros), std::string(512, '\0'));
  EXPECT_EQ(read(ReadDamage::kWrongSector), std::string(512, 'o'));
  EXPECT_EQ(read(ReadDamage::kOlderVersion), std::string(512, 'o'));
  Bytes out(512);
  EXPECT_OK(file->ReadAt(512, out));
  EXPECT_EQ(AsText(out), right);
}

TEST(FullDisk, RefusesNewPagesAndTakesOldOnes) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4096);
  fs.SetTotalBytes(8192);
  EXPECT_OK(file->WriteAt(0, Letters(4096, 'a')));
  EXPECT_OK(file->WriteAt(4096, Letters(4096, 'b')));
  ASSERT_OK_AND_ASSIGN(const SpaceInfo space, fs.Space("/"));
  EXPECT_EQ(space.free_bytes, 0U);
  EXPECT_FAILS(file->WriteAt(8192, AsBytes("c")), kNoSpace);
  EXPECT_FAILS(file->Allocate(8193), kNoSpace);
  EXPECT_OK(file->WriteAt(100, Letters(4096, 'd')));
  ASSERT_OK(file->Truncate(4096));
  EXPECT_OK(file->WriteAt(4096, AsBytes("e")));
}

TEST(FullDisk, DiscardedSpaceIsFreeAgain) {
  FaultyFileSystem fs;
  fs.SetTotalBytes(8192);
  ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/a", FileSystem::OpenMode::kCreate));
  ASSERT_OK(file->WriteAt(0, Bytes(8192, std::byte{1})));
  EXPECT_FAILS(file->WriteAt(8192, Bytes(4096, std::byte{2})), kNoSpace);
  ASSERT_OK(file->Discard(0, 4096));
  ASSERT_OK(file->WriteAt(8192, Bytes(4096, std::byte{2})));
}

TEST(FullDisk, SpaceAllocatedIsThereToBeWritten) {
  FaultyFileSystem fs;
  ASSERT_OK_AND_ASSIGN(const auto reserve, fs.Open("/r", Mode::kCreate));
  ASSERT_OK(reserve->Allocate(16384));
  fs.SetTotalBytes(16384);
  EXPECT_OK(reserve->WriteAt(8192, Letters(8192, 'x')));
  ASSERT_OK_AND_ASSIGN(const auto other, fs.Open("/o", Mode::kCreate));
  EXPECT_FAILS(other->WriteAt(0, AsBytes("x")), kNoSpace);
  ASSERT_OK(fs.Remove("/r"));
  EXPECT_FAILS(other->WriteAt(0, AsBytes("x")), kNoSpace);  // still open
  fs.Crash();
}

TEST(FullDisk, RemovedAndLostFilesGiveTheirSpaceBack) {
  FaultyFileSystem fs;
  fs.SetTotalBytes(1 << 20);
  const auto free_bytes = [&fs] { return fs.Space("/").value().free_bytes; };
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/f", Mode::kCreate));
    ASSERT_OK(file->WriteAt(0, Letters(100'000, 'x')));
    EXPECT_EQ(free_bytes(), (1 << 20) - 25 * 4096U);
    ASSERT_OK(fs.Remove("/f"));
    ASSERT_OK(fs.SyncDirectory("/"));
  }
  EXPECT_EQ(free_bytes(), std::uint64_t{1} << 20);
  ASSERT_OK_AND_ASSIGN(auto lost, fs.Open("/f", Mode::kCreate));
  ASSERT_OK(lost->WriteAt(0, Letters(100'000, 'x')));
  lost.reset();
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(free_bytes(), std::uint64_t{1} << 20);
}

TEST(ReadOnly, RefusesChangesAndServesReads) {
  FaultyFileSystem fs;
  const auto file = OldFile(fs, "/f", 4);
  ASSERT_OK(file->WriteAt(0, AsBytes("x")));
  fs.SetReadOnly();
  Bytes out(1);
  EXPECT_OK(file->ReadAt(0, out));
  EXPECT_FAILS(file->WriteAt(0, out), kIoError);
  EXPECT_FAILS(file->SyncData(), kIoError);
  EXPECT_FAILS(fs.Open("/g", Mode::kCreate), kIoError);
  EXPECT_FAILS(fs.Open("/f", Mode::kReadWrite), kIoError);
  EXPECT_OK(fs.Open("/f", Mode::kRead));
  fs.PowerCut(CutMode::kKeepAll);
  EXPECT_EQ(Text(fs, "/f"), "oooo");
}

TEST(Inspection, DamageIsThereForGood) {
  FaultyFileSystem fs;
  fs.AddFile("/f", AsBytes("a"));
  fs.Damage("/f", 0, std::byte{3});
  EXPECT_EQ(Text(fs, "/f"), "b");
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "b");
}

TEST(Inspection, AnImageBringsBackAllOfIt) {
  FaultyFileSystem fs;
  fs.AddFile("/d/f", AsBytes("then"));
  fs.SetOwnerAndMode("/d/f", 7, 0644);
  const auto image = fs.Save();
  ASSERT_OK(fs.Remove("/d/f"));
  fs.AddFile("/g", AsBytes("later"));
  fs.Load(*image);
  EXPECT_EQ(fs.Files(), std::vector<std::string>{"/d/f"});
  EXPECT_EQ(Text(fs, "/d/f"), "then");
  ASSERT_OK_AND_ASSIGN(const FileInfo info, fs.Stat("/d/f"));
  EXPECT_EQ(info.owner_uid, 7U);
  EXPECT_EQ(info.mode, 0644U);
}

TEST(Inspection, CountsAndDigestsCalls) {
  const auto run = [](FaultyFileSystem& fs) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs.Open("/f", Mode::kOpenOrCreate));
    ASSERT_OK(file->WriteAt(512, AsBytes("x")));
    ASSERT_OK(file->Size());
    ASSERT_OK(fs.Open("/f", Mode::kOpenOrCreate));
  };
  FaultyFileSystem a(1);
  FaultyFileSystem b(2);
  run(a);
  run(b);
  EXPECT_EQ(a.call_count(), 4U);
  EXPECT_EQ(a.call_count(FsCall::kOpen), 2U);
  EXPECT_EQ(a.call_count(FsCall::kSync), 0U);
  EXPECT_EQ(a.change_count(), 2U);  // the create and the write
  EXPECT_EQ(a.RecentCalls()[1], "write /f 512+1");
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_OK(b.List("/"));
  EXPECT_NE(a.digest(), b.digest());
}

TEST(FaultyFileSystem, MayBeUsedFromManyThreads) {
  FaultyFileSystem fs;
  fs.AddDirectories("/d");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&fs, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string path = "/d/" + std::to_string(t);
        const auto file = fs.Open(path, Mode::kOpenOrCreate);
        ASSERT_OK(file);
        EXPECT_OK((*file)->WriteAt(0, AsBytes("x")));
        EXPECT_OK((*file)->SyncData());
        EXPECT_OK(fs.SyncDirectory("/d"));
        EXPECT_OK(fs.Remove(path));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(fs.Files().empty());
}

}  // namespace
}  // namespace coffer
