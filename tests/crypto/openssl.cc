#include "tests/crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <memory>
#include <string>

#include "core/base/check.h"

namespace coffer::openssl {
namespace {

const unsigned char* Data(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* MutableData(Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

/// OpenSSL takes inputs through pointers to mutable bytes and does not write to them.
void* Input(ByteView bytes) {
  static std::byte nothing;
  return bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());
}

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

}  // namespace

Bytes Sha256(ByteView bytes) {
  Bytes out(SHA256_DIGEST_LENGTH);
  SHA256(Data(bytes), bytes.size(), MutableData(out));
  return out;
}

Bytes HmacSha256(ByteView key, ByteView message) {
  Bytes out(SHA256_DIGEST_LENGTH);
  CHECK(HMAC(EVP_sha256(), Input(key), static_cast<int>(key.size()), Data(message), message.size(),
             MutableData(out), nullptr) != nullptr);
  return out;
}

Bytes HkdfSha256(ByteView key, ByteView salt, ByteView info, std::size_t length) {
  const std::unique_ptr<EVP_KDF, Free<EVP_KDF_free>> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, Free<EVP_KDF_CTX_free>> context(EVP_KDF_CTX_new(kdf.get()));
  std::string digest = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, Input(key), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, Input(salt), salt.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, Input(info), info.size()),
      OSSL_PARAM_construct_end()};
  Bytes out(length);
  CHECK(EVP_KDF_derive(context.get(), MutableData(out), out.size(), params) == 1);
  return out;
}

Bytes SealAes256Gcm(ByteView key, ByteView nonce, ByteView aad, ByteView plain) {
  const std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>> context(EVP_CIPHER_CTX_new());
  Bytes out(plain.size() + 16);
  int written = 0;
  CHECK(nonce.size() == 12);
  CHECK(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Data(key), Data(nonce)));
  if (!aad.empty()) {
    CHECK(EVP_EncryptUpdate(context.get(), nullptr, &written, Data(aad),
                            static_cast<int>(aad.size())));
  }
  if (!plain.empty()) {
    CHECK(EVP_EncryptUpdate(context.get(), MutableData(out), &written, Data(plain),
                            static_cast<int>(plain.size())));
  }
  unsigned char rest[16];
  CHECK(EVP_EncryptFinal_ex(context.get(), rest, &written) && written == 0);
  CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16,
                            MutableData(out) + plain.size()));
  return out;
}

}  // namespace coffer::openssl
