// HeadChain: one history of heads, whatever the store, the disk or another machine does.
#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

TEST(HeadChain, AppendsOneHeadAfterTheOther) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK_AND_ASSIGN(auto vault, a.Create());
  ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(vault)));
  ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, open.chain->Load());
  EXPECT_TRUE(newest.ours);
  for (std::uint64_t seq = 2; seq <= 5; ++seq) {
    const format::ChainPoint parent = newest.point;
    ASSERT_OK_AND_ASSIGN(newest, open.chain->Append(NextHead(newest.head)));
    EXPECT_EQ(newest.point.seq, seq);
    EXPECT_EQ(newest.head.parent, parent.hash);
    EXPECT_TRUE(newest.ours);
  }
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest read, open.chain->ReadAt(5));
  EXPECT_EQ(read.head, newest.head);
  EXPECT_EQ(read.point, newest.point);
}

}  // namespace
}  // namespace coffer::vault
