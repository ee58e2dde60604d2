#include "core/crypto/self_test.h"

#include "core/base/log.h"
#include "core/crypto/aes_gcm.h"
#include "core/crypto/digests.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/kat_vectors.h"
#include "core/crypto/kdf.h"

namespace coffer::crypto {
namespace {

Bytes Hex(std::string_view hex) {
  Bytes bytes(hex.size() / 2);
  if (!FromHex(hex, bytes)) bytes.clear();
  return bytes;
}

Bytes Repeated(std::size_t count, int value) { return Bytes(count, static_cast<std::byte>(value)); }

/// i * factor + start, modulo 256.
Bytes Counting(std::size_t count, std::size_t factor = 1, std::size_t start = 0) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * factor + start);
  return bytes;
}

Status Expect(ByteView got, std::string_view expected_hex, std::string_view what) {
  if (ToHex(got) == expected_hex) return {};
  return Fail(ErrorCode::kCorruption,
              Concat("self-test: ", what, " gives a wrong answer on this machine"),
              "do not use this build here: it could write data that cannot be read back");
}

Status TestHashes() {
  RETURN_IF_ERROR(
      Expect(Sha256(AsBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).view(),
             kKatVectors.sha256, "SHA-256"));
  const SecretBytes key = SecretBytes::CopyOf(AsBytes("Jefe"));
  RETURN_IF_ERROR(Expect(HmacSha256(key, {AsBytes("what do ya want "), AsBytes("for nothing?")}),
                         kKatVectors.hmac, "HMAC-SHA-256"));
  return Expect(HkdfSha256(Repeated(22, 0x0b), Counting(13), Counting(10, 1, 0xf0), 42).view(),
                kKatVectors.hkdf, "HKDF-SHA-256");
}

/// What a content id is made of, side by side and a rest that is not.
Status TestBlocks() {
  const Bytes message = Counting(33 * kDigestBlockBytes + 100, 7, 3);
  std::array<Digest, 34> digests{};
  DigestBlocks(message, digests);
  return Expect(Sha256(std::as_bytes(std::span(digests))).view(), kKatVectors.sha256_blocks,
                "SHA-256 of many blocks");
}

/// Seals `plain`, opens it again, tries a wrong tag, and seals it in two parts.
Result<Bytes> SealAndOpen(AesGcm& cipher, const GcmNonce& nonce, ByteView aad, ByteView plain) {
  Bytes sealed(plain.size() + kTagBytes);
  cipher.Seal(nonce, aad, plain, sealed);
  Bytes opened(plain.size());
  const bool opens = cipher.Open(nonce, aad, sealed, opened);
  const bool same = ConstantTimeEqual(opened, plain);
  sealed.back() ^= std::byte{1};
  const bool refuses = !cipher.Open(nonce, aad, sealed, opened);
  sealed.back() ^= std::byte{1};
  Bytes in_parts(sealed.size());
  const std::size_t split = std::min<std::size_t>(24, plain.size());
  cipher.SealParts(nonce, aad, plain.first(split), plain.subspan(split), in_parts);
  if (!opens || !same || !refuses || in_parts != sealed) {
    return Fail(ErrorCode::kCorruption, "self-test: AES-256-GCM does not open what it sealed");
  }
  return sealed;
}

Status TestGcm() {
  const Bytes key = Hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes plain =
      Hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  GcmNonce nonce;
  if (!FromHex("cafebabefacedbaddecaf888", nonce)) nonce = {};
  AesGcm short_cipher(SecretBytes::CopyOf(key));
  ASSIGN_OR_RETURN(
      const Bytes short_sealed,
      SealAndOpen(short_cipher, nonce, Hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), plain));
  RETURN_IF_ERROR(Expect(short_sealed, kKatVectors.gcm_short, "AES-256-GCM"));

  AesGcm long_cipher(SecretBytes::CopyOf(Counting(32)));
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::byte>(i);
  ASSIGN_OR_RETURN(const Bytes long_sealed,
                   SealAndOpen(long_cipher, nonce, Counting(37), Counting(4099, 7, 3)));
  return Expect(Sha256(long_sealed).view(), kKatVectors.gcm_long_sha256, "AES-256-GCM (long)");
}

Status TestArgon2id() {
  ASSIGN_OR_RETURN(const SecretBytes tag, Argon2id(Repeated(32, 1), Repeated(16, 2), Repeated(8, 3),
                                                   Repeated(12, 4), StoredKdfCost{32, 3, 4}, 32));
  return Expect(tag.view(), kKatVectors.argon2id, "Argon2id");
}

}  // namespace

Status SelfTest() {
  RETURN_IF_ERROR(TestHashes());
  RETURN_IF_ERROR(TestBlocks());
  RETURN_IF_ERROR(TestGcm());
  return TestArgon2id();
}

}  // namespace coffer::crypto
