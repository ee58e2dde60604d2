#include "core/base/random.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/ids.h"
#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

TEST(SystemRandom, NeverRepeats) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(seen.insert(random.NewId<VaultId>().ToString()).second);
}

TEST(SystemRandom, FillsAllOfALargeBuffer) {
  Bytes bytes(1 << 20, std::byte{0});  // more than getrandom gives at once after a signal
  SystemRandom().Fill(bytes);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 64) {
    ASSERT_FALSE(IsZero(ByteView(bytes).subspan(offset, 64))) << offset;
  }
}

TEST(SeededRandom, ReplaysFromItsSeed) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  const Bytes first = a.NewBytes(100);
  EXPECT_EQ(first, b.NewBytes(100));
  EXPECT_NE(first, c.NewBytes(100));
  EXPECT_NE(first, a.NewBytes(100));
}

TEST(SeededRandom, BelowReachesEveryValue) {
  SeededRandom random(TestSeed());
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Below(7));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(RepeatingRandom, GivesTheSameBytesAtEveryCall) {
  RepeatingRandom random;
  EXPECT_EQ(random.NewId<VaultId>(), random.NewId<VaultId>());
}

}  // namespace
}  // namespace coffer
