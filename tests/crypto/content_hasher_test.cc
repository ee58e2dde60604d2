#include "core/crypto/content_hasher.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/crypto/digests.h"
#include "core/crypto/hash.h"
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

/// Side by side or in turn: the same digests, for every count of blocks and every odd end.
TEST(DigestBlocks, AreTheSha256OfEachBlock) {
  for (std::size_t blocks = 0; blocks <= 65; ++blocks) {
    for (const std::size_t rest : {std::size_t{0}, std::size_t{1}, std::size_t{4095}}) {
      Bytes message(blocks * kDigestBlockBytes + rest);
      for (std::size_t i = 0; i < message.size(); ++i)
        message[i] = static_cast<std::byte>(i * 31 + i / 251 + blocks);
      std::vector<Digest> digests(blocks + (rest == 0 ? 0 : 1));
      DigestBlocks(message, digests);
      for (std::size_t i = 0; i < digests.size(); ++i) {
        const ByteView block = ByteView(message).subspan(i * kDigestBlockBytes);
        ASSERT_EQ(ToHex(digests[i]),
                  Sha256(block.first(std::min(block.size(), kDigestBlockBytes))).ToString());
      }
    }
  }
}

TEST(DigestEach, AgreesWithDigestInTurnForMessagesOfAllLengths) {
  std::vector<Bytes> messages;
  for (std::size_t i = 0; i < 200; ++i) messages.push_back(Counting(i * i % 3001, 3));
  for (const std::size_t length : {65533UL, 65534UL, 65535UL, 65536UL, 262160UL, 0UL, 1UL, 64UL})
    messages.push_back(Counting(length, 5));
  for (std::size_t i = 0; i < 40; ++i) messages.push_back(Counting(1 + 1600 * i, 7));
  for (std::size_t first = 0; first < messages.size(); first += 13) {
    for (const std::size_t count : {0UL, 1UL, 5UL, 6UL, 15UL, 16UL, 17UL, 38UL, 100UL}) {
      std::vector<ByteView> views;
      for (std::size_t i = first; i < std::min(first + count, messages.size()); ++i)
        views.push_back(messages[i]);
      std::vector<Digest> digests(views.size());
      DigestEach(views, digests);
      std::vector<Digest> in_turn(views.size());
      DigestInTurn(views, in_turn);
      ASSERT_EQ(digests, in_turn) << first << " " << count;
    }
  }
}

}  // namespace
}  // namespace coffer::crypto
