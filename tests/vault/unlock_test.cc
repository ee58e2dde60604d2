// Vault::Unlock: what it checks before it believes a store (faults.md A1, A2, A4, A5, A13; rows 45,
// 49, 52).
#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/format/marker.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

constexpr char kHeader1[] = "keys/fffffffffffffffe";
constexpr char kHeader2[] = "keys/fffffffffffffffd";
constexpr char kCatalog1[] = "catalog/fffffffffffffffe";
constexpr char kCatalog2[] = "catalog/fffffffffffffffd";

class Unlock : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(a_.Create()); }

  void AddVolume(Machine& machine, const std::string& name) {
    ASSERT_OK_AND_ASSIGN(const auto vault, machine.Unlock());
    ASSERT_OK(vault->CreateVolume(Machine::Spec(name)));
  }
  /// What passwd does: header 2 with another password, then the catalog says so.
  void ChangePassword(std::string_view password) {
    OpenHeader open = TakeApart(ObjectAt(provider_, kHeader1), Machine::kPassword);
    open.keyring.parent = crypto::Sha256(ObjectAt(provider_, kHeader1));
    open.header.seq = 2;
    SetSlot(open, 0, password, a_.random);
    const Bytes header = PutTogether(std::move(open), a_.random);
    Plant(provider_, kHeader2, &header);
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock(password));
    EXPECT_EQ(vault->header_seq(), 2u);
    ASSERT_OK(vault->CreateVolume(Machine::Spec("after")));  // raises header_seq_min
    EXPECT_EQ(vault->catalog().header_seq_min, 2u);
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
};

TEST_F(Unlock, AsksFiveTimes) {
  a_.wire.Clear();
  ASSERT_OK(a_.Unlock());
  EXPECT_EQ(a_.wire.requests().size(), 5u);
  EXPECT_EQ(a_.wire.count(store::StoreOperation::kCreate), 0u);
  EXPECT_EQ(a_.wire.count(store::StoreOperation::kList), 2u);
}

TEST_F(Unlock, ChangesNothingOnAMachineThatKnowsAll) {
  ASSERT_OK(a_.Unlock());
  const auto lockless = a_.fs.change_count();
  std::vector<std::optional<Bytes>> before;
  for (const std::string& path : a_.fs.Files()) before.push_back(a_.fs.Contents(path));
  ASSERT_OK(a_.Unlock());
  std::vector<std::optional<Bytes>> after;
  for (const std::string& path : a_.fs.Files()) after.push_back(a_.fs.Contents(path));
  EXPECT_EQ(after, before);
  // Syncs of directories, the lock.
  EXPECT_LE(a_.fs.change_count() - lockless, 4u);
}

TEST_F(Unlock, FindsNoVaultInAnEmptyStore) {
  store::MemoryStore empty;
  Machine c(empty, 5);
  const auto unlocked = c.Unlock();
  ASSERT_FAILS(unlocked, kNotFound);
  EXPECT_EQ(c.fs.change_count(), 0u);
  EXPECT_EQ(empty.object_count(), 0u);
}

TEST_F(Unlock, NeverTakesAnEmptiedStoreForANewOne) {
  VaultId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
    id = vault->id();
  }
  provider_.Restore({});
  const auto unlocked = a_.Unlock(Machine::kPassword, {.expected = id});
  ASSERT_FAILS(unlocked, kNotFound);
  EXPECT_NE(unlocked.error().message.find(id.ToString()), std::string::npos);
  EXPECT_FALSE(unlocked.error().hint.empty());
  EXPECT_EQ(provider_.object_count(), 0u);
}

TEST_F(Unlock, RefusesAnotherVaultThanExpectedAndNamesBoth) {
  store::MemoryStore other_provider;
  Machine other(other_provider, 77);
  ASSERT_OK_AND_ASSIGN(const auto other_vault, other.Create());
  VaultId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
    id = vault->id();
  }
  provider_.Restore(other_provider.Snapshot());
  const auto unlocked = a_.Unlock(Machine::kPassword, {.expected = id});
  ASSERT_FAILS(unlocked, kNotFound);
  EXPECT_NE(unlocked.error().message.find(id.ToString()), std::string::npos);
  EXPECT_NE(unlocked.error().message.find(other_vault->id().ToString()), std::string::npos);
}

TEST_F(Unlock, RefusesHalfAVault) {
  for (const char* missing : {kHeader1, kCatalog1}) {
    const auto whole = provider_.Snapshot();
    Plant(provider_, missing, nullptr);
    Machine c(provider_, 5);
    const auto unlocked = c.Unlock();
    EXPECT_FAILS(unlocked, kCorruption) << missing;
    EXPECT_NE(unlocked.error().message.find("half a vault"), std::string::npos);
    provider_.Restore(whole);
  }
}

TEST_F(Unlock, RefusesADamagedMarker) {
  const Bytes marker = ObjectAt(provider_, "vault");
  for (std::size_t bit = 0; bit < marker.size() * 8; ++bit) {
    Bytes changed = marker;
    changed[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    Plant(provider_, "vault", &changed);
    Machine c(provider_, 5);
    const auto unlocked = c.Unlock();
    ASSERT_FALSE(unlocked.has_value());
    const Error& error = unlocked.error();
    EXPECT_EQ(error.code, ErrorCode::kCorruption) << error.message;
    EXPECT_EQ(c.fs.change_count(), 0u);
  }
}

TEST_F(Unlock, RefusesASecondDaemonOnTheSameState) {
  ASSERT_OK_AND_ASSIGN(const auto first, a_.Unlock());
  const auto second = a_.Unlock();
  ASSERT_FAILS(second, kConflict);
  EXPECT_NE(second.error().message.find("another cofferd uses this state"), std::string::npos);
  EXPECT_OK(b_.Unlock());
}

TEST_F(Unlock, DetectsObjectsOfAnotherVaultWithTheSamePassword) {
  store::MemoryStore other_provider;
  Machine other(other_provider, 77);
  VolumeSpec spec = Machine::Photos();
  ASSERT_OK(other.Create(spec));
  const auto whole = provider_.Snapshot();
  for (const char* name : {kHeader1, kCatalog1, "vault"}) {
    const Bytes foreign = ObjectAt(other_provider, name);
    Plant(provider_, name, &foreign);
    Machine c(provider_, 5);
    EXPECT_FAILS(c.Unlock(), kCorruption) << name;
    EXPECT_FALSE(a_.Unlock().has_value()) << name;
    provider_.Restore(whole);
  }
  EXPECT_OK(a_.Unlock());
}

TEST_F(Unlock, DetectsObjectsThatChangedPlaces) {
  AddVolume(a_, "music");
  AddVolume(a_, "films");
  const auto whole = provider_.Snapshot();
  for (const auto& [name, bytes] : whole) {
    for (const auto& [other_name, other_bytes] : whole) {
      // Old catalogs and volumes that nobody loads are not read.
      const bool read = name == "vault" || name == kHeader1 || name == "catalog/fffffffffffffffc";
      if (name == other_name || !read) continue;
      Plant(provider_, name, other_bytes.get());
      Machine c(provider_, 5);
      EXPECT_FALSE(c.Unlock().has_value()) << name << " <- " << other_name;
      // Who wrote it, and has it still, puts it back: the bytes are what they were, or it fails.
      const bool unlocked = a_.Unlock().has_value();
      EXPECT_EQ(unlocked, ObjectAt(provider_, name) == *bytes) << name << " <- " << other_name;
      provider_.Restore(whole);
    }
  }
}

TEST_F(Unlock, DetectsTheStoreRolledBack) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  AddVolume(a_, "films");
  provider_.Restore(old);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK", {"catalog", "seen 3", "offers 1"}));
  // A machine that has seen nothing can't know (faults.md A3).
  EXPECT_OK(b_.Unlock());
}

TEST_F(Unlock, RemembersARollbackAlarmAfterRestarting) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  a_.fs.PowerCut(CutMode::kDropAll);
  provider_.Restore(old);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK"));
}

TEST_F(Unlock, UsesItsOwnKnowledgeWhenListLagsBehind) {
  a_.line.FreezeLists();
  {
    // b adds a volume that a comes to see, then LIST forgets it again.
    AddVolume(b_, "music");
    a_.line.ThawLists();
    ASSERT_OK(a_.Unlock());
    Bytes newest = ObjectAt(provider_, kCatalog2);
    Plant(provider_, kCatalog2, nullptr);
    a_.line.FreezeLists();
    Plant(provider_, kCatalog2, &newest);
  }
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  EXPECT_EQ(vault->catalog().seq, 2u);
}

TEST_F(Unlock, DetectsAHistoryThatSplitAtTheSameSequence) {
  store::MemoryStore other_view;
  other_view.Restore(provider_.Snapshot());
  Machine c(other_view, 500, "c");
  AddVolume(c, "films");
  AddVolume(a_, "music");
  provider_.Restore(other_view.Snapshot());
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "FORK", {"catalog", "2"}));
}

TEST_F(Unlock, DetectsAHistoryThatSplitAndGrewLonger) {
  for (int longer = 1; longer <= 4; ++longer) {
    store::MemoryStore view_of_a;
    Machine a(view_of_a, 1, "a");
    ASSERT_OK(a.Create());
    store::MemoryStore view_of_c;
    view_of_c.Restore(view_of_a.Snapshot());
    Machine c(view_of_c, 500, "c");
    AddVolume(a, "music");
    for (int i = 0; i <= longer; ++i) AddVolume(c, "films" + std::to_string(i));
    const Bytes seen_by_a = ObjectAt(view_of_a, kCatalog2);
    view_of_a.Restore(view_of_c.Snapshot());
    EXPECT_TRUE(NeedsPerson(a.Unlock(), "FORK")) << longer;
    // Showing a what it has seen, under the other history's continuation, does not help.
    Plant(view_of_a, kCatalog2, &seen_by_a);
    EXPECT_TRUE(NeedsPerson(a.Unlock(), "FORK")) << longer;
    Plant(view_of_a, kCatalog2, nullptr);
    EXPECT_TRUE(NeedsPerson(a.Unlock(), "FORK")) << longer;
  }
}

TEST_F(Unlock, FollowsWhatAnotherMachineAdded) {
  for (int i = 0; i < 5; ++i) AddVolume(b_, "v" + std::to_string(i));
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  EXPECT_EQ(vault->catalog().seq, 6u);
  EXPECT_EQ(vault->trust().catalog().seq, 6u);
}

TEST_F(Unlock, FollowsFarWithoutReadingAll) {
  ASSERT_OK_AND_ASSIGN(auto vault, b_.Unlock());
  for (std::uint64_t i = 0; i < kDescentStepsMax + 20; ++i) {
    ASSERT_OK(vault->CreateVolume(Machine::Spec("v" + std::to_string(i))));
  }
  a_.wire.Clear();
  ASSERT_OK(a_.Unlock());
  EXPECT_LE(a_.wire.requests().size(), kDescentStepsMax + 10);
  // Still no other history: what this machine saw must stand where it was.
  const Bytes first = ObjectAt(provider_, kCatalog1);
  Machine c(provider_, 5, "c");
  ASSERT_OK(c.Unlock());
  (void)first;
}

TEST_F(Unlock, GoesOnWithADamagedParentButNotWithAnother) {
  AddVolume(a_, "music");
  const auto whole = provider_.Snapshot();
  Bytes damaged = ObjectAt(provider_, kCatalog1);
  damaged[damaged.size() / 2] ^= std::byte{1};
  Plant(provider_, kCatalog1, &damaged);
  Machine c(provider_, 5);
  EXPECT_OK(c.Unlock());
  Plant(provider_, kCatalog1, nullptr);
  Machine d(provider_, 6);
  EXPECT_OK(d.Unlock());
}

TEST_F(Unlock, DetectsAnotherParentUnderTheNewestCatalog) {
  store::MemoryStore other_view;
  other_view.Restore(provider_.Snapshot());
  Machine c(other_view, 500, "c");
  AddVolume(c, "films");
  AddVolume(a_, "music");
  AddVolume(a_, "more");
  const Bytes other = ObjectAt(other_view, kCatalog2);
  Plant(provider_, kCatalog2, &other);
  Machine fresh(provider_, 6);
  EXPECT_TRUE(NeedsPerson(fresh.Unlock(), "FORK", {"catalog"}));
}

TEST_F(Unlock, DetectsAnOldKeyHeader) {
  const auto old = provider_.Snapshot();
  const Bytes header1 = ObjectAt(provider_, kHeader1);
  ASSERT_NO_FATAL_FAILURE(ChangePassword("new"));
  EXPECT_FAILS(a_.Unlock(), kUnauthenticated);
  EXPECT_OK(a_.Unlock("new"));
  // Only the header is the old one, kept by somebody: its password opens it, and that is not
  // enough.
  Plant(provider_, kHeader1, &header1);
  Plant(provider_, kHeader2, nullptr);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "HEADER-ROLLBACK", {"seen 2", "offers 1"}));
  // On a machine that has seen nothing the catalog tells.
  EXPECT_TRUE(NeedsPerson(b_.Unlock(), "HEADER-ROLLBACK", {"2", "1"}));
  // All rolled back.
  provider_.Restore(old);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "HEADER-ROLLBACK"));
}

TEST_F(Unlock, DetectsAnotherKeyHeaderOfTheSameSequence) {
  OpenHeader open = TakeApart(ObjectAt(provider_, kHeader1), Machine::kPassword);
  const Bytes other = PutTogether(std::move(open), a_.random);
  Plant(provider_, kHeader1, &other);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "FORK", {"key header"}));
}

TEST_F(Unlock, DetectsAKeyHeaderThatDoesNotFollow) {
  OpenHeader open = TakeApart(ObjectAt(provider_, kHeader1), Machine::kPassword);
  open.header.seq = 2;
  open.keyring.parent = ObjectHash::From(Bytes(32, std::byte{7}));
  const Bytes other = PutTogether(std::move(open), a_.random);
  Plant(provider_, kHeader2, &other);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "FORK", {"key header"}));
}

TEST_F(Unlock, NotesWhatItSawBeforeItReturns) {
  AddVolume(b_, "music");
  { ASSERT_OK(a_.Unlock()); }
  a_.fs.PowerCut(CutMode::kDropAll);
  Plant(provider_, kCatalog2, nullptr);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK", {"seen 2", "offers 1"}));
}

TEST_F(Unlock, SurvivesALyingOrFailingTransferOrSaysSo) {
  AddVolume(b_, "music");
  for (const StoreFaultKind kind :
       {StoreFaultKind::kFailBefore, StoreFaultKind::kTruncatedBody, StoreFaultKind::kLongBody,
        StoreFaultKind::kCorruptBody, StoreFaultKind::kUnsortedList, StoreFaultKind::kDuplicateList,
        StoreFaultKind::kShortList, StoreFaultKind::kEndlessList}) {
    for (std::uint64_t nth = 1; nth <= 8; ++nth) {
      Machine c(provider_, nth);
      c.line.AddFault({.kind = kind, .nth = nth});
      const auto unlocked = c.Unlock();
      if (!unlocked.has_value()) {
        EXPECT_TRUE(unlocked.error().code == ErrorCode::kUnavailable ||
                    unlocked.error().code == ErrorCode::kCorruption ||
                    unlocked.error().code == ErrorCode::kUnsupported ||
                    unlocked.error().code == ErrorCode::kInvalidArgument ||
                    unlocked.error().code == ErrorCode::kUnauthenticated)
            << TextOf(unlocked.error());
        EXPECT_OK(c.Unlock());
      }
    }
  }
}

TEST_F(Unlock, ReadsACatalogAgainWhoseTransferBroke) {
  a_.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                    .operation = store::StoreOperation::kGet,
                    .name_contains = "catalog/"});
  EXPECT_OK(a_.Unlock());
  a_.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                    .operation = store::StoreOperation::kGet,
                    .name_contains = "catalog/",
                    .count = StoreFault::kForever});
  EXPECT_FAILS(a_.Unlock(), kCorruption);
}

TEST_F(Unlock, PassesOverForeignNamesInAChain) {
  const Bytes bytes(10, std::byte{1});
  for (const char* name : {"keys/0readme", "keys/zzz", "catalog/0readme", "catalog/zzz"}) {
    Plant(provider_, name, &bytes);
  }
  EXPECT_OK(a_.Unlock());
}

TEST_F(Unlock, AnObjectThatIsTooLongIsDamage) {
  const Bytes bytes(std::size_t{2} << 20);
  const auto whole = provider_.Snapshot();
  for (const char* name : {"vault", kHeader1}) {
    Plant(provider_, name, &bytes);
    const auto unlocked = a_.Unlock();
    ASSERT_FAILS(unlocked, kCorruption);
    EXPECT_FALSE(unlocked.error().hint.empty()) << name;
    provider_.Restore(whole);
  }
}

TEST_F(Unlock, RefusesAWeakStoreUnlessItHasOneWriter) {
  a_.line.SetStrength(store::StoreStrength::kWeak);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "WEAK-STORE"));
  EXPECT_OK(a_.Unlock(Machine::kPassword, {.single_writer = true}));
}

TEST_F(Unlock, ProbesAStoreOnceBeforeItsFirstWrite) {
  { ASSERT_OK(b_.Unlock()); }
  EXPECT_EQ(b_.wire.count(store::StoreOperation::kCreate), 0u);  // a reader writes nothing
  b_.line.AddFault({.kind = StoreFaultKind::kConditionIgnored,
                    .operation = store::StoreOperation::kCreate,
                    .count = StoreFault::kForever});
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock());
    EXPECT_TRUE(NeedsPerson(vault->CreateVolume(Machine::Spec("music")), "WEAK-STORE"));
    EXPECT_TRUE(NeedsPerson(vault->PrepareToWrite(), "WEAK-STORE"));
  }
  b_.line.Heal();
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock());
    ASSERT_OK(vault->PrepareToWrite());
  }
  b_.wire.Clear();
  ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock());
  ASSERT_OK(vault->PrepareToWrite());
  EXPECT_EQ(b_.wire.count(store::StoreOperation::kCreate), 0u);
}

}  // namespace
}  // namespace coffer::vault
