// Vault::Create and CreateVolume: what they make, in which order, and what they refuse.
#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

TEST(Create, MakesAVaultThatAnotherMachineOpens) {
  store::MemoryStore provider;
  Machine a(provider, 1, "a");
  VaultId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a.Create());
    id = vault->id();
    EXPECT_EQ(vault->catalog().seq, 1u);
    EXPECT_EQ(vault->trust().catalog().seq, 1u);
    EXPECT_EQ(vault->trust().key_header().seq, 1u);
  }
  Machine b(provider, 100, "b");
  ASSERT_OK_AND_ASSIGN(const auto vault, b.Unlock());
  EXPECT_EQ(vault->id(), id);
  ASSERT_OK_AND_ASSIGN(const auto volume, vault->FindVolume("photos"));
  ASSERT_OK_AND_ASSIGN(const std::string directory, vault->VolumeDirectory(volume.id));
  HeadChain chain(*vault, volume.id, directory);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, chain.Load());
  EXPECT_EQ(newest.head.map.size, std::uint64_t{20} << 30);
  EXPECT_TRUE(newest.head.released);
  EXPECT_FALSE(newest.ours);
}

}  // namespace
}  // namespace coffer::vault
