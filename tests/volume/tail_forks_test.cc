// Machine a wrote and did not upload, b went on: what a wrote becomes a volume of its own, and
// nothing of it gets onto what b wrote.
#include "core/volume/tail_forks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/vault/needs_person.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;
using vault::NeedsPerson;

constexpr std::uint64_t kSize = 1 << 20;
const OpenOptions kOpen{.settings = SmallSettings()};
const OpenOptions kReadOnly{.read_only = true, .settings = SmallSettings()};
const OpenOptions kTakeOver{.take_over = true, .settings = SmallSettings()};

/// Two machines and a volume, and what it should hold as each of them has written it.
class TwoMachines {
 public:
  explicit TwoMachines(std::uint64_t seed)
      : a(provider, seed, "alpha"),
        b(provider, seed + 100, "beta"),
        onlooker(provider, seed + 200, "gamma"),
        random(seed + 300) {}

  void Create() { ASSERT_OK(a.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024})); }
  /// A few writes and a trim, on the volume and on the model.
  Status Change(Volume& volume, ByteModel& model) {
    for (int i = 0; i < 6; ++i) {
      const std::uint64_t offset = random.Below(kSize / 4096 - 8) * 4096;
      const Bytes data = random.NewBytes((1 + random.Below(8)) * 4096);
      RETURN_IF_ERROR(volume.Write(offset, data, WriteFlag::kNone));
      model.Write(offset, data);
    }
    const std::uint64_t offset = random.Below(kSize / 4096 - 20) * 4096;
    RETURN_IF_ERROR(volume.Trim(offset, 20 * 4096, WriteFlag::kNone));
    model.Zero(offset, 20 * 4096);
    return volume.Flush();
  }
  /// Opens, changes and closes as `mode` says.
  void Session(vault::Machine& machine, ByteModel& model, const OpenOptions& options,
               CloseMode mode) {
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(machine, options));
    ASSERT_OK(Change(**opened, model));
    ASSERT_OK((*opened)->Close(mode, {}));
  }
  /// a commits, and has more in its journal; b takes over and goes on from what a committed.
  void PartWays() {
    Create();
    {
      ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(a, kOpen));
      ASSERT_OK(Change(**opened, of_a));
      ASSERT_OK((*opened)->Sync({}));
      of_b = of_a;
      ASSERT_OK(Change(**opened, of_a));
      ASSERT_OK((*opened)->Close(CloseMode::kLeaveInJournal, {}));
    }
    Session(b, of_b, kTakeOver, CloseMode::kUpload);
  }
  /// Names of all volumes but photos.
  std::vector<std::string> Forks() {
    std::vector<std::string> names;
    const auto unlocked = onlooker.Unlock();
    EXPECT_OK(unlocked);
    if (!unlocked.has_value()) return names;
    for (const auto& volume : (*unlocked)->catalog().volumes) {
      if (volume.name != "photos") names.push_back(volume.name);
    }
    return names;
  }
  void CheckFork(const std::string& name) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(name.starts_with("recovered-alpha-"));
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(onlooker, kReadOnly, name));
    EXPECT_TRUE(Holds(**opened, of_a));
  }
  void CheckPhotos(vault::Machine& machine) {
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(machine, kOpen));
    EXPECT_TRUE(Holds(**opened, of_b));
    ASSERT_OK((*opened)->Close(CloseMode::kUpload, {}));
  }
  void CheckNothingLeftAside() {
    for (const std::string& path : a.fs.Files()) {
      EXPECT_EQ(path.find("journal."), std::string::npos) << path;
    }
  }

  store::MemoryStore provider;
  vault::Machine a;
  vault::Machine b;
  vault::Machine onlooker;
  SeededRandom random;
  ByteModel of_a{kSize};
  ByteModel of_b{kSize};
};

class TailForksTest : public testing::Test, protected TwoMachines {
 protected:
  TailForksTest() : TwoMachines(TestSeed()) {}
};

TEST_F(TailForksTest, WhatTheLoserHadNotUploadedBecomesAVolume) {
  PartWays();
  const auto opened = OpenedVolume::Open(a, kOpen);
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 1U);
  EXPECT_TRUE(NeedsPerson(opened, "FENCED", {"beta", forks[0]}));
  CheckFork(forks[0]);
  CheckPhotos(a);
  CheckNothingLeftAside();
  EXPECT_EQ(Forks().size(), 1U);
}

TEST_F(TailForksTest, TheForkSaysWhereItComesFrom) {
  PartWays();
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  const auto forks = Forks();
  ASSERT_OK_AND_ASSIGN(const auto unlocked, onlooker.Unlock());
  ASSERT_OK_AND_ASSIGN(const auto photos, unlocked->FindVolume("photos"));
  ASSERT_EQ(forks.size(), 1U);
  ASSERT_OK_AND_ASSIGN(const auto fork, unlocked->FindVolume(forks[0]));
  EXPECT_EQ(fork.forked_from, photos.id);
  EXPECT_EQ(fork.forked_seq, 2U);
}

TEST_F(TailForksTest, AVolumeFencedWhileOpenIsForkedWhenItIsClosed) {
  Create();
  ASSERT_OK_AND_ASSIGN(auto opened, OpenedVolume::Open(a, kOpen));
  ASSERT_OK(Change(**opened, of_a));
  ASSERT_OK((*opened)->Sync({}));
  of_b = of_a;
  Session(b, of_b, kTakeOver, CloseMode::kUpload);
  ASSERT_OK(Change(**opened, of_a));
  EXPECT_TRUE(NeedsPerson((*opened)->Sync({}), "FENCED"));
  ASSERT_OK(Change(**opened, of_a));
  EXPECT_GT((*opened)->status().behind_bytes, 0U);
  const Status closed = (*opened)->Close(CloseMode::kUpload, {});
  EXPECT_EQ((*opened)->status().behind_bytes, 0U);
  opened.reset();
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 1U);
  EXPECT_TRUE(NeedsPerson(closed, "FENCED", {"beta", forks[0]}));
  CheckFork(forks[0]);
  CheckPhotos(a);
  CheckNothingLeftAside();
}

TEST_F(TailForksTest, NamesThatAreNoTailsAreLeftAlone) {
  Create();
  std::string directory;
  {
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(a, kOpen));
    ASSERT_OK(Change(**opened, of_a));
    ASSERT_OK((*opened)->Close(CloseMode::kLeaveInJournal, {}));
    ASSERT_OK_AND_ASSIGN(const auto photos, opened->vault().FindVolume("photos"));
    ASSERT_OK_AND_ASSIGN(directory, opened->vault().VolumeDirectory(photos.id));
  }
  // The last part of a path, and a broken attempt's id, once.
  for (const char* name : {"journal.tail-", "journal.tail-..", "journal.tail-desktop.ini"})
    ASSERT_OK(a.fs.CreateDirectory(directory + "/" + name));
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(a, kOpen));
  EXPECT_TRUE(Holds(**opened, of_a));
  ASSERT_OK((*opened)->Close(CloseMode::kUpload, {}));
  ASSERT_OK_AND_ASSIGN(const auto names, a.fs.List(directory));
  EXPECT_EQ(
      std::count_if(names.begin(), names.end(),
                    [](const std::string& name) { return name.starts_with("journal.tail-"); }),
      3);
  EXPECT_TRUE(Forks().empty());
}

TEST_F(TailForksTest, CloseSaysFencedThoughNothingOfTheJournalCanBeKept) {
  Create();
  ASSERT_OK_AND_ASSIGN(auto opened, OpenedVolume::Open(a, kOpen));
  ASSERT_OK(Change(**opened, of_a));
  ASSERT_OK((*opened)->Sync({}));
  of_b = of_a;
  Session(b, of_b, kTakeOver, CloseMode::kUpload);
  std::map<std::string, Bytes> before;
  for (const std::string& path : a.fs.Files()) {
    if (path.ends_with(".seg")) before[path] = *a.fs.Contents(path);
  }
  ASSERT_OK(Change(**opened, of_a));
  // Right behind what is committed.
  for (const auto& [path, bytes] : before) {
    const Bytes now = *a.fs.Contents(path);
    const auto first = std::mismatch(now.begin(), now.end(), bytes.begin(), bytes.end()).first;
    if (first != now.end()) a.fs.Damage(path, static_cast<std::uint64_t>(first - now.begin()));
  }
  EXPECT_TRUE(NeedsPerson((*opened)->Close(CloseMode::kUpload, {}), "FENCED"));
}

TEST_F(TailForksTest, ATailOverAnotherMachinesHeadIsForkedFromThatHead) {
  Create();
  Session(b, of_b, kOpen, CloseMode::kUpload);
  of_a = of_b;
  Session(a, of_a, kOpen, CloseMode::kLeaveInJournal);
  Session(b, of_b, kOpen, CloseMode::kUpload);
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 1U);
  CheckFork(forks[0]);
  CheckPhotos(a);
}

TEST_F(TailForksTest, WhoWasKilledBeforeHisFirstCommitGoesOn) {
  // The head is another machine's, yet nobody has gone on since.
  Create();
  Session(b, of_b, kOpen, CloseMode::kUpload);
  for (int i = 0; i < 3; ++i) Session(a, of_b, kOpen, CloseMode::kLeaveInJournal);
  CheckPhotos(a);
  EXPECT_TRUE(Forks().empty());
}

TEST_F(TailForksTest, OpeningReadOnlyShowsTheOtherStateAndChangesNothing) {
  PartWays();
  const std::uint64_t objects = provider.Snapshot().size();
  {
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(a, kReadOnly));
    EXPECT_TRUE(Holds(**opened, of_b));
  }
  EXPECT_EQ(provider.Snapshot().size(), objects);
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
}

TEST_F(TailForksTest, AForkIsMadeWhileTheOtherMachineHasTheVolumeOpen) {
  PartWays();
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(b, kOpen));
  ASSERT_OK(Change(**opened, of_b));
  ASSERT_OK((*opened)->Sync({}));
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  EXPECT_FAILS(OpenedVolume::Open(a, kOpen), kConflict);
  ASSERT_OK(Change(**opened, of_b));
  ASSERT_OK((*opened)->Sync({}));
}

TEST_F(TailForksTest, TwoForksOfOneSecondHaveTwoNames) {
  PartWays();
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  of_a = of_b;
  Session(a, of_a, kOpen, CloseMode::kLeaveInJournal);
  Session(b, of_b, kOpen, CloseMode::kUpload);
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 2U);
  EXPECT_NE(forks[0], forks[1]);
  CheckFork(forks[1]);
}

TEST_F(TailForksTest, AStoreThatIsAwayKeepsTheTailForTheNextTime) {
  PartWays();
  for (const char* name : {"packs/", "heads/", "catalog/"}) {
    a.line.AddFault({.operation = store::StoreOperation::kCreate,
                     .name_contains = name,
                     .count = StoreFault::kForever});
    EXPECT_FAILS(OpenedVolume::Open(a, kOpen), kUnavailable) << name;
    a.line.Heal();
  }
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 1U);
  CheckFork(forks[0]);
  CheckPhotos(a);
  CheckNothingLeftAside();
}

TEST_F(TailForksTest, ADamagedTailIsForkedUpToTheDamageAndItsFilesAreKept) {
  Create();
  ByteModel before_damage(kSize);
  {
    ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(a, kOpen));
    ASSERT_OK((*opened)->Write(0, random.NewBytes(4096), WriteFlag::kNone));
    ASSERT_OK((*opened)->Sync({}));
    const Bytes kept = random.NewBytes(4096);
    ASSERT_OK((*opened)->Write(0, kept, WriteFlag::kNone));
    ASSERT_OK((*opened)->Flush());
    of_a.Write(0, kept);
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK((*opened)->Write(65536, random.NewBytes(65536), WriteFlag::kForceUnitAccess));
    }
    ASSERT_OK((*opened)->Close(CloseMode::kLeaveInJournal, {}));
  }
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedVolume::Open(b, kTakeOver));
  ASSERT_OK((*opened)->Write(0, random.NewBytes(4096), WriteFlag::kNone));
  ASSERT_OK((*opened)->Close(CloseMode::kUpload, {}));
  for (const std::string& path : a.fs.Files()) {
    if (path.find("/journal/") != std::string::npos) a.fs.Damage(path, 4096 + 2 * 4096 + 30'000);
  }
  EXPECT_TRUE(NeedsPerson(OpenedVolume::Open(a, kOpen), "FENCED"));
  const auto forks = Forks();
  ASSERT_EQ(forks.size(), 1U);
  CheckFork(forks[0]);
  const auto files = a.fs.Files();
  EXPECT_TRUE(std::any_of(files.begin(), files.end(), [](const std::string& path) {
    return path.find("/journal.damaged-") != std::string::npos;
  }));
  EXPECT_OK(OpenedVolume::Open(a, kOpen));
}

/// The machine stops at each change of its disk, or around each of its requests, again while it
/// tries anew: in the end there is one fork that holds the tail, and photos holds what b wrote.
void HaltEverywhere(const std::function<void(vault::Machine&, std::uint64_t)>& halt_at,
                    CutMode mode) {
  const std::uint64_t seed = TestSeed();
  bool halted = true;
  for (std::uint64_t nth = 1; halted; ++nth) {
    SCOPED_TRACE(nth);
    ASSERT_LT(nth, 2000U);
    TwoMachines world(seed + nth);
    world.PartWays();
    if (testing::Test::HasFatalFailure()) return;
    halt_at(world.a, nth);
    (void)OpenedVolume::Open(world.a, kOpen);
    halted = world.a.fs.halted() || world.a.line.halted();
    world.a.line.Heal();
    world.a.fs.Halt();
    world.a.fs.PowerCut(mode);
    halt_at(world.a, 1 + nth / 2);
    (void)OpenedVolume::Open(world.a, kOpen);
    world.a.line.Heal();
    world.a.fs.Halt();
    world.a.fs.PowerCut(mode);
    if (const auto again = OpenedVolume::Open(world.a, kOpen); !again.has_value()) {
      EXPECT_TRUE(NeedsPerson(again, "FENCED"));
    }
    const auto forks = world.Forks();
    ASSERT_EQ(forks.size(), 1U);
    world.CheckFork(forks[0]);
    world.CheckPhotos(world.a);
    world.CheckNothingLeftAside();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(TailForksCrash, AtEachChangeOfTheDisk) {
  const auto halt_at = [](vault::Machine& machine, std::uint64_t nth) { machine.fs.HaltAt(nth); };
  HaltEverywhere(halt_at, CutMode::kRandomSubset);
}

TEST(TailForksCrash, BeforeEachRequest) {
  HaltEverywhere([](vault::Machine& machine,
                    std::uint64_t nth) { machine.line.HaltAt(nth, HaltMoment::kBefore); },
                 CutMode::kDropAll);
}

TEST(TailForksCrash, AfterEachRequest) {
  HaltEverywhere([](vault::Machine& machine,
                    std::uint64_t nth) { machine.line.HaltAt(nth, HaltMoment::kAfter); },
                 CutMode::kKeepAll);
}

}  // namespace
}  // namespace coffer::volume
