// A key slot: the unlock key UK wrapped under what a person knows or has.
//
// Key-committing: an HMAC tag over the whole slot is checked before anything is unwrapped, since
// AES-GCM alone lets one ciphertext be built that opens under many passwords (the partitioning
// oracle attack, Len, Grubbs, Ristenpart 2021). The tag covers label, suite, vault, slot index,
// kind, costs, salt and the wrapped key, so no slot works in another place. All functions are
// thread-safe.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/kdf.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {

/// Where a slot stands and what it is for; bound into it.
struct SlotPlace {
  VaultId vault_id;
  std::uint8_t index;
  std::uint8_t kind;  // the key header's number for password, key file, recovery key …
};

/// A slot as the key header stores it: every field has a fixed size.
struct WrappedKey {
  StoredKdfCost cost;
  std::array<std::byte, kSaltBytes> salt;
  std::array<std::byte, kMacBytes> commitment;
  std::array<std::byte, kKeyBytes + kTagBytes> sealed_uk;

  friend bool operator==(const WrappedKey&, const WrappedKey&) = default;
};

/// A new slot, its cost from `policy` alone. Takes as long as the policy says. Fails as DeriveKek
/// does; a policy outside `bounds` is refused, since the slot could not be opened again.
/// REQUIRES: unlock_key.size() == kKeyBytes.
Result<WrappedKey> WrapUnlockKey(const SecretBytes& unlock_key, const Credential& credential,
                                 const SlotPlace& place, const KdfPolicy& policy,
                                 const KdfBounds& bounds, Random& random);

/// The unlock key. kUnauthenticated, with one constant text, for a wrong password and a changed
/// slot alike; kUnsupported for a cost out of bounds, before hashing or allocating.
Result<SecretBytes> UnwrapUnlockKey(const WrappedKey& slot, const Credential& credential,
                                    const SlotPlace& place, const KdfBounds& bounds);

}  // namespace coffer::crypto
