// What this machine remembers against what the store offers: looked at, tolerated for reading, and
// accepted by a person.
#include <gtest/gtest.h>

#include "core/vault/local_state.h"
#include "tests/support/result_macros.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

class TrustTest : public testing::Test {
 protected:
  TrustTest() { EXPECT_OK(a_.Create()); }

  static void Append(Machine& machine, int heads) {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(machine));
    ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, open.chain->Load());
    for (int i = 0; i < heads; ++i) {
      ASSERT_OK_AND_ASSIGN(newest, open.chain->Append(NextHead(newest.head)));
    }
  }
  static void AddVolume(Machine& machine, const std::string& name) {
    ASSERT_OK_AND_ASSIGN(const auto vault, machine.Unlock());
    ASSERT_OK(vault->CreateVolume(Machine::Spec(name)));
  }
  Result<std::unique_ptr<Vault>> Look() {
    return a_.Unlock(Machine::kPassword, {.doubts = Vault::Doubts::kTolerate});
  }
  /// Everything doubtful accepted.
  Status AcceptAll() {
    ASSIGN_OR_RETURN(const auto vault, Look());
    ASSIGN_OR_RETURN(const Vault::TrustSurvey survey, vault->SurveyTrust());
    RETURN_IF_ERROR(vault->AcceptTrust(survey));
    return {};
  }
  std::string TrustPath() {
    const auto vault = a_.Unlock(Machine::kPassword, {.doubts = Vault::Doubts::kTolerate});
    return VaultDirectory(a_.env.state_directory, (*vault)->id()) + "/" + kTrustFile;
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
};

TEST_F(TrustTest, AnOlderStoreIsReadButNothingIsWrittenToIt) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  Append(a_, 3);
  provider_.Restore(old);
  ASSERT_OK_AND_ASSIGN(const auto vault, Look());
  ASSERT_FALSE(vault->doubts().empty());
  EXPECT_TRUE(NeedsPerson(vault->PrepareToWrite(), "ROLLBACK"));
  EXPECT_TRUE(NeedsPerson(vault->CreateVolume(Machine::Spec("films")), "ROLLBACK"));
  const auto photos = vault->FindVolume("photos");
  ASSERT_OK(photos);
  ASSERT_OK_AND_ASSIGN(const std::string directory, vault->VolumeDirectory(photos->id));
  HeadChain chain(*vault, photos->id, directory);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, chain.Look());
  EXPECT_EQ(newest.point.seq, 1u);
  EXPECT_FALSE(newest.ours);
  ASSERT_TRUE(newest.doubt.has_value());
  EXPECT_EQ(provider_.Snapshot().size(), old.size());
}

TEST_F(TrustTest, LookingDoesNotMakeTheMachineForget) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  provider_.Restore(old);
  ASSERT_OK_AND_ASSIGN(auto vault, Look());
  EXPECT_OK(vault->SurveyTrust());
  vault.reset();
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK"));
}

TEST_F(TrustTest, WhatIsAcceptedIsGoneOnFrom) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  Append(a_, 3);
  provider_.Restore(old);
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK"));
  ASSERT_OK(AcceptAll());
  Append(a_, 2);
  AddVolume(a_, "films");
  ASSERT_OK_AND_ASSIGN(const auto vault, Look());
  EXPECT_TRUE(vault->doubts().empty());
  ASSERT_OK_AND_ASSIGN(const Vault::TrustSurvey survey, vault->SurveyTrust());
  EXPECT_FALSE(survey.doubtful());
}

TEST_F(TrustTest, AnotherHistoryIsAcceptedToo) {
  const auto old = provider_.Snapshot();
  Append(a_, 2);
  provider_.Restore(old);
  Append(b_, 5);
  ASSERT_OK_AND_ASSIGN(auto vault, Look());
  ASSERT_OK_AND_ASSIGN(const Vault::TrustSurvey survey, vault->SurveyTrust());
  ASSERT_EQ(survey.volumes.size(), 1u);
  EXPECT_EQ(survey.volumes[0].heads.offered.seq, 6u);
  EXPECT_EQ(survey.volumes[0].heads.host_name, "b");
  EXPECT_TRUE(survey.volumes[0].heads.doubt.has_value());
  ASSERT_OK(vault->AcceptTrust(survey));
  vault.reset();
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  EXPECT_FALSE(newest.ours);  // what this machine wrote is another history
}

TEST_F(TrustTest, ALostFileIsMadeAnewByAcceptAloneAndKeptWhereItWasDamaged) {
  Append(a_, 2);
  const std::string path = TrustPath();
  ASSERT_OK(ReplaceFile(a_.fs, path, AsBytes(std::string(64, 'x'))));
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK", {"damaged"}));
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, Look());
    ASSERT_OK_AND_ASSIGN(const Vault::TrustSurvey survey, vault->SurveyTrust());
    EXPECT_TRUE(survey.lost.has_value());
    EXPECT_EQ(survey.catalog.remembered.seq, 0u);
  }
  EXPECT_TRUE(NeedsPerson(a_.Unlock(), "ROLLBACK", {"damaged"}));
  ASSERT_OK_AND_ASSIGN(const auto vault, Look());
  ASSERT_OK_AND_ASSIGN(const Vault::TrustSurvey survey, vault->SurveyTrust());
  ASSERT_OK_AND_ASSIGN(const std::string kept, vault->AcceptTrust(survey));
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, ReadWholeFile(a_.fs, kept, 1 << 20));
  EXPECT_EQ(AsText(bytes), std::string(64, 'x'));
}

// Each call to the disk that accept makes fails in turn: then what was remembered still is.
TEST_F(TrustTest, AnAcceptThatFailsHasChangedNothing) {
  const auto old = provider_.Snapshot();
  AddVolume(a_, "music");
  Append(a_, 3);
  provider_.Restore(old);
  int failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 100u);
    ASSERT_OK_AND_ASSIGN(auto vault, Look());
    ASSERT_OK_AND_ASSIGN(const Vault::TrustSurvey survey, vault->SurveyTrust());
    a_.fs.AddFault({.nth = nth});
    const auto accepted = vault->AcceptTrust(survey);
    a_.fs.ClearFaults();
    vault.reset();
    const auto unlocked = a_.Unlock();
    EXPECT_EQ(unlocked.has_value(), accepted.has_value()) << "call " << nth;
    if (accepted.has_value()) break;
    ++failures;
  }
  EXPECT_GT(failures, 3);
}

}  // namespace
}  // namespace coffer::vault
