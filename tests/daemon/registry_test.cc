#include "core/daemon/registry.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::daemon {
namespace {

template <class IdType>
IdType IdOf(unsigned char fill) {
  IdType id;
  id.bytes.fill(std::byte{fill});
  return id;
}

KnownVault Photos() {
  KnownVault vault;
  vault.id = IdOf<VaultId>(0xab);
  vault.alias = "photos";
  vault.store = "/mnt/My Backups/100%\nodd";
  vault.single_writer = true;
  vault.volumes = {{IdOf<VolumeId>(1), "pics", 20ULL << 30, 4096, true},
                   {IdOf<VolumeId>(2), "mail", 0, 0, false}};
  return vault;
}

class RegistryTest : public testing::Test {
 protected:
  std::unique_ptr<Registry> Open() {
    auto registry = Registry::Open(*fs_, directory_.path());
    EXPECT_OK(registry);
    return registry.has_value() ? std::move(*registry) : nullptr;
  }
  static Status Put(Registry& registry, const KnownVault& vault) {
    const auto put = registry.Change(vault.id, [&vault](KnownVault& known) { known = vault; });
    if (!put.has_value()) return Fail(put.error());
    return {};
  }
  std::string PathOf(const VaultId& id) const {
    return directory_ / ("vaults/" + id.ToString() + "/known");
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
};

TEST(KnownVault, SurvivesTheRoundTrip) {
  ASSERT_OK_AND_ASSIGN(const KnownVault back,
                       DecodeKnownVault(Photos().id, EncodeKnownVault(Photos())));
  EXPECT_EQ(back, Photos());
}

TEST(KnownVault, WhatWasBegunSurvivesTheRoundTripAndRunsNoMore) {
  KnownVault vault = Photos();
  vault.deeds = {{Deed::Kind::kRename, IdOf<VolumeId>(1), "a b%", true},
                 {Deed::Kind::kPassword, {}, "", true}};
  ASSERT_OK_AND_ASSIGN(const KnownVault back, DecodeKnownVault(vault.id, EncodeKnownVault(vault)));
  EXPECT_EQ(back, vault);
  EXPECT_FALSE(back.deeds[0].running);
  ASSERT_OK_AND_ASSIGN(const KnownVault newer,
                       DecodeKnownVault(vault.id, EncodeKnownVault(Photos()) + "begun fork " +
                                                      IdOf<VolumeId>(1).ToString() + " x\n"));
  EXPECT_TRUE(newer.deeds.empty());
}

TEST(KnownVault, LinesOfANewerProgramAreLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const KnownVault back,
                       DecodeKnownVault(Photos().id, EncodeKnownVault(Photos()) + "colour blue\n"));
  EXPECT_EQ(back, Photos());
}

TEST(KnownVault, DamageIsAnErrorAndNeverACrash) {
  const std::string text = EncodeKnownVault(Photos());
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    (void)DecodeKnownVault(Photos().id, text.substr(0, cut));
    std::string flipped = text;
    flipped[cut] = static_cast<char>(flipped[cut] ^ 0x20);
    (void)DecodeKnownVault(Photos().id, flipped);
  }
  EXPECT_FAILS(DecodeKnownVault(Photos().id, ""), kCorruption);
  EXPECT_FAILS(DecodeKnownVault(Photos().id, "coffer-known-vault x\n"), kCorruption);
  EXPECT_FAILS(DecodeKnownVault(Photos().id, "coffer-known-vault 1\n"), kCorruption);
  EXPECT_FAILS(DecodeKnownVault(Photos().id, "coffer-known-vault 2\nalias a\nstore b\n"),
               kUnsupported);
  EXPECT_FAILS(DecodeKnownVault(Photos().id, text + "volume zz 1 1 closed x\n"), kCorruption);
  EXPECT_FAILS(DecodeKnownVault(Photos().id, text + "alias %zz\n"), kCorruption);
}

TEST_F(RegistryTest, WhatWasPutIsThereAfterARestart) {
  ASSERT_OK(Put(*Open(), Photos()));
  const auto registry = Open();
  EXPECT_EQ(registry->vaults(), std::vector<KnownVault>{Photos()});
  EXPECT_EQ(registry->Find(Photos().id), Photos());
  EXPECT_EQ(registry->FindByName("photos"), Photos());
  EXPECT_EQ(registry->FindByName(Photos().id.ToString()), Photos());
  EXPECT_FALSE(registry->FindByName("other").has_value());
}

TEST_F(RegistryTest, AnUpdateOfOneVolumeLeavesTheOthers) {
  const auto registry = Open();
  ASSERT_OK(Put(*registry, Photos()));
  KnownVolume closed = Photos().volumes[0];
  closed.open = false;
  closed.waiting_bytes = 17;
  ASSERT_OK(registry->Change(Photos().id, [](KnownVault& vault) {
    vault.Find("pics")->open = false;
    vault.Find("pics")->waiting_bytes = 17;
  }));
  const auto vault = Open()->Find(Photos().id);
  ASSERT_TRUE(vault.has_value());
  EXPECT_EQ(vault->volumes[0], closed);
  EXPECT_EQ(vault->volumes[1], Photos().volumes[1]);
}

TEST_F(RegistryTest, ADamagedRecordHidesNoOtherVault) {
  KnownVault other = Photos();
  other.id = IdOf<VaultId>(0x11);
  other.alias = "other";
  const auto registry = Open();
  ASSERT_OK(Put(*registry, Photos()));
  ASSERT_OK(Put(*registry, other));
  WriteTestFile(PathOf(Photos().id), "garbage");
  EXPECT_EQ(Open()->vaults(), std::vector<KnownVault>{other});
}

TEST_F(RegistryTest, AnAliasInUseGetsANumber) {
  const auto registry = Open();
  EXPECT_EQ(registry->FreeAlias("photos"), "photos");
  ASSERT_OK(Put(*registry, Photos()));
  EXPECT_EQ(registry->FreeAlias("photos"), "photos-2");
}

}  // namespace
}  // namespace coffer::daemon
