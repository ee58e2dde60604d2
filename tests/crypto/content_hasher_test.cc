#include "core/crypto/content_hasher.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/crypto/hex.h"

namespace coffer::crypto {
namespace {

TEST(ContentHasher, TellsTypesLengthsContentsAndKeysApart) {
  const ContentHasher hasher(SecretBytes::CopyOf(Counting(32)));
  const ContentId id = hasher.Id(1, Repeated(100, 0));
  EXPECT_EQ(hasher.Id(1, Repeated(100, 0)), id);
  EXPECT_NE(hasher.Id(2, Repeated(100, 0)), id);
  EXPECT_NE(hasher.Id(1, Repeated(101, 0)), id);
  EXPECT_NE(hasher.Id(1, Repeated(100, 1)), id);
  EXPECT_NE(ContentHasher(SecretBytes::CopyOf(Counting(32, 1))).Id(1, Repeated(100, 0)), id);
}

TEST(ContentHasher, ServesManyThreadsAtOnce) {
  const ContentHasher hasher(SecretBytes::CopyOf(Counting(32)));
  const Bytes plain = Repeated(5000, 7);
  const ContentId expected = hasher.Id(1, plain);
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&hasher, &plain, &expected, &wrong, t] {
      for (int i = 0; i < 500; ++i) wrong[t] += hasher.Id(1, plain) == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace coffer::crypto
