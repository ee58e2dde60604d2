// Random inputs of every class of length, compared with OpenSSL: a silent fault of the library or
// of one of its code paths for this processor shows here (faults.md A37).
#include <gtest/gtest.h>

#include <algorithm>

#include "core/crypto/content_hasher.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/sealer.h"
#include "tests/crypto/openssl.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::crypto {
namespace {

class OpenSslComparison : public testing::Test {
 protected:
  /// Mostly short; often near a block's edge; now and then beyond 64 KiB; sometimes empty.
  Bytes RandomInput() {
    switch (random_.Below(8)) {
      case 0:
        return {};
      case 1:
        return random_.NewBytes(65536 + random_.Below(70000));
      case 2:
        return random_.NewBytes(16 * random_.Below(300) + random_.Below(3));
      case 3:
        return random_.NewBytes(4096);
      default:
        return random_.NewBytes(random_.Below(600));
    }
  }

  SeededRandom random_{TestSeed()};
};

TEST_F(OpenSslComparison, HashesAgree) {
  for (int i = 0; i < 400; ++i) {
    const Bytes message = RandomInput();
    ASSERT_EQ(ToBytes(Sha256(message).view()), openssl::Sha256(message)) << message.size();
  }
}

TEST_F(OpenSslComparison, MacsAgree) {
  for (int i = 0; i < 400; ++i) {
    const Bytes key = random_.NewBytes(1 + random_.Below(200));
    const Bytes message = RandomInput();
    ASSERT_EQ(ToBytes(HmacSha256(SecretBytes::CopyOf(key), {message})),
              openssl::HmacSha256(key, message))
        << key.size() << ' ' << message.size();
  }
}

TEST_F(OpenSslComparison, DerivedKeysAgree) {
  for (int i = 0; i < 400; ++i) {
    const Bytes key = random_.NewBytes(1 + random_.Below(100));
    const Bytes salt = random_.NewBytes(random_.Below(100));
    const Bytes info = random_.NewBytes(random_.Below(300));
    const std::size_t length = 1 + random_.Below(255 * 32);
    ASSERT_EQ(ToBytes(HkdfSha256(key, salt, info, length).view()),
              openssl::HkdfSha256(key, salt, info, length))
        << key.size() << ' ' << salt.size() << ' ' << info.size() << ' ' << length;
  }
}

TEST_F(OpenSslComparison, PurposeKeysAgree) {
  const Bytes parent = random_.NewBytes(kKeyBytes);
  for (int i = 0; i < kKeyPurposeCount; ++i) {
    const auto purpose = static_cast<KeyPurpose>(i);
    const Bytes context = random_.NewBytes(random_.Below(40));
    Bytes info = ToBytes(AsBytes(KeyLabel(purpose)));
    info.push_back(std::byte{0});
    info.insert(info.end(), context.begin(), context.end());
    EXPECT_EQ(ToBytes(DeriveKey(SecretBytes::CopyOf(parent), purpose, context).view()),
              openssl::HkdfSha256(parent, {}, info, kKeyBytes))
        << KeyLabel(purpose);
  }
}

TEST_F(OpenSslComparison, SealedBytesAgree) {
  for (int i = 0; i < 300; ++i) {
    const Bytes key = random_.NewBytes(kKeyBytes);
    const Bytes salt = random_.NewBytes(kSaltBytes);
    const Bytes context = random_.NewBytes(random_.Below(40));
    const Sealer sealer(SecretBytes::CopyOf(key), salt, context);
    Bytes info = ToBytes(AsBytes(std::string_view("coffer/1/object\0", 16)));
    info.insert(info.end(), context.begin(), context.end());
    const Bytes object_key = openssl::HkdfSha256(key, salt, info, kKeyBytes);

    for (int message = 0; message < 3; ++message) {
      const std::uint64_t number = random_.OneIn(2) ? random_.Next() : random_.Below(5);
      Bytes nonce(12, std::byte{0});
      StoreLe(nonce.data(), number);
      const Bytes aad = RandomInput();
      const Bytes plain = RandomInput();
      // Misaligned on purpose: callers seal at any offset of a pack.
      const std::size_t shift = random_.Below(16);
      Bytes buffer(shift + plain.size() + kTagBytes);
      const MutableByteView sealed = MutableByteView(buffer).subspan(shift);
      sealer.Seal(number, aad, plain, sealed);
      ASSERT_EQ(ToBytes(sealed), openssl::SealAes256Gcm(object_key, nonce, aad, plain))
          << plain.size() << ' ' << aad.size() << ' ' << shift;
      Bytes opened(plain.size());
      ASSERT_OK(sealer.Open(number, aad, sealed, opened));
      ASSERT_EQ(opened, plain);
      // In two parts, the first where it is to be sealed.
      const std::size_t split = random_.Below(plain.size() + 1);
      Bytes parts(buffer.size());
      const MutableByteView place = MutableByteView(parts).subspan(shift, sealed.size());
      std::copy_n(plain.begin(), split, place.begin());
      sealer.Seal(number, aad, place.first(split), ByteView(plain).subspan(split), place);
      ASSERT_TRUE(std::equal(place.begin(), place.end(), sealed.begin()))
          << plain.size() << ' ' << split << ' ' << shift;
    }
  }
}

TEST_F(OpenSslComparison, ContentAndPageIdsAgree) {
  for (int i = 0; i < 200; ++i) {
    const Bytes key = random_.NewBytes(kKeyBytes);
    const ContentHasher content(SecretBytes::CopyOf(key));
    const PageHasher page(SecretBytes::CopyOf(key));
    const Bytes plain = RandomInput();
    const auto type = static_cast<std::uint8_t>(random_.Below(256));

    Bytes prefix(16, std::byte{0});
    prefix[0] = static_cast<std::byte>(type);
    StoreLe<std::uint64_t>(&prefix[8], plain.size());
    Bytes message = prefix;
    for (std::size_t at = 0; at < plain.size(); at += 4096) {
      const ByteView block =
          ByteView(plain).subspan(at, std::min<std::size_t>(4096, plain.size() - at));
      const Bytes digest = openssl::Sha256(block);
      message.insert(message.end(), digest.begin(), digest.end());
    }
    const Bytes content_mac = openssl::HmacSha256(key, message);
    ASSERT_EQ(content.Id(type, plain), ContentId::From(ByteView(content_mac).first(16)));
    message.assign(prefix.begin() + 8, prefix.end());
    message.insert(message.end(), plain.begin(), plain.end());
    const Bytes page_mac = openssl::HmacSha256(key, message);
    ASSERT_EQ(page.Id(plain), PageId::From(ByteView(page_mac).first(16)));
  }
}

}  // namespace
}  // namespace coffer::crypto
