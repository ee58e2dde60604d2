// Vault::ChangePassword: what holds afterwards, and after a crash at any point of it. The oracle:
// after any crash the old password or the new one opens the vault, never neither, and the other
// one does not; nothing else in the store has changed.
#include <gtest/gtest.h>

#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

constexpr std::string_view kOld = Machine::kPassword;
constexpr std::string_view kNew = "battery staple";
constexpr char kHeader1[] = "keys/fffffffffffffffe";
constexpr char kHeader2[] = "keys/fffffffffffffffd";

Status Change(Machine& machine, std::string_view from = kOld, std::string_view to = kNew) {
  ASSIGN_OR_RETURN(const auto vault, machine.Unlock(from));
  return vault->ChangePassword(Password(from), Password(to));
}

class Passwd : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(a_.Create()); }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
};

TEST_F(Passwd, MakesTheNewPasswordTheOnlyOne) {
  ASSERT_OK(Change(a_));
  EXPECT_FAILS(a_.Unlock(kOld), kUnauthenticated);
  EXPECT_FAILS(b_.Unlock(kOld), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock(kNew));
  EXPECT_EQ(vault->header_seq(), 2u);
  EXPECT_EQ(vault->catalog().header_seq_min, 2u);
  EXPECT_FALSE(provider_.Snapshot().contains(kHeader1));
}

TEST_F(Passwd, ChangesNothingButKeysAndCatalog) {
  const auto before = provider_.Snapshot();
  ASSERT_OK(Change(a_));
  for (const auto& [name, bytes] : provider_.Snapshot()) {
    if (name.starts_with("keys/") || name.starts_with("catalog/")) continue;
    EXPECT_EQ(*before.at(name), *bytes) << name;
  }
  ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(*b_.Unlock(kNew))));
  EXPECT_OK(open.chain->Load());
}

TEST_F(Passwd, KeepsTheVaultUnlockedWhereItIs) {
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a_));
  ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, open.chain->Load());
  ASSERT_OK(open.vault->ChangePassword(Password(kOld), Password(kNew)));
  ASSERT_OK_AND_ASSIGN(newest, open.chain->Append(NextHead(newest.head)));
  EXPECT_EQ(newest.head.header_seq_min, 2u);
  EXPECT_EQ(open.vault->header_seq(), 2u);
}

TEST_F(Passwd, OnOneMachineLetsAnotherGoOn) {
  ASSERT_OK_AND_ASSIGN(OpenChain on_b, OpenPhotos(b_));
  ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, on_b.chain->Load());
  ASSERT_OK(Change(a_));
  EXPECT_OK(on_b.chain->Append(NextHead(newest.head)));
  on_b = {};
  EXPECT_FAILS(b_.Unlock(kOld), kUnauthenticated);
  EXPECT_OK(b_.Unlock(kNew));
}

TEST_F(Passwd, WithAWrongPasswordAsksAndChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  const auto store = provider_.Snapshot();
  std::vector<std::optional<Bytes>> disk;
  for (const std::string& path : a_.fs.Files()) disk.push_back(a_.fs.Contents(path));
  EXPECT_FAILS(vault->ChangePassword(Password("not it"), Password(kNew)), kUnauthenticated);
  EXPECT_FAILS(vault->CheckPassword(Password("not it")), kUnauthenticated);
  EXPECT_FAILS(vault->ListKeys(Password("not it")), kUnauthenticated);
  EXPECT_EQ(provider_.Snapshot(), store);
  std::size_t i = 0;
  for (const std::string& path : a_.fs.Files()) EXPECT_EQ(a_.fs.Contents(path), disk[i++]) << path;
}

TEST_F(Passwd, ReplacesTheSlotThatThePasswordOpensAndNoOther) {
  OpenHeader open = TakeApart(ObjectAt(provider_, kHeader1), kOld);
  SetSlot(open, 3, "grandmother's", a_.random);
  open.keyring.slots.push_back({3, 77, "her-host", "her own"});
  const Bytes planted = PutTogether(std::move(open), a_.random);
  Plant(provider_, kHeader1, &planted);
  ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock("grandmother's"));
  ASSERT_OK(vault->ChangePassword(Password("grandmother's"), Password(kNew)));
  ASSERT_OK_AND_ASSIGN(const Vault::KeyList keys, vault->ListKeys(Password(kNew)));
  ASSERT_EQ(keys.slots.size(), 2u);
  EXPECT_EQ(keys.opened, 3);
  EXPECT_EQ(keys.header_seq, 2u);
  EXPECT_EQ(keys.slots[1].slot, 3);
  EXPECT_EQ(keys.slots[1].label, "her own");
  EXPECT_EQ(keys.slots[1].host_name, "b");
  EXPECT_EQ(keys.slots[1].created_unix, b_.clock.WallNow());
  EXPECT_EQ(keys.slots[0].host_name, "a");
  EXPECT_OK(vault->CheckPassword(Password(kOld)));
  EXPECT_FAILS(vault->CheckPassword(Password("grandmother's")), kUnauthenticated);
  // Others still hold the unlock key, so it can't be another.
  EXPECT_TRUE(ConstantTimeEqual(TakeApart(ObjectAt(provider_, kHeader2), kOld).unlock_key.view(),
                                TakeApart(planted, kOld).unlock_key.view()));
}

TEST_F(Passwd, OfTheOnlySlotDrawsANewUnlockKey) {
  const Bytes before = ObjectAt(provider_, kHeader1);
  ASSERT_OK(Change(a_));
  EXPECT_FALSE(ConstantTimeEqual(TakeApart(before, kOld).unlock_key.view(),
                                 TakeApart(ObjectAt(provider_, kHeader2), kNew).unlock_key.view()));
}

TEST_F(Passwd, TakesItsCostFromPolicyAndNotFromTheOldSlot) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  const crypto::KdfPolicy dearer{16, 2, 1};
  a_.env.kdf_policy = dearer;
  ASSERT_OK(vault->ChangePassword(Password(kOld), Password(kNew)));
  ASSERT_OK_AND_ASSIGN(const Vault::KeyList keys, vault->ListKeys(Password(kNew)));
  EXPECT_EQ(keys.slots[0].cost, crypto::CostOfNewSlot(dearer));
}

TEST_F(Passwd, IsFollowedByAnother) {
  ASSERT_OK(Change(a_));
  ASSERT_OK(Change(b_, kNew, "third"));
  ASSERT_OK(Change(a_, "third", kOld));
  EXPECT_OK(b_.Unlock(kOld));
  EXPECT_FAILS(b_.Unlock(kNew), kUnauthenticated);
}

TEST_F(Passwd, MakesTheOldHeaderPlayedBackARollback) {
  const auto before = provider_.Snapshot();
  ASSERT_OK(b_.Unlock());
  ASSERT_OK(Change(a_));
  const Bytes old_header = *before.at(kHeader1);
  Plant(provider_, kHeader1, &old_header);
  Plant(provider_, kHeader2, nullptr);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(kOld), "HEADER-ROLLBACK"));
  EXPECT_TRUE(NeedsPerson(b_.Unlock(kOld), "HEADER-ROLLBACK"));  // by the catalog's word
  Machine c(provider_, 7, "c");
  EXPECT_TRUE(NeedsPerson(c.Unlock(kOld), "HEADER-ROLLBACK"));
}

TEST_F(Passwd, AfterUnlockIsTheSameOnce) {
  Vault::UnlockOptions keys_next;
  keys_next.keys_next = true;
  {
    ASSERT_OK_AND_ASSIGN(const auto plain, a_.Unlock());
    EXPECT_FAILS(plain->ChangePasswordAfterUnlock(Password(kNew)), kUnauthenticated);
  }
  ASSERT_OK_AND_ASSIGN(const auto on_a, a_.Unlock(kOld, keys_next));
  ASSERT_OK(on_a->ChangePasswordAfterUnlock(Password(kNew)));
  EXPECT_FAILS(on_a->ChangePasswordAfterUnlock(Password("third")), kUnauthenticated);
  EXPECT_FAILS(b_.Unlock(kOld), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const auto on_b, b_.Unlock(kNew, keys_next));
  ASSERT_OK(on_a->ChangePassword(Password(kNew), Password("third")));
  EXPECT_FAILS(on_b->ChangePasswordAfterUnlock(Password("b's")), kConflict);
  EXPECT_OK(on_b->CheckPassword(Password("third")));
}

TEST_F(Passwd, LooksForANewerHeaderFirst) {
  ASSERT_OK_AND_ASSIGN(const auto on_a, a_.Unlock());
  ASSERT_OK(Change(b_));
  EXPECT_FAILS(on_a->ChangePassword(Password(kOld), Password("a's")), kUnauthenticated);
  ASSERT_OK(on_a->ChangePassword(Password(kNew), Password("a's")));
  EXPECT_OK(b_.Unlock("a's"));
}

TEST_F(Passwd, MeetingAnothersHeaderAtItsCreateChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto on_a, a_.Unlock());
  a_.line.FreezeLists();  // a does not see what comes
  ASSERT_OK_AND_ASSIGN(const auto on_b, b_.Unlock());
  const Bytes old_header = ObjectAt(provider_, kHeader1);
  ASSERT_OK(on_b->ChangePassword(Password(kOld), Password("b's")));
  Plant(provider_, kHeader1, &old_header);  // its delete is still under way
  const Bytes winner = ObjectAt(provider_, kHeader2);
  EXPECT_FAILS(on_a->ChangePassword(Password(kOld), Password("a's")), kConflict);
  EXPECT_EQ(ObjectAt(provider_, kHeader2), winner);
  a_.line.Heal();
  EXPECT_OK(on_a->CheckPassword(Password("b's")));
  EXPECT_OK(on_a->ChangePassword(Password("b's"), Password("a's")));
}

TEST_F(Passwd, TakesALostReplyForDone) {
  a_.line.AddFault({.kind = StoreFaultKind::kFailAfter,
                    .operation = store::StoreOperation::kCreate,
                    .name_contains = "keys/"});
  EXPECT_OK(Change(a_));
  EXPECT_OK(b_.Unlock(kNew));
}

TEST_F(Passwd, GivenUpOnSaysThatEitherMayHoldAndEitherDoes) {
  for (const StoreFaultKind kind : {StoreFaultKind::kFailBefore, StoreFaultKind::kLateApply}) {
    store::MemoryStore provider;
    Machine a(provider, 5);
    ASSERT_OK(a.Create());
    ASSERT_OK_AND_ASSIGN(const auto vault, a.Unlock());
    a.line.AddFault(
        {.kind = kind, .operation = store::StoreOperation::kCreate, .name_contains = "keys/"});
    a.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                     .operation = store::StoreOperation::kGet,
                     .name_contains = kHeader2,
                     .count = StoreFault::kForever,
                     .code = ErrorCode::kNotFound});
    const Status changed = vault->ChangePassword(Password(kOld), Password(kNew));
    ASSERT_FAILS(changed, kUnavailable);
    EXPECT_NE(changed.error().message.find("try the new one first"), std::string::npos);
    a.line.LandLateRequests();
    a.line.Heal();
    Machine b(provider, 6, "b");
    EXPECT_NE(b.Unlock(kNew).has_value(), b.Unlock(kOld).has_value());
  }
}

TEST_F(Passwd, TakesBackAHeaderThatTheStoreHasNotKept) {
  a_.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                    .operation = store::StoreOperation::kGet,
                    .name_contains = kHeader2,
                    .count = StoreFault::kForever});
  EXPECT_FAILS(Change(a_), kCorruption);
  EXPECT_FALSE(provider_.Snapshot().contains(kHeader2));
  a_.line.Heal();
  EXPECT_OK(a_.Unlock(kOld));
  EXPECT_OK(Change(a_));
}

TEST_F(Passwd, WhoseCatalogCannotBeToldHoldsAllTheSameAndIsFinishedLater) {
  a_.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                    .operation = store::StoreOperation::kCreate,
                    .name_contains = "catalog/",
                    .count = StoreFault::kForever});
  ASSERT_OK(Change(a_));
  a_.line.Heal();
  EXPECT_FAILS(b_.Unlock(kOld), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const auto vault, b_.Unlock(kNew));
  EXPECT_EQ(vault->catalog().header_seq_min, 1u);
  ASSERT_OK(vault->PrepareToWrite());
  EXPECT_EQ(vault->catalog().header_seq_min, 2u);
  EXPECT_FALSE(provider_.Snapshot().contains(kHeader1));
}

TEST_F(Passwd, SucceedsWhereNothingCanBeDeleted) {
  a_.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                    .operation = store::StoreOperation::kDelete,
                    .count = StoreFault::kForever,
                    .code = ErrorCode::kUnauthenticated});
  EXPECT_OK(Change(a_));
  EXPECT_TRUE(provider_.Snapshot().contains(kHeader1));
  EXPECT_FAILS(b_.Unlock(kOld), kUnauthenticated);
  EXPECT_OK(b_.Unlock(kNew));
}

/// After a crash: exactly one password opens, everywhere, and the next change of it goes through.
void ExpectOneOpens(store::MemoryStore& provider, Machine& crashed) {
  Machine other(provider, 99, "other");
  const bool is_new = other.Unlock(kNew).has_value();
  const std::string_view holds = is_new ? kNew : kOld;
  const std::string_view gone = is_new ? kOld : kNew;
  EXPECT_OK(other.Unlock(holds));
  EXPECT_FAILS(other.Unlock(gone), kUnauthenticated);
  EXPECT_FAILS(crashed.Unlock(gone), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(auto vault, crashed.Unlock(holds));
  EXPECT_OK(vault->PrepareToWrite());
  EXPECT_EQ(vault->catalog().header_seq_min, vault->header_seq());
  ASSERT_OK(vault->ChangePassword(Password(holds), Password("third")));
  vault.reset();
  EXPECT_OK(other.Unlock("third"));
  EXPECT_FAILS(other.Unlock(kOld), kUnauthenticated);
  EXPECT_FAILS(other.Unlock(kNew), kUnauthenticated);
  std::size_t headers = 0;
  for (const auto& [name, bytes] : provider.Snapshot()) headers += name.starts_with("keys/");
  EXPECT_EQ(headers, 1u);
}

class PasswdCrash : public testing::TestWithParam<CutMode> {};

TEST_P(PasswdCrash, AtAnyChangeOfTheDisk) {
  const std::uint64_t seed = TestSeed();
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    store::MemoryStore provider;
    Machine a(provider, seed + nth);
    ASSERT_OK(a.Create());
    a.fs.HaltAt(nth);
    const bool changed = Change(a).has_value();
    if (!a.fs.halted()) {
      EXPECT_TRUE(changed);
      break;
    }
    a.fs.PowerCut(GetParam());
    ExpectOneOpens(provider, a);
  }
}

TEST_P(PasswdCrash, AtAnyRequest) {
  const std::uint64_t seed = TestSeed();
  for (const HaltMoment moment : {HaltMoment::kBefore, HaltMoment::kAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE(nth);
      store::MemoryStore provider;
      Machine a(provider, seed + nth);
      ASSERT_OK(a.Create());
      a.line.HaltAt(nth, moment);
      const bool changed = Change(a).has_value();
      if (!a.line.halted()) {
        EXPECT_TRUE(changed);
        break;
      }
      a.fs.PowerCut(GetParam());
      a.line.Heal();
      ExpectOneOpens(provider, a);
    }
  }
}

TEST_P(PasswdCrash, AgainWhileItIsMadeGood) {
  SeededRandom random(TestSeed());
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    store::MemoryStore provider;
    Machine a(provider, random.Next());
    ASSERT_OK(a.Create());
    for (int crash = 0; crash < 6; ++crash) {
      if (random.OneIn(2)) {
        a.fs.HaltAt(1 + random.Below(16));
      } else {
        a.line.HaltAt(1 + random.Below(20),
                      random.OneIn(2) ? HaltMoment::kBefore : HaltMoment::kAfter);
      }
      if (!Change(a, kOld, kNew).has_value()) (void)Change(a, kNew, kOld);
      a.fs.PowerCut(GetParam());
      a.line.Heal();
    }
    ExpectOneOpens(provider, a);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, PasswdCrash,
                         testing::Values(CutMode::kDropAll, CutMode::kKeepAll,
                                         CutMode::kRandomSubset, CutMode::kPrefix));

}  // namespace
}  // namespace coffer::vault
