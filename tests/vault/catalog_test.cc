// The catalog: volumes are added once, whoever else adds some at the same time and whatever is lost
// on the way.
#include <gtest/gtest.h>

#include "core/format/chain_name.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

using store::StoreOperation;

std::vector<std::string> NamesIn(Machine& machine) {
  std::vector<std::string> names;
  const auto vault = machine.Unlock();
  if (!vault.has_value()) return {vault.error().message};
  for (const format::CatalogVolume& volume : (*vault)->catalog().volumes) {
    names.push_back(volume.name);
  }
  return names;
}

class Catalog : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(a_.Create()); }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
};

/// As a vault that is to be written takes it.
CatalogChain::Sinks Refuse() {
  return {.doubt = [](const Error& doubt) -> Status { return Fail(doubt); },
          .note = [](const std::string&) {}};
}

TEST_F(Catalog, GainsAVolumeThatOthersSee) {
  VolumeId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
    ASSERT_OK_AND_ASSIGN(id, vault->CreateVolume(Machine::Spec("music")));
    EXPECT_EQ(vault->catalog().seq, 2u);
  }
  ASSERT_OK_AND_ASSIGN(auto vault, b_.Unlock());
  ASSERT_OK_AND_ASSIGN(const auto volume, vault->FindVolume("music"));
  EXPECT_EQ(volume.id, id);
  ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(vault), "music"));
  EXPECT_OK(open.chain->Load());
}

TEST_F(Catalog, RefusesAVolumeOfTheSameName) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  const auto before = provider_.Snapshot();
  EXPECT_FAILS(vault->CreateVolume(Machine::Spec("photos")), kAlreadyExists);
  EXPECT_EQ(provider_.Snapshot(), before);
  EXPECT_FAILS(vault->CreateVolume(Machine::Spec("a/b")), kInvalidArgument);
  EXPECT_FAILS(vault->FindVolume("music"), kNotFound);
}

TEST_F(Catalog, AppliesItsChangeAgainWhenOvertaken) {
  ASSERT_OK_AND_ASSIGN(const auto a, a_.Unlock());
  ASSERT_OK_AND_ASSIGN(const auto b, b_.Unlock());
  ASSERT_OK(a->CreateVolume(Machine::Spec("music")));
  // FindVolume refreshes first, so drive the collision at the chain itself.
  CatalogChain chain(b_.env, b->store(), b->keys(), b->host(), b->trust(), Writers::kMany, "/",
                     Refuse());
  ASSERT_OK(chain.Refresh());
  ASSERT_OK(a->CreateVolume(Machine::Spec("films")));
  int calls = 0;
  ASSERT_OK(chain.Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    ++calls;
    catalog.volumes.push_back({.id = b_.random.NewId<VolumeId>(), .name = "b"});
    return CatalogChain::Edit::kChanged;
  }));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(chain.current().volumes.size(), 4u);
  EXPECT_EQ(chain.current().seq, 4u);
  Machine c(provider_, 5, "c");
  EXPECT_EQ(NamesIn(c), (std::vector<std::string>{"photos", "music", "films", "b"}));
}

TEST_F(Catalog, AddsAVolumeOnceWhenTheReplyIsLost) {
  ASSERT_OK_AND_ASSIGN(const auto a, a_.Unlock());
  a_.line.AddFault({.kind = StoreFaultKind::kFailAfter,
                    .operation = StoreOperation::kCreate,
                    .name_contains = "catalog/"});
  ASSERT_OK(a->CreateVolume(Machine::Spec("music")));
  EXPECT_EQ(NamesIn(b_), (std::vector<std::string>{"photos", "music"}));
}

TEST_F(Catalog, GivesUpWhenTheStoreDoesNotAnswerAndFindsOutLater) {
  ASSERT_OK_AND_ASSIGN(const auto a, a_.Unlock());
  a_.line.AddFault({.kind = StoreFaultKind::kLateApply,
                    .operation = StoreOperation::kCreate,
                    .name_contains = "catalog/",
                    .late_by = 1000});
  EXPECT_FAILS(a->CreateVolume(Machine::Spec("music")), kUnavailable);
  // The request that was given up lands just before the next change goes out.
  a_.line.LandLateRequests();
  EXPECT_FAILS(a->CreateVolume(Machine::Spec("music")), kAlreadyExists);
  ASSERT_OK(a->CreateVolume(Machine::Spec("films")));
  EXPECT_EQ(NamesIn(b_), (std::vector<std::string>{"photos", "music", "films"}));
}

TEST_F(Catalog, DoesNotBelieveACreateUnderANameThatGcHasFreed) {
  ASSERT_OK_AND_ASSIGN(const auto a, a_.Unlock());
  CatalogChain sleeper(b_.env, a->store(), a->keys(), a->host(), a->trust(), Writers::kMany, "/",
                       Refuse());
  ASSERT_OK(sleeper.Refresh());
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(a->CreateVolume(Machine::Spec("v" + std::to_string(i))));
  }
  Plant(provider_, format::ChainName(format::kCatalogPrefix, 1), nullptr);
  Plant(provider_, format::ChainName(format::kCatalogPrefix, 2), nullptr);
  Plant(provider_, format::ChainName(format::kCatalogPrefix, 3), nullptr);
  ASSERT_OK(sleeper.Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    catalog.volumes.push_back({.id = b_.random.NewId<VolumeId>(), .name = "late"});
    return CatalogChain::Edit::kChanged;
  }));
  EXPECT_EQ(sleeper.current().seq, 6u);
  EXPECT_EQ(NamesIn(b_), (std::vector<std::string>{"photos", "v0", "v1", "v2", "v3", "late"}));
}

TEST_F(Catalog, IsWholeWhenTheMachineDiesAtAnyRequestOfCreateVolume) {
  for (const HaltMoment moment : {HaltMoment::kBefore, HaltMoment::kAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, nth);
      ASSERT_OK(a.Create());
      bool halted = false;
      {
        ASSERT_OK_AND_ASSIGN(const auto vault, a.Unlock());
        a.line.HaltAt(nth, moment);
        const bool made = vault->CreateVolume(Machine::Spec("music")).has_value();
        halted = a.line.halted();
        EXPECT_EQ(made, !halted);
      }
      if (!halted) break;
      a.fs.PowerCut(CutMode::kRandomSubset);
      a.line.Heal();
      ASSERT_OK_AND_ASSIGN(auto vault, a.Unlock());
      const auto again = vault->CreateVolume(Machine::Spec("music"));
      if (!again.has_value()) {
        EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
      }
      ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(vault), "music"));
      EXPECT_OK(open.chain->Load());
    }
  }
}

TEST_F(Catalog, IsWholeWhenPowerGoesAtAnyChangeOfTheDisk) {
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, nth);
      ASSERT_OK(a.Create());
      {
        ASSERT_OK_AND_ASSIGN(const auto vault, a.Unlock());
        a.fs.HaltAt(nth);
        (void)vault->CreateVolume(Machine::Spec("music"));
      }
      if (!a.fs.halted()) break;
      a.fs.PowerCut(mode);
      ASSERT_OK_AND_ASSIGN(const auto vault, a.Unlock());
      const auto again = vault->CreateVolume(Machine::Spec("music"));
      if (!again.has_value()) {
        EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
      }
    }
  }
}

TEST_F(Catalog, SurvivesEveryFailureOfTheStoreInCreateVolume) {
  for (const StoreFaultKind kind : {StoreFaultKind::kFailBefore, StoreFaultKind::kFailAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, nth);
      ASSERT_OK(a.Create());
      ASSERT_OK_AND_ASSIGN(const auto vault, a.Unlock());
      const std::uint64_t before = a.line.request_count();
      a.line.AddFault({.kind = kind, .nth = nth});
      const bool made = vault->CreateVolume(Machine::Spec("music")).has_value();
      if (made && a.line.request_count() - before < nth) break;
      if (!made) {
        const auto again = vault->CreateVolume(Machine::Spec("music"));
        if (!again.has_value()) {
          EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
        }
      }
      EXPECT_OK(vault->FindVolume("music"));
    }
  }
}

TEST_F(Catalog, AddsTheVolumeToNoFullCatalog) {
  ASSERT_OK_AND_ASSIGN(const auto a, a_.Unlock());
  CatalogChain chain(a_.env, a->store(), a->keys(), a->host(), a->trust(), Writers::kMany, "/",
                     Refuse());
  ASSERT_OK(chain.Refresh());
  ASSERT_OK(chain.Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    while (catalog.volumes.size() < format::kVolumesMax) {
      catalog.volumes.push_back({.id = a_.random.NewId<VolumeId>(),
                                 .name = "v" + std::to_string(catalog.volumes.size())});
    }
    return CatalogChain::Edit::kChanged;
  }));
  EXPECT_FAILS(a->CreateVolume(Machine::Spec("music")), kNoSpace);
}

}  // namespace
}  // namespace coffer::vault
