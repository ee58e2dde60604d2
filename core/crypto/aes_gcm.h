// AES-256-GCM with a 12-byte nonce under one key, as NIST SP 800-38D has it. Only Sealer uses it:
// nonces are safe there because no key is used for two objects.
//
// Two engines compute the same: IPSec_MB, several times as fast, on x86-64 processors with AES
// instructions, and Crypto++ on all others. The key schedule lies in the engine's own memory,
// wiped when the object goes. Hence only keys of single objects come here: what they are derived
// from stays in SecretBytes. One thread at a time.
#pragma once

#include <array>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace coffer::crypto {

using GcmNonce = std::array<std::byte, 12>;

/// What AesGcm asks of an engine, under one key; the requirements are AesGcm's.
class GcmEngine {
 public:
  virtual ~GcmEngine() = default;
  virtual void Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out) = 0;
  /// By default the second part is copied behind the first and sealed where it is.
  virtual void SealParts(const GcmNonce& nonce, ByteView aad, ByteView first, ByteView second,
                         MutableByteView out);
  /// `out` holds no meaning if it returns false.
  [[nodiscard]] virtual bool Open(const GcmNonce& nonce, ByteView aad, ByteView sealed,
                                  MutableByteView out) = 0;
};

/// REQUIRES: key.size() == kKeyBytes.
[[nodiscard]] std::unique_ptr<GcmEngine> NewPortableGcm(const SecretBytes& key);
/// Null where this build or this processor lacks it.
[[nodiscard]] std::unique_ptr<GcmEngine> NewVectorGcm(const SecretBytes& key);

class AesGcm {
 public:
  /// With the fastest engine here. REQUIRES: key.size() == kKeyBytes.
  explicit AesGcm(const SecretBytes& key);
  explicit AesGcm(std::unique_ptr<GcmEngine> engine) : engine_(std::move(engine)) {}

  /// Ciphertext, then tag. `plain` and `out` may start at the same byte, else must not overlap.
  /// REQUIRES: out.size() == plain.size() + kTagBytes.
  void Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out);

  /// As if `second` stood behind `first`, which may start where `out` does; `second` must not
  /// overlap it. REQUIRES: out.size() == first.size() + second.size() + kTagBytes.
  void SealParts(const GcmNonce& nonce, ByteView aad, ByteView first, ByteView second,
                 MutableByteView out);
  /// False, with `out` wiped, unless the tag is right. `sealed` and `out` as in Seal.
  /// REQUIRES: sealed.size() == out.size() + kTagBytes.
  [[nodiscard]] bool Open(const GcmNonce& nonce, ByteView aad, ByteView sealed,
                          MutableByteView out);

 private:
  std::unique_ptr<GcmEngine> engine_;
};

}  // namespace coffer::crypto
