// DirectoryStore stopped at every change it makes: afterwards an object is whole or absent, what
// was promised is there, and nothing unfinished shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/log.h"
#include "core/store/directory_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/partial_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

constexpr char kPath[] = "/mnt/backup";
constexpr auto kAllCuts = {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset,
                           CutMode::kPrefix};

Bytes BytesOf(const std::string& name) {
  Bytes data;
  for (int i = 0; i < 700; ++i) {
    for (const char c : name) data.push_back(static_cast<std::byte>(c));
  }
  return data;
}

/// What the script was told about each name: nullopt while it can be either way.
using Told = std::map<std::string, std::optional<bool>>;

void Create(ObjectStore& store, Told& told, const std::string& name) {
  told[name] = std::nullopt;
  const Status created = store.Create({}, name, BytesOf(name), ObjectClass::kData);
  if (created.has_value()) told[name] = true;
}

void Delete(ObjectStore& store, Told& told, const std::string& name) {
  told[name] = std::nullopt;
  if (store.Delete({}, name).has_value()) told[name] = false;
}

/// Three operations, so that each meets what the one before left behind.
void RunScript(FileSystem& fs, Random& random, Told& told) {
  told = {{"packs/ab/a", false}, {"packs/ab/b", false}, {"heads/c", false}};
  auto store = DirectoryStore::Open(fs, random, kPath);
  if (!store.has_value()) return;
  Create(**store, told, "packs/ab/a");
  Create(**store, told, "packs/ab/b");
  Delete(**store, told, "packs/ab/a");
  Create(**store, told, "heads/c");
}

class Machine {
 public:
  Machine(std::uint64_t seed, PartialFileSystem::Renames renames, bool links)
      : fs_(seed), partial_(fs_, renames), seen_(links ? static_cast<FileSystem&>(fs_) : partial_) {
    fs_.AddDirectories("/mnt");
    auto store = DirectoryStore::OpenForInit(seen_, random_, kPath);
    EXPECT_OK(store);
    EXPECT_OK((*store)->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl));
  }

  void Run() { RunScript(seen_, random_, told_); }

  /// Compares the store with what was told, and sees that it still works and cleans up.
  void Check() {
    auto opened = DirectoryStore::Open(seen_, random_, kPath);
    ASSERT_OK(opened);
    ObjectStore& store = **opened;
    std::vector<std::string> there;
    for (const auto& [name, expected] : told_) {
      const Result<Bytes> bytes = store.Get({}, name, 1 << 20);
      if (bytes.has_value()) {
        EXPECT_TRUE(*bytes == BytesOf(name)) << name << " is torn: " << bytes->size();
        there.push_back(name);
      } else {
        EXPECT_FAILS(bytes, kNotFound) << name;
      }
      if (expected.has_value()) {
        EXPECT_EQ(bytes.has_value(), *expected) << name;
      }
    }
    std::ranges::sort(there);
    there.push_back("vault");
    ASSERT_OK_AND_ASSIGN(const ListPage page, store.List({}, "", "", 100));
    EXPECT_EQ(page.names(), there);

    EXPECT_OK(store.Create({}, "packs/ab/after", AsBytes("x"), ObjectClass::kData));
    for (const std::string& path : fs_.Files()) {
      EXPECT_TRUE(path.find(".coffer-tmp/") == std::string::npos || path.ends_with(".lock"))
          << path << " was left behind";
    }
    EXPECT_OK(store.Delete({}, "packs/ab/after"));
  }

  FaultyFileSystem& fs() { return fs_; }

 private:
  SeededRandom random_{1};
  FaultyFileSystem fs_;
  PartialFileSystem partial_;
  FileSystem& seen_;
  Told told_;
};

struct Kind {
  const char* name;
  bool links;
  PartialFileSystem::Renames renames;
};

class DirectoryStoreCrash : public testing::TestWithParam<Kind> {
 protected:
  static std::unique_ptr<Machine> NewMachine(std::uint64_t seed) {
    return std::make_unique<Machine>(seed, GetParam().renames, GetParam().links);
  }
  static std::uint64_t ChangesOfScript() {
    const auto machine = NewMachine(1);
    const std::uint64_t before = machine->fs().change_count();
    machine->Run();
    return machine->fs().change_count() - before;
  }
};

TEST_P(DirectoryStoreCrash, PowerCutAtEveryChangeLeavesObjectsWholeOrAbsent) {
  const std::uint64_t seed = TestSeed();
  const std::uint64_t changes = ChangesOfScript();
  ASSERT_GT(changes, 20U);
  for (const CutMode mode : kAllCuts) {
    for (std::uint64_t n = 1; n <= changes + 1; ++n) {
      SCOPED_TRACE(Concat("cut ", static_cast<int>(mode), " at change ", n, " of ", changes));
      const auto machine = NewMachine(seed + n);
      machine->fs().HaltAt(n);
      machine->Run();
      machine->fs().PowerCut(mode);
      machine->Check();
      if (HasFailure()) return;
    }
  }
}

TEST_P(DirectoryStoreCrash, KillAtEveryChangeAndThenAPowerCutLeavesObjectsWholeOrAbsent) {
  const std::uint64_t changes = ChangesOfScript();
  for (std::uint64_t n = 1; n <= changes + 1; ++n) {
    SCOPED_TRACE(Concat("kill at change ", n, " of ", changes));
    const auto machine = NewMachine(n);
    machine->fs().HaltAt(n);
    machine->Run();
    machine->fs().Crash();
    machine->Check();
    machine->fs().PowerCut(CutMode::kDropAll);
    machine->Check();
    if (HasFailure()) return;
  }
}

TEST_P(DirectoryStoreCrash, EveryCallFailingOnceLeavesObjectsWholeOrAbsent) {
  const auto counted = NewMachine(1);
  const std::uint64_t before = counted->fs().call_count();
  counted->Run();
  const std::uint64_t calls = counted->fs().call_count() - before;
  for (std::uint64_t n = 1; n <= calls; ++n) {
    SCOPED_TRACE(Concat("failure of call ", n, " of ", calls));
    const auto machine = NewMachine(n);
    machine->fs().AddFault({.nth = n});
    machine->Run();
    machine->fs().ClearFaults();
    machine->fs().PowerCut(CutMode::kDropAll);
    machine->Check();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DirectoryStoreCrash,
    testing::Values(Kind{"Links", true, PartialFileSystem::Renames::kNoReplace},
                    Kind{"RenamesNoReplace", false, PartialFileSystem::Renames::kNoReplace},
                    Kind{"PlainRenames", false, PartialFileSystem::Renames::kPlainOnly}),
    [](const auto& kind) { return kind.param.name; });

TEST(DirectoryStoreInit, PowerCutAtEveryChangeOfAnInitLeavesAVaultOrRoomForOne) {
  for (const CutMode mode : kAllCuts) {
    for (std::uint64_t n = 1;; ++n) {
      SCOPED_TRACE(Concat("cut ", static_cast<int>(mode), " at change ", n));
      FaultyFileSystem fs(n);
      SeededRandom random(n);
      fs.AddDirectories("/mnt");
      fs.HaltAt(n);
      bool made = false;
      {
        auto store = DirectoryStore::OpenForInit(fs, random, kPath);
        made = store.has_value() &&
               (*store)->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl).has_value();
      }
      const bool halted = fs.halted();
      fs.PowerCut(mode);
      auto store = DirectoryStore::OpenForInit(fs, random, kPath);
      ASSERT_OK(store);
      const Result<Bytes> marker = (*store)->Get({}, "vault", 100);
      ASSERT_TRUE(marker.has_value() || !made);
      if (marker.has_value()) {
        ASSERT_EQ(AsText(*marker), "marker");
      } else {
        ASSERT_OK((*store)->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl));
      }
      if (!halted) break;
    }
  }
}

}  // namespace
}  // namespace coffer::store
