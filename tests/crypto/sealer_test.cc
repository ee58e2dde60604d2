#include "core/crypto/sealer.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/crypto/hex.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::crypto {
namespace {

/// Everything that one sealed message depends on.
struct Message {
  Bytes key = Counting(kKeyBytes, 1);
  Bytes salt = Counting(kSaltBytes, 100);
  Bytes context = ToBytes(AsBytes("vault"));
  std::uint64_t number = 7;
  Bytes aad = ToBytes(AsBytes("where it belongs"));
  Bytes sealed = {};

  Sealer MakeSealer() const { return Sealer(SecretBytes::CopyOf(key), salt, context); }
};

Bytes Seal(const Message& message, ByteView plain) {
  Bytes sealed(plain.size() + kTagBytes);
  message.MakeSealer().Seal(message.number, message.aad, plain, sealed);
  return sealed;
}

/// Expects that Open refuses `message` and leaves nothing of the plaintext.
void ExpectRefused(const Message& message, const char* changed, std::size_t bit) {
  Bytes out = Repeated(message.sealed.size() - kTagBytes, 0xee);
  const Status status = message.MakeSealer().Open(message.number, message.aad, message.sealed, out);
  ASSERT_FAILS(status, kCorruption) << changed << " bit " << bit;
  ASSERT_TRUE(IsZero(out)) << changed << " bit " << bit;
}

void ExpectEveryFlipRefused(const Message& genuine, Bytes Message::*part, const char* name) {
  for (std::size_t bit = 0; bit < (genuine.*part).size() * 8; ++bit) {
    Message changed = genuine;
    (changed.*part)[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ExpectRefused(changed, name, bit);
  }
}

TEST(Sealer, RefusesEveryFlippedBitOfEveryPart) {
  Message genuine;
  const Bytes plain = ToBytes(AsBytes("forty-one bytes, more than two AES blocks"));
  genuine.sealed = Seal(genuine, plain);
  Bytes opened(plain.size());
  ASSERT_OK(genuine.MakeSealer().Open(genuine.number, genuine.aad, genuine.sealed, opened));
  ASSERT_EQ(opened, plain);

  ExpectEveryFlipRefused(genuine, &Message::sealed, "sealed");
  ExpectEveryFlipRefused(genuine, &Message::aad, "aad");
  ExpectEveryFlipRefused(genuine, &Message::salt, "salt");
  ExpectEveryFlipRefused(genuine, &Message::context, "context");
  ExpectEveryFlipRefused(genuine, &Message::key, "key");
  for (std::size_t bit = 0; bit < 64; ++bit) {
    Message changed = genuine;
    changed.number ^= std::uint64_t{1} << bit;
    ExpectRefused(changed, "number", bit);
  }
}

TEST(Sealer, RefusesFlippedBitsOfALongMessage) {
  SeededRandom random(TestSeed());
  Message genuine;
  genuine.sealed = Seal(genuine, random.NewBytes(70001));
  for (int i = 0; i < 100; ++i) {
    Message changed = genuine;
    const std::size_t bit = random.Below(changed.sealed.size() * 8);
    changed.sealed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ExpectRefused(changed, "sealed", bit);
  }
}

TEST(Sealer, RefusesOtherLengths) {
  const Message message;
  const Sealer sealer = message.MakeSealer();
  const Bytes sealed = Seal(message, AsBytes("plain"));
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    Bytes out = Repeated(length < kTagBytes ? 0 : length - kTagBytes, 0xee);
    EXPECT_FAILS(sealer.Open(message.number, message.aad, ByteView(sealed).first(length), out),
                 kCorruption);
    EXPECT_TRUE(IsZero(out));
  }
  for (std::size_t length : {0U, 4U, 6U, 1000U}) {
    Bytes out = Repeated(length, 0xee);
    EXPECT_FAILS(sealer.Open(message.number, message.aad, sealed, out), kCorruption);
    EXPECT_TRUE(IsZero(out));
  }
}

TEST(Sealer, SealsAndOpensInPlace) {
  SeededRandom random(TestSeed());
  const Message message;
  const Sealer sealer = message.MakeSealer();
  for (std::size_t length : {0U, 1U, 15U, 16U, 17U, 127U, 4096U, 65536U, 65551U}) {
    const Bytes plain = random.NewBytes(length);
    Bytes buffer = plain;
    buffer.resize(length + kTagBytes);
    sealer.Seal(message.number, message.aad, ByteView(buffer).first(length), buffer);
    ASSERT_EQ(buffer, Seal(message, plain)) << length;
    ASSERT_OK(
        sealer.Open(message.number, message.aad, buffer, MutableByteView(buffer).first(length)));
    buffer.resize(length);
    ASSERT_EQ(buffer, plain);
  }
}

TEST(Sealer, BindsTheAssociatedDataOfAnEmptyPlaintext) {
  const Message message;
  const Bytes sealed = Seal(message, {});
  EXPECT_EQ(sealed.size(), kTagBytes);
  EXPECT_OK(message.MakeSealer().Open(message.number, message.aad, sealed, {}));
  EXPECT_FAILS(message.MakeSealer().Open(message.number, {}, sealed, {}), kCorruption);
}

TEST(Sealer, EverySaltAndNumberGivesOtherBytes) {
  Message message;
  const Bytes plain = Repeated(64, 0);
  const Bytes first = Seal(message, plain);
  message.number += 1;
  EXPECT_NE(Seal(message, plain), first);
  message.number -= 1;
  message.salt[0] ^= std::byte{1};
  EXPECT_NE(Seal(message, plain), first);
}

TEST(Sealer, ServesManyThreadsAtOnce) {
  const Message message;
  const Sealer sealer = message.MakeSealer();
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&sealer, &message, &wrong, t] {
      for (std::uint64_t i = 0; i < 300; ++i) {
        const Bytes plain = Repeated(1 + i * 7, static_cast<unsigned>(t));
        Bytes sealed(plain.size() + kTagBytes);
        sealer.Seal(i * 4 + t, message.aad, plain, sealed);
        Bytes opened(plain.size());
        if (!sealer.Open(i * 4 + t, message.aad, sealed, opened) || opened != plain) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace coffer::crypto
