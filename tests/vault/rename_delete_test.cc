// Renaming and deleting volumes, with others at work and with crashes. The oracle for a delete that
// was broken off: the volume is as it was, or opens nowhere and a second delete goes through.
#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

using store::StoreOperation;

Result<VolumeId> IdOf(Vault& vault, const std::string& name) {
  ASSIGN_OR_RETURN(const format::CatalogVolume volume, vault.FindVolume(name));
  return volume.id;
}

std::vector<std::string> LiveNames(Vault& vault) {
  std::vector<std::string> names;
  for (const format::CatalogVolume& volume : vault.catalog().volumes) {
    if (volume.state == format::CatalogVolume::State::kLive) names.push_back(volume.name);
  }
  return names;
}

class RenameDelete : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Create());
    ASSERT_OK_AND_ASSIGN(photos_, IdOf(*vault, "photos"));
  }
  /// Opens the volume as a writer would: a head that is not released.
  Result<HeadChain::Newest> Occupy(Machine& machine) {
    ASSIGN_OR_RETURN(const OpenChain open, OpenPhotos(machine));
    ASSIGN_OR_RETURN(const HeadChain::Newest newest, open.chain->Load());
    return open.chain->Append(NextHead(newest.head));
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
  VolumeId photos_;
};

TEST_F(RenameDelete, ARenamedVolumeIsFoundUnderItsNewNameOnly) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  ASSERT_OK(vault->RenameVolume(photos_, "pics"));
  ASSERT_OK_AND_ASSIGN(const auto elsewhere, b_.Unlock());
  ASSERT_OK_AND_ASSIGN(const VolumeId id, IdOf(*elsewhere, "pics"));
  EXPECT_EQ(id, photos_);
  EXPECT_FAILS(IdOf(*elsewhere, "photos"), kNotFound);
  EXPECT_OK(elsewhere->CreateVolume(Machine::Spec("photos")));
}

// No reserve is kept in a store: others share it, and would take it at once.
TEST_F(RenameDelete, AFullStoreIsToldHowMuchIsWantedAndNothingHasChanged) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  const auto names = [this] {
    std::vector<std::string> all;
    for (const auto& [name, bytes] : provider_.Snapshot()) all.push_back(name);
    return all;
  };
  const auto before = names();
  for (const std::uint64_t room : {0, 200}) {
    a_.line.SetQuota(room);
    Vault::Deletion outcome = Vault::Deletion::kDone;
    const Status renamed = vault->RenameVolume(photos_, "pics");
    const Status deleted = vault->DeleteVolume(photos_, &outcome);
    for (const Status& status : {renamed, deleted}) {
      ASSERT_FAILS(status, kNoSpace);
      EXPECT_NE(status.error().message.find("KiB are wanted there"), std::string::npos)
          << TextOf(status.error());
      EXPECT_NE(status.error().hint.find("nothing was changed"), std::string::npos);
    }
    EXPECT_EQ(outcome, Vault::Deletion::kNotDone);
    EXPECT_FALSE(vault->catalog_in_doubt());
    EXPECT_EQ(names(), before);
    ASSERT_OK(vault->RefreshCatalog());
    EXPECT_EQ(LiveNames(*vault), std::vector<std::string>{"photos"});
  }
  a_.line.Heal();
  ASSERT_OK(vault->RenameVolume(photos_, "pics"));
  ASSERT_OK(vault->DeleteVolume(photos_));
}

TEST_F(RenameDelete, ARenameOntoANameInUseChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  ASSERT_OK(vault->CreateVolume(Machine::Spec("music")));
  const auto before = provider_.Snapshot();
  EXPECT_FAILS(vault->RenameVolume(photos_, "music"), kAlreadyExists);
  EXPECT_FAILS(vault->RenameVolume(photos_, "photos"), kAlreadyExists);
  for (const char* bad : {"", "a/b", "..", "-x", "a\nb"}) {
    EXPECT_FAILS(vault->RenameVolume(photos_, bad), kInvalidArgument);
  }
  EXPECT_EQ(provider_.Snapshot(), before);
}

TEST_F(RenameDelete, ARenameOntoANameThatAnotherMachineHasJustTakenIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto on_a, a_.Unlock());
  ASSERT_OK_AND_ASSIGN(const auto on_b, b_.Unlock());
  a_.line.FreezeLists();
  ASSERT_OK(on_b->CreateVolume(Machine::Spec("pics")));
  const auto renamed = on_a->RenameVolume(photos_, "pics");
  EXPECT_FALSE(renamed.has_value());
  a_.line.Heal();
  EXPECT_FAILS(on_a->RenameVolume(photos_, "pics"), kAlreadyExists);
}

TEST_F(RenameDelete, ARenameWhoseReplyWasLostIsDone) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  a_.line.AddFault({.kind = StoreFaultKind::kFailAfter, .operation = StoreOperation::kCreate});
  EXPECT_OK(vault->RenameVolume(photos_, "pics"));
  EXPECT_EQ(LiveNames(*vault), std::vector<std::string>{"pics"});
}

TEST_F(RenameDelete, ADeletedVolumeIsGoneEverywhereAndItsNameIsFree) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  ASSERT_OK_AND_ASSIGN(const std::string directory, vault->VolumeDirectory(photos_));
  ASSERT_OK(a_.fs.CreateDirectory(directory + "/journal"));
  ASSERT_OK(a_.fs.Open(directory + "/journal/1.seg", FileSystem::OpenMode::kCreate));
  ASSERT_OK(vault->DeleteVolume(photos_));
  EXPECT_FAILS(a_.fs.Stat(directory), kNotFound);
  EXPECT_FAILS(vault->DeleteVolume(photos_), kNotFound);
  EXPECT_FAILS(vault->RenameVolume(photos_, "pics"), kNotFound);
  ASSERT_OK_AND_ASSIGN(const auto elsewhere, b_.Unlock());
  EXPECT_FAILS(IdOf(*elsewhere, "photos"), kNotFound);
  ASSERT_OK_AND_ASSIGN(const VolumeId again, elsewhere->CreateVolume(Machine::Photos()));
  EXPECT_NE(again, photos_);
  EXPECT_OK(CheckChain(provider_, vault->keys(), photos_));
}

TEST_F(RenameDelete, AVolumeOpenHereIsNotDeleted) {
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  ASSERT_OK_AND_ASSIGN(const std::string directory, vault->VolumeDirectory(photos_));
  ASSERT_OK_AND_ASSIGN(const auto held, a_.fs.Lock(directory + "/lock"));
  const auto before = provider_.Snapshot();
  EXPECT_FAILS(vault->DeleteVolume(photos_), kConflict);
  EXPECT_EQ(provider_.Snapshot(), before);
}

TEST_F(RenameDelete, AVolumeOpenElsewhereIsNotDeleted) {
  ASSERT_OK(Occupy(b_));
  const auto before = provider_.Snapshot();
  ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
  const auto deleted = vault->DeleteVolume(photos_);
  ASSERT_FAILS(deleted, kConflict);
  EXPECT_NE(deleted.error().message.find("open on b"), std::string::npos);
  for (const auto& [name, bytes] : before) EXPECT_TRUE(provider_.Snapshot().contains(name));
  EXPECT_EQ(LiveNames(*vault), std::vector<std::string>{"photos"});
  EXPECT_OK(Occupy(b_));
}

TEST_F(RenameDelete, AWriterThatDoesNotKnowOfTheDeleteIsFenced) {
  ASSERT_OK_AND_ASSIGN(const OpenChain open, OpenPhotos(b_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a_.Unlock());
    ASSERT_OK(vault->DeleteVolume(photos_));
  }
  EXPECT_TRUE(NeedsPerson(open.chain->Append(NextHead(newest.head)), "FENCED", {"deleted", "'a'"}));
}

void ExpectWholeOrGone(Machine& machine, const VolumeId& volume) {
  ASSERT_OK_AND_ASSIGN(auto vault, machine.Unlock());
  if (!IdOf(*vault, "photos").has_value()) return;
  ASSERT_OK_AND_ASSIGN(const std::string directory, vault->VolumeDirectory(volume));
  HeadChain chain(*vault, volume, directory);
  ASSERT_OK(chain.Load());
  EXPECT_OK(vault->DeleteVolume(volume));
  EXPECT_FAILS(IdOf(*vault, "photos"), kNotFound);
}

TEST_F(RenameDelete, ADeleteBrokenOffAnywhereGoesThroughTheSecondTime) {
  const std::uint64_t seed = TestSeed();
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    for (int kind = 0; kind < 3; ++kind) {
      for (std::uint64_t nth = 1;; ++nth) {
        SCOPED_TRACE(testing::Message() << kind << " " << nth);
        store::MemoryStore provider;
        Machine a(provider, seed + nth);
        VolumeId volume;
        {
          ASSERT_OK_AND_ASSIGN(const auto vault, a.Create());
          ASSERT_OK_AND_ASSIGN(volume, IdOf(*vault, "photos"));
        }
        if (kind == 0) {
          a.fs.HaltAt(nth);
        } else {
          a.line.HaltAt(nth, kind == 1 ? HaltMoment::kBefore : HaltMoment::kAfter);
        }
        bool deleted = false;
        if (const auto vault = a.Unlock(); vault.has_value()) {
          deleted = (*vault)->DeleteVolume(volume).has_value();
        }
        const bool halted = a.fs.halted() || a.line.halted();
        if (!halted) {
          EXPECT_TRUE(deleted);
          break;
        }
        a.fs.PowerCut(mode);
        a.line.Heal();
        ExpectWholeOrGone(a, volume);
      }
    }
  }
}

}  // namespace
}  // namespace coffer::vault
