#include "core/crypto/key_slot.h"

#include "core/base/check.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/sealer.h"

namespace coffer::crypto {
namespace {

/// suite u16 ‖ vault id 16 ‖ slot index u8 ‖ kind u8.
using PlaceBytes = std::array<std::byte, 20>;

PlaceBytes EncodePlace(const SlotPlace& place) {
  PlaceBytes bytes;
  StoreLe(bytes.data(), kSuite);
  std::memcpy(&bytes[2], place.vault_id.bytes.data(), 16);
  bytes[18] = static_cast<std::byte>(place.index);
  bytes[19] = static_cast<std::byte>(place.kind);
  return bytes;
}

/// The two keys that a slot takes from its KEK.
struct SlotKeys {
  SecretBytes wrap;
  SecretBytes commit;
};

Result<SlotKeys> DeriveSlotKeys(const WrappedKey& slot, const Credential& credential,
                                const PlaceBytes& place, const KdfBounds& bounds) {
  ASSIGN_OR_RETURN(const SecretBytes kek,
                   DeriveKek(credential, slot.salt, slot.cost, bounds, place));
  return SlotKeys{DeriveKey(kek, KeyPurpose::kSlotWrap), DeriveKey(kek, KeyPurpose::kSlotCommit)};
}

Mac Commitment(const WrappedKey& slot, const PlaceBytes& place, const SecretBytes& commit_key) {
  std::array<std::byte, 13> costs{};  // the leading zero ends the label
  StoreLe(&costs[1], slot.cost.memory_kib);
  StoreLe(&costs[5], slot.cost.iterations);
  StoreLe(&costs[9], slot.cost.parallelism);
  return HmacSha256(commit_key, {AsBytes(kSlotLabel), costs, place, slot.salt, slot.sealed_uk});
}

}  // namespace

Result<WrappedKey> WrapUnlockKey(const SecretBytes& unlock_key, const Credential& credential,
                                 const SlotPlace& place, const KdfPolicy& policy,
                                 const KdfBounds& bounds, Random& random) {
  CHECK(unlock_key.size() == kKeyBytes);
  const PlaceBytes place_bytes = EncodePlace(place);
  WrappedKey slot{};
  slot.cost = CostOfNewSlot(policy);
  random.Fill(slot.salt);
  ASSIGN_OR_RETURN(const SlotKeys keys, DeriveSlotKeys(slot, credential, place_bytes, bounds));
  Sealer(keys.wrap, slot.salt).Seal(0, place_bytes, unlock_key.view(), slot.sealed_uk);
  slot.commitment = Commitment(slot, place_bytes, keys.commit);
  return slot;
}

Result<SecretBytes> UnwrapUnlockKey(const WrappedKey& slot, const Credential& credential,
                                    const SlotPlace& place, const KdfBounds& bounds) {
  const PlaceBytes place_bytes = EncodePlace(place);
  ASSIGN_OR_RETURN(const SlotKeys keys, DeriveSlotKeys(slot, credential, place_bytes, bounds));
  SecretBytes unlock_key(kKeyBytes);
  if (!ConstantTimeEqual(Commitment(slot, place_bytes, keys.commit), slot.commitment) ||
      !Sealer(keys.wrap, slot.salt)
           .Open(0, place_bytes, slot.sealed_uk, unlock_key.mutable_view())
           .has_value()) {
    return Fail(ErrorCode::kUnauthenticated,
                "wrong password or key file, or the key slot was changed");
  }
  return unlock_key;
}

}  // namespace coffer::crypto
