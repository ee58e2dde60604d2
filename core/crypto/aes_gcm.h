// AES-256-GCM with a 12-byte nonce under one key, as NIST SP 800-38D has it. Only Sealer uses it:
// nonces are safe there because no key is used for two objects.
//
// The key schedule lies in Crypto++'s own memory (it takes no other), wiped when the object goes.
// Hence only keys of single objects come here: what they are derived from stays in SecretBytes.
// One thread at a time.
#pragma once

#include <array>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace coffer::crypto {

using GcmNonce = std::array<std::byte, 12>;

class AesGcm {
 public:
  /// REQUIRES: key.size() == kKeyBytes.
  explicit AesGcm(const SecretBytes& key);
  ~AesGcm();
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  /// Ciphertext, then tag. `plain` and `out` may start at the same byte, else must not overlap.
  /// REQUIRES: out.size() == plain.size() + kTagBytes.
  void Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out);

  /// False, with `out` wiped, unless the tag is right. `sealed` and `out` as in Seal.
  /// REQUIRES: sealed.size() == out.size() + kTagBytes.
  [[nodiscard]] bool Open(const GcmNonce& nonce, ByteView aad, ByteView sealed,
                          MutableByteView out);

 private:
  class Cipher;
  std::unique_ptr<Cipher> cipher_;
};

}  // namespace coffer::crypto
