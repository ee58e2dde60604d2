// The newest object of a chain is empty or damaged, as a power cut of the machine that holds the
// store may leave it: what is whole is shown, what this machine wrote is put back, and a person has
// a way on.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "core/format/chain_name.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

const Bytes kEmpty;
const Bytes kGarbage(5000, std::byte{7});

class DamagedNewest : public testing::Test {
 protected:
  DamagedNewest() {
    EXPECT_OK(a_.Create());
    const auto open = OpenPhotos(a_);
    photos_ = open->volume;
  }

  static void Append(Machine& machine, int heads, bool released = false) {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(machine));
    ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, open.chain->Load());
    for (int i = 0; i < heads; ++i) {
      format::Head next = NextHead(newest.head);
      next.released = released;
      ASSERT_OK_AND_ASSIGN(newest, open.chain->Append(std::move(next)));
    }
  }
  static void AddVolume(Machine& machine, const std::string& name) {
    ASSERT_OK_AND_ASSIGN(const auto vault, machine.Unlock());
    ASSERT_OK(vault->CreateVolume(Machine::Spec(name)));
  }
  /// Not whether two snapshots are equal: that would print all bytes.
  [[nodiscard]] bool Holds(const std::map<std::string, std::shared_ptr<const Bytes>>& whole) const {
    const auto now = provider_.Snapshot();
    return std::equal(
        now.begin(), now.end(), whole.begin(), whole.end(),
        [](const auto& x, const auto& y) { return x.first == y.first && *x.second == *y.second; });
  }
  static Result<HeadChain::Newest> Load(Machine& machine) {
    ASSIGN_OR_RETURN(OpenChain open, OpenPhotos(machine));
    return open.chain->Load();
  }
  static Result<std::unique_ptr<Vault>> Looking(Machine& machine,
                                                std::string_view password = Machine::kPassword) {
    return machine.Unlock(password, {.doubts = Vault::Doubts::kTolerate});
  }
  static Status AcceptAll(Machine& machine) {
    ASSIGN_OR_RETURN(const auto vault, Looking(machine));
    ASSIGN_OR_RETURN(const Vault::TrustSurvey survey, vault->SurveyTrust());
    RETURN_IF_ERROR(vault->AcceptTrust(survey));
    return {};
  }
  [[nodiscard]] std::string HeadName(std::uint64_t seq) const {
    return format::ChainName(format::HeadPrefix(photos_), seq);
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
  VolumeId photos_;
};

TEST_F(DamagedNewest, HeadOfAnotherMachineIsReadAsOfTheOneBefore) {
  Append(a_, 3);
  ASSERT_OK_AND_ASSIGN(const OpenChain known, OpenPhotos(b_));
  for (const Bytes& damaged : {kEmpty, kGarbage}) {
    Plant(provider_, HeadName(4), &damaged);
    const auto before = provider_.Snapshot();
    const auto loaded = known.chain->Load();
    ASSERT_TRUE(NeedsPerson(loaded, "ROLLBACK", {"head 4, the newest in the store, is damaged"}));
    for (const char* way : {"coffer open --read-only", "coffer trust accept VAULT"}) {
      EXPECT_NE(loaded.error().hint.find(way), std::string::npos) << loaded.error().hint;
    }
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, known.chain->Look());
    EXPECT_EQ(newest.point.seq, 3u);
    EXPECT_FALSE(newest.ours);
    ASSERT_TRUE(newest.doubt.has_value());
    EXPECT_NE(newest.doubt->message.find("host 'a' had not released"), std::string::npos);
    EXPECT_TRUE(Holds(before));
  }
}

TEST_F(DamagedNewest, HeadOverAReleasedOneIsShownWithoutThatWarning) {
  Append(a_, 2, /*released=*/true);
  Plant(provider_, HeadName(3), &kEmpty);
  ASSERT_OK_AND_ASSIGN(const OpenChain known, OpenPhotos(b_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, known.chain->Look());
  ASSERT_TRUE(newest.doubt.has_value());
  EXPECT_EQ(newest.doubt->message.find("released"), std::string::npos) << newest.doubt->message;
}

TEST_F(DamagedNewest, HeadIsGoneOnFromOnceAPersonHasAcceptedTheOneBefore) {
  Append(b_, 0);
  Append(a_, 3, /*released=*/true);
  ASSERT_OK(Load(b_));
  Plant(provider_, HeadName(4), &kEmpty);
  EXPECT_TRUE(NeedsPerson(Load(b_), "ROLLBACK"));
  Plant(provider_, HeadName(4), nullptr);  // as the hint says
  EXPECT_TRUE(NeedsPerson(Load(b_), "ROLLBACK", {"seen 4", "offers 3"}));
  ASSERT_OK(AcceptAll(b_));
  Append(b_, 2);
}

TEST_F(DamagedNewest, HeadOfThisMachineIsPutBackByteForByte) {
  Append(a_, 3);
  const auto whole = provider_.Snapshot();
  for (const Bytes& damaged : {kEmpty, kGarbage}) {
    Plant(provider_, HeadName(4), &damaged);
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a_));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    EXPECT_EQ(newest.point.seq, 4u);
    EXPECT_TRUE(newest.ours);
    EXPECT_TRUE(Holds(whole));
    const auto notes = open.vault->TakeNotes();
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("head 4"), std::string::npos);
    EXPECT_NE(notes[0].find("put back"), std::string::npos);
  }
  Append(a_, 2);
  ASSERT_OK(Load(b_));
}

TEST_F(DamagedNewest, NothingIsPutBackByWhoOnlyReads) {
  Append(a_, 3);
  Plant(provider_, HeadName(4), &kEmpty);
  const auto before = provider_.Snapshot();
  ASSERT_OK_AND_ASSIGN(const OpenChain open, OpenPhotos(a_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Look());
  EXPECT_EQ(newest.point.seq, 3u);
  EXPECT_TRUE(Holds(before));
}

// An older copy of the store may lack what the head refers to: that it is missing is no damage.
TEST_F(DamagedNewest, AHeadThatIsMissingIsNotPutBack) {
  Append(a_, 3);
  Plant(provider_, HeadName(4), nullptr);
  const auto before = provider_.Snapshot();
  EXPECT_TRUE(NeedsPerson(Load(a_), "ROLLBACK", {"seen 4", "offers 3"}));
  EXPECT_TRUE(Holds(before));
}

TEST_F(DamagedNewest, NothingIsPutBackOverWhatAnotherMachineWrote) {
  Append(a_, 2, /*released=*/true);
  Append(b_, 1);
  ASSERT_OK(Load(a_));
  Plant(provider_, HeadName(4), &kEmpty);
  EXPECT_TRUE(NeedsPerson(Load(a_), "ROLLBACK", {"is damaged"}));
  ASSERT_OK(Load(b_));  // who did
}

TEST_F(DamagedNewest, PuttingBackSurvivesACrashAtAnyRequestAndAnyChangeOfTheDisk) {
  Append(a_, 3);
  const auto whole = provider_.Snapshot();
  for (const bool by_request : {true, false}) {
    std::uint64_t crashes = 0;
    for (std::uint64_t nth = 1;; ++nth) {
      ASSERT_LT(nth, 200u);
      Plant(provider_, HeadName(4), &kEmpty);
      if (by_request) {
        a_.line.HaltAt(nth, nth % 2 == 0 ? HaltMoment::kBefore : HaltMoment::kAfter);
      } else {
        a_.fs.HaltAt(nth);
      }
      const bool loaded = Load(a_).has_value();
      const bool crashed = a_.line.halted() || a_.fs.halted();
      a_.line.Heal();
      a_.fs.PowerCut(nth % 3 == 0 ? CutMode::kKeepAll : CutMode::kDropAll);
      const auto again = Load(a_);
      ASSERT_OK(again) << "crash " << nth;
      EXPECT_TRUE(again->ours);
      EXPECT_TRUE(Holds(whole)) << "crash " << nth;
      if (loaded && !crashed) break;
      ++crashes;
    }
    EXPECT_GT(crashes, 3u);
  }
}

TEST_F(DamagedNewest, AStoreThatDeletesNothingNeedsAPerson) {
  Append(a_, 3);
  Plant(provider_, HeadName(4), &kEmpty);
  a_.line.AddFault({.operation = store::StoreOperation::kDelete,
                    .count = StoreFault::kForever,
                    .code = ErrorCode::kUnauthenticated});
  EXPECT_TRUE(NeedsPerson(Load(a_), "ROLLBACK", {"is damaged"}));
  a_.line.Heal();
  ASSERT_OK(Load(a_));
}

TEST_F(DamagedNewest, WhereNoHeadIsWholeNothingIsShown) {
  Plant(provider_, HeadName(1), &kEmpty);
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(b_));
  EXPECT_FAILS(open.chain->Look(), kCorruption);
  EXPECT_FAILS(open.chain->Load(), kCorruption);
}

// What another history has put there is no damage.
TEST_F(DamagedNewest, NothingIsPutBackOverAnAuthenticRecord) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  Append(a_, 1);
  provider_.Restore(old);
  AddVolume(b_, "films");
  Append(b_, 1);
  const auto other = provider_.Snapshot();
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "FORK"));
  EXPECT_TRUE(Holds(other));
}

TEST_F(DamagedNewest, ATransferThatBreaksIsNoDamage) {
  ASSERT_OK(Load(b_));
  Append(a_, 4);
  for (const std::uint64_t seq : {3, 5}) {
    b_.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                      .operation = store::StoreOperation::kGet,
                      .name_contains = HeadName(seq)});
  }
  ASSERT_OK(Load(b_));
}

// Below a whole one it matters only to whom has seen what is below it.
TEST_F(DamagedNewest, AHeadInTheMiddleIsADoubtThatAPersonMayAccept) {
  ASSERT_OK(Load(b_));
  Append(a_, 4);
  Plant(provider_, HeadName(3), &kEmpty);
  EXPECT_TRUE(NeedsPerson(Load(b_), "FORK", {"3 between them is damaged"}));
  ASSERT_OK(Load(a_));
  ASSERT_OK(AcceptAll(b_));
  ASSERT_OK(Load(b_));
}

TEST_F(DamagedNewest, CatalogOfAnotherMachineIsReadAsOfTheOneBefore) {
  ASSERT_OK(b_.Unlock());
  AddVolume(a_, "music");
  ASSERT_OK(b_.Unlock());
  const std::string name = format::ChainName(format::kCatalogPrefix, 2);
  Plant(provider_, name, &kEmpty);
  EXPECT_TRUE(NeedsPerson(b_.Unlock(), "ROLLBACK", {"catalog 2, the newest in the store"}));
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, Looking(b_));
    EXPECT_OK(vault->FindVolume("photos"));
    EXPECT_FALSE(vault->doubts().empty());
    EXPECT_TRUE(NeedsPerson(vault->PrepareToWrite(), "ROLLBACK"));
  }
  Plant(provider_, name, nullptr);
  ASSERT_OK(AcceptAll(b_));
  AddVolume(b_, "films");
}

// The heads say how new the catalog was: they must not refuse for ever what a person has accepted.
TEST_F(DamagedNewest, ACatalogThatIsLostForGoodIsGoneOnFrom) {
  AddVolume(b_, "music");
  AddVolume(b_, "films");
  Append(a_, 2, /*released=*/true);
  ASSERT_OK(Load(a_));
  const std::string name = format::ChainName(format::kCatalogPrefix, 3);
  Plant(provider_, name, nullptr);
  EXPECT_TRUE(NeedsPerson(Load(a_), "ROLLBACK"));
  ASSERT_OK(AcceptAll(a_));
  ASSERT_OK(Load(a_));
  Append(a_, 1);
}

TEST_F(DamagedNewest, CatalogOfThisMachineIsPutBackByteForByte) {
  AddVolume(a_, "music");
  const auto whole = provider_.Snapshot();
  Plant(provider_, format::ChainName(format::kCatalogPrefix, 2), &kGarbage);
  {
    ASSERT_OK(Looking(a_));
    EXPECT_FALSE(Holds(whole));
  }
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  EXPECT_TRUE(Holds(whole));
  EXPECT_OK(vault->FindVolume("music"));
  EXPECT_EQ(vault->TakeNotes().size(), 1u);
}

// A store may keep objects from being deleted, or the old header is not gone yet.
TEST_F(DamagedNewest, KeyHeaderIsReadAsOfTheOneBeforeWithThePasswordBefore) {
  const std::string old_name = format::ChainName(format::kKeysPrefix, 1);
  const Bytes old_header = ObjectAt(provider_, old_name);
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
    ASSERT_OK(vault->ChangePassword(Password("correct horse"), Password("battery staple")));
  }
  Plant(provider_, format::ChainName(format::kKeysPrefix, 2), &kEmpty);
  EXPECT_FAILS(Looking(a_), kCorruption);
  Plant(provider_, old_name, &old_header);
  EXPECT_FAILS(a_.Unlock(), kCorruption);
  const auto wrong = Looking(a_, "battery staple");
  ASSERT_FAILS(wrong, kUnauthenticated);
  EXPECT_NE(wrong.error().hint.find("before the last change"), std::string::npos);
  Machine c(provider_, 7);  // it has seen nothing that would speak against it
  for (Machine* machine : {&a_, &c}) {
    ASSERT_OK_AND_ASSIGN(const auto vault, Looking(*machine));
    EXPECT_OK(vault->FindVolume("photos"));
    EXPECT_TRUE(NeedsPerson(vault->PrepareToWrite(), "HEADER-ROLLBACK"));
  }
}

}  // namespace
}  // namespace coffer::vault
