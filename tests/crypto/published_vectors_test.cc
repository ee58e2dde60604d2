// Each primitive against the vectors of the document that defines it.
#include <gtest/gtest.h>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/kdf.h"
#include "tests/crypto/hex.h"
#include "tests/support/result_macros.h"

namespace coffer::crypto {
namespace {

TEST(Sha256, MatchesFips180) {
  EXPECT_EQ(Sha256({}).ToString(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256(AsBytes("abc")).ToString(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Md5, MatchesRfc1321) {
  EXPECT_EQ(ToHex(Md5({})), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(ToHex(Md5(AsBytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(HmacSha256, MatchesRfc4231) {
  const auto hmac = [](ByteView key, ByteView data) {
    return ToHex(HmacSha256(SecretBytes::CopyOf(key), {data}));
  };
  EXPECT_EQ(hmac(Repeated(20, 0x0b), AsBytes("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac(AsBytes("Jefe"), AsBytes("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac(Repeated(20, 0xaa), Repeated(50, 0xdd)),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(
      hmac(Repeated(131, 0xaa), AsBytes("Test Using Larger Than Block-Size Key - Hash Key First")),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, PartsAreOneMessageAndOnlyTheRightMacVerifies) {
  const SecretBytes key = Secret("Jefe");
  const ByteView message = AsBytes("what do ya want for nothing?");
  Mac mac = HmacSha256(key, {message.first(16), {}, message.subspan(16)});
  EXPECT_TRUE(VerifyHmacSha256(key, {message}, mac));
  EXPECT_FALSE(VerifyHmacSha256(key, {message}, ByteView(mac).first(kMacBytes - 1)));
  EXPECT_FALSE(VerifyHmacSha256(key, {message}, {}));
  mac[31] ^= std::byte{0x80};
  EXPECT_FALSE(VerifyHmacSha256(key, {message}, mac));
}

TEST(HkdfSha256, MatchesRfc5869) {
  EXPECT_EQ(ToHex(HkdfSha256(Repeated(22, 0x0b), Counting(13), Counting(10, 0xf0), 42).view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(ToHex(HkdfSha256(Counting(80), Counting(80, 0x60), Counting(80, 0xb0), 82).view()),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(ToHex(HkdfSha256(Repeated(22, 0x0b), {}, {}, 42).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

std::string SealAndOpen(std::unique_ptr<GcmEngine> engine, std::string_view nonce_hex,
                        std::string_view aad, std::string_view plain_hex) {
  AesGcm cipher(std::move(engine));
  GcmNonce nonce{};
  EXPECT_TRUE(FromHex(nonce_hex, nonce));
  const Bytes plain = Hex(plain_hex);
  Bytes sealed(plain.size() + kTagBytes);
  cipher.Seal(nonce, Hex(aad), plain, sealed);
  Bytes opened(plain.size());
  EXPECT_TRUE(cipher.Open(nonce, Hex(aad), sealed, opened));
  EXPECT_EQ(opened, plain);
  return ToHex(sealed);
}

using NewEngine = std::unique_ptr<GcmEngine> (*)(const SecretBytes&);

void ExpectMcGrewAndViega(NewEngine new_engine) {
  const std::string zero_key(64, '0');
  const std::string zero_nonce(24, '0');
  // Test cases 13, 14 and 16.
  EXPECT_EQ(SealAndOpen(new_engine(SecretHex(zero_key)), zero_nonce, "", ""),
            "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(SealAndOpen(new_engine(SecretHex(zero_key)), zero_nonce, "", std::string(32, '0')),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_EQ(
      SealAndOpen(
          new_engine(SecretHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")),
          "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
      "76fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(AesGcm, PortableMatchesMcGrewAndViega) { ExpectMcGrewAndViega(NewPortableGcm); }

bool HasVectorEngine() { return NewVectorGcm(SecretHex(std::string(64, '0'))) != nullptr; }

TEST(AesGcm, VectorMatchesMcGrewAndViega) {
  if (!HasVectorEngine()) GTEST_SKIP() << "no vector engine on this machine";
  ExpectMcGrewAndViega(NewVectorGcm);
}

/// Every length around the blocks that vector code takes at once, in place and not.
TEST(AesGcm, EnginesAgree) {
  if (!HasVectorEngine()) GTEST_SKIP() << "no vector engine on this machine";
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length <= 1100; ++length) lengths.push_back(length);
  for (const std::size_t length : {4120UL, 32792UL, 65536UL, 65537UL, 262144UL, 1048593UL})
    lengths.push_back(length);
  for (const std::size_t length : lengths) {
    SCOPED_TRACE(length);
    const SecretBytes key = SecretBytes::CopyOf(Counting(32, length % 251));
    AesGcm portable(NewPortableGcm(key));
    AesGcm vector(NewVectorGcm(key));
    GcmNonce nonce{};
    StoreLe(nonce.data(), std::uint64_t{length});
    const Bytes aad = Counting(length % 97, 3);
    Bytes plain(length);
    for (std::size_t i = 0; i < length; ++i) plain[i] = static_cast<std::byte>(i * 31 + i / 256);
    Bytes expected(length + kTagBytes);
    portable.Seal(nonce, aad, plain, expected);
    Bytes sealed(length + kTagBytes);
    vector.Seal(nonce, aad, plain, sealed);
    ASSERT_EQ(sealed, expected);
    for (const std::size_t split : {std::size_t{0}, std::min<std::size_t>(24, length), length / 2,
                                    length - std::min<std::size_t>(1, length), length}) {
      for (AesGcm* engine : {&portable, &vector}) {
        Bytes parts(length + kTagBytes);
        engine->SealParts(nonce, aad, ByteView(plain).first(split), ByteView(plain).subspan(split),
                          parts);
        ASSERT_EQ(parts, expected) << split;
      }
    }
    Bytes in_place = plain;
    in_place.resize(length + kTagBytes);
    vector.Seal(nonce, aad, ByteView(in_place).first(length), in_place);
    ASSERT_EQ(in_place, expected);
    ASSERT_TRUE(vector.Open(nonce, aad, in_place, MutableByteView(in_place).first(length)));
    in_place.resize(length);
    ASSERT_EQ(in_place, plain);
    Bytes opened(length);
    ASSERT_TRUE(portable.Open(nonce, aad, sealed, opened));
    ASSERT_EQ(opened, plain);
    const std::size_t flipped = length * 7 % sealed.size();
    sealed[flipped] ^= std::byte{0x20};
    ASSERT_FALSE(vector.Open(nonce, aad, sealed, opened));
    ASSERT_EQ(opened, Bytes(length, std::byte{0}));
    ASSERT_FALSE(portable.Open(nonce, aad, sealed, opened));
  }
}

TEST(Argon2id, MatchesRfc9106) {
  const StoredKdfCost cost{.memory_kib = 32, .iterations = 3, .parallelism = 4};
  ASSERT_OK_AND_ASSIGN(const SecretBytes tag, Argon2id(Repeated(32, 1), Repeated(16, 2),
                                                       Repeated(8, 3), Repeated(12, 4), cost, 32));
  EXPECT_EQ(ToHex(tag.view()), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

TEST(Argon2id, MatchesTheTestOfTheReferenceImplementation) {
  const StoredKdfCost cost{.memory_kib = 65536, .iterations = 2, .parallelism = 1};
  ASSERT_OK_AND_ASSIGN(const SecretBytes tag,
                       Argon2id(AsBytes("password"), AsBytes("somesalt"), {}, {}, cost, 32));
  EXPECT_EQ(ToHex(tag.view()), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
}

}  // namespace
}  // namespace coffer::crypto
