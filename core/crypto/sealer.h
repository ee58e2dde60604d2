// Salted AES-256-GCM, the one sealing primitive (design.md section 5). Each object brings 32 bytes
// of salt and gets a key of its own from them, so nonces count from 0 and no nonce state has to
// survive a crash, a clone of the machine or a restored backup.
//
//   object key = HKDF-SHA-256(input key = purpose key, salt, info = "coffer/1/object" ‖ 0 ‖
//   context) nonce      = u64 number, little-endian, then four zero bytes sealed     = ciphertext ‖
//   16-byte tag
//
// The caller's part: a fresh salt for each object written, and under one salt each number at most
// once for sealing. Safe from any thread at once, but calls take turns: threads that seal in
// parallel make a Sealer each (1 to 2 µs).
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/aes_gcm.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {

class Sealer {
 public:
  /// REQUIRES: purpose_key.size() == kKeyBytes, salt.size() == kSaltBytes.
  Sealer(const SecretBytes& purpose_key, ByteView salt, ByteView context = {});

  /// Seals `plain` as message `number` of this object. `plain` may be the first bytes of `out`
  /// itself, otherwise they must not overlap. REQUIRES: out.size() == plain.size() + kTagBytes.
  void Seal(std::uint64_t number, ByteView aad, ByteView plain, MutableByteView out) const;

  /// As if `second` stood behind `first`, which may be the first bytes of `out`; `second` must not
  /// overlap it, and need not be copied. REQUIRES: out.size() == both and kTagBytes.
  void Seal(std::uint64_t number, ByteView aad, ByteView first, ByteView second,
            MutableByteView out) const;

  /// Opens what Seal made of the same number and aad into `out`, which may start where `sealed`
  /// does. kCorruption, with `out` zeroed, if anything differs or sealed.size() is not
  /// out.size() + kTagBytes.
  Status Open(std::uint64_t number, ByteView aad, ByteView sealed, MutableByteView out) const;

 private:
  mutable Mutex mutex_;
  mutable AesGcm cipher_ GUARDED_BY(mutex_);
};

}  // namespace coffer::crypto
