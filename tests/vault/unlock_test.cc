// Vault::Unlock: what it checks before it believes a store.
#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

TEST(Unlock, RefusesAWrongPassword) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK(a.Create());
  EXPECT_FAILS(a.Unlock("wrong"), kUnauthenticated);
}

}  // namespace
}  // namespace coffer::vault
