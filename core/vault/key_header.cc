#include "core/vault/key_header.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/key_slot.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "core/format/key_header.h"
#include "core/vault/person.h"

namespace coffer::vault {
namespace {

constexpr char kWrongPassword[] = "wrong password, or the key header was changed";
constexpr char kWrongMac[] = "the key header was changed: its authentication failed";

crypto::WrappedKey WrappedKeyOf(const format::KeySlot& slot) {
  return {{slot.memory_kib, slot.iterations, slot.parallelism},
          slot.salt,
          slot.commitment,
          slot.sealed_unlock_key};
}

format::KeySlot SlotOf(format::SlotKind kind, const crypto::WrappedKey& key) {
  return {kind,     key.cost.memory_kib, key.cost.iterations, key.cost.parallelism,
          key.salt, key.commitment,      key.sealed_uk};
}

crypto::SlotPlace PlaceOf(const format::KeyHeader& header, std::size_t index) {
  return {header.vault, static_cast<std::uint8_t>(index),
          static_cast<std::uint8_t>(header.slots[index].kind)};
}

format::Keyring NewKeyring(Environment& env) {
  format::Keyring keyring;
  SecretBytes master(crypto::kKeyBytes);
  env.random.Fill(master.mutable_view());
  const UnixSeconds now = env.clock.WallNow();
  keyring.epochs.push_back({1, std::move(master), now});
  keyring.slots.push_back({0, now, env.host_name.substr(0, format::kHostNameBytesMax), ""});
  return keyring;
}

void SealKeyring(const format::Keyring& keyring, const SecretBytes& unlock_key, Random& random,
                 format::KeyHeader* header) {
  random.Fill(header->keyring_salt);
  const SecretBytes plain = format::Encode(keyring);
  header->sealed_keyring.resize(plain.size() + crypto::kTagBytes);
  crypto::Sealer(crypto::DeriveKey(unlock_key, crypto::KeyPurpose::kKeyring), header->keyring_salt)
      .Seal(0, format::KeyringAad(header->vault, header->seq), plain.view(),
            header->sealed_keyring);
}

Status CheckAllCosts(const format::KeyHeader& header, const crypto::KdfBounds& bounds) {
  for (std::size_t index = 0; index < header.slots.size(); ++index) {
    const format::KeySlot& slot = header.slots[index];
    if (slot.kind == format::SlotKind::kEmpty) continue;
    const Status checked = crypto::CheckKdfCost(WrappedKeyOf(slot).cost, bounds);
    if (checked.has_value()) continue;
    Error error = checked.error().Within(Concat("key header, slot ", index));
    error.hint =
        "if the slot was made on a machine with more memory, open the vault there; otherwise the "
        "key header was changed: bring it back from a copy of the store";
    return Fail(std::move(error));
  }
  return {};
}

Result<SecretBytes> UnlockKeyOf(const format::KeyHeader& header, const SecretBytes& password,
                                const crypto::KdfBounds& bounds) {
  const crypto::Credential credential{password.Copy()};
  for (std::size_t index = 0; index < header.slots.size(); ++index) {
    if (header.slots[index].kind != format::SlotKind::kPassword) continue;
    Result<SecretBytes> key = crypto::UnwrapUnlockKey(WrappedKeyOf(header.slots[index]), credential,
                                                      PlaceOf(header, index), bounds);
    if (key.has_value() || key.error().code != ErrorCode::kUnauthenticated) return key;
  }
  return Fail(ErrorCode::kUnauthenticated, kWrongPassword);
}

Result<format::Keyring> OpenKeyring(const format::KeyHeader& header,
                                    const SecretBytes& unlock_key) {
  if (header.sealed_keyring.size() < crypto::kTagBytes) {
    return Fail(ErrorCode::kCorruption, kWrongMac);
  }
  SecretBytes plain(header.sealed_keyring.size() - crypto::kTagBytes);
  RETURN_IF_ERROR(crypto::Sealer(crypto::DeriveKey(unlock_key, crypto::KeyPurpose::kKeyring),
                                 header.keyring_salt)
                      .Open(0, format::KeyringAad(header.vault, header.seq), header.sealed_keyring,
                            plain.mutable_view()));
  return format::DecodeKeyring(plain.view());
}

}  // namespace

Result<NewKeyHeader> MakeKeyHeader(Environment& env, const VaultId& vault,
                                   const SecretBytes& password) {
  SecretBytes unlock_key(crypto::kKeyBytes);
  env.random.Fill(unlock_key.mutable_view());
  format::KeyHeader header;
  header.vault = vault;
  header.seq = 1;
  header.slots[0].kind = format::SlotKind::kPassword;
  ASSIGN_OR_RETURN(const crypto::WrappedKey slot,
                   crypto::WrapUnlockKey(unlock_key, {password.Copy()}, PlaceOf(header, 0),
                                         env.kdf_policy, env.kdf_bounds, env.random));
  header.slots[0] = SlotOf(format::SlotKind::kPassword, slot);
  format::Keyring keyring = NewKeyring(env);
  SealKeyring(keyring, unlock_key, env.random, &header);
  const Bytes unsigned_header = format::Encode(header);
  header.mac = crypto::HmacSha256(crypto::DeriveKey(unlock_key, crypto::KeyPurpose::kHeaderMac),
                                  {format::KeyHeaderMacInput(unsigned_header)});
  return NewKeyHeader{format::Encode(header), std::move(keyring)};
}

Result<format::Keyring> OpenKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                      const SecretBytes& password,
                                      const crypto::KdfBounds& bounds) {
  ASSIGN_OR_RETURN(const format::KeyHeader header, Decoded(format::DecodeKeyHeader(stored)));
  if (header.vault != vault || header.seq != seq) {
    return Fail(ErrorCode::kCorruption,
                "the key header was changed: it belongs to another vault or place");
  }
  RETURN_IF_ERROR(CheckAllCosts(header, bounds));
  ASSIGN_OR_RETURN(const SecretBytes unlock_key, UnlockKeyOf(header, password, bounds));
  if (!crypto::VerifyHmacSha256(crypto::DeriveKey(unlock_key, crypto::KeyPurpose::kHeaderMac),
                                {format::KeyHeaderMacInput(stored)}, header.mac)) {
    return Fail(ErrorCode::kCorruption, kWrongMac);
  }
  return Decoded(OpenKeyring(header, unlock_key));
}

}  // namespace coffer::vault
