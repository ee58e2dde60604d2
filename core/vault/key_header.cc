#include "core/vault/key_header.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/key_slot.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "core/format/chain_name.h"
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

std::string HostNameOf(const Environment& env) {
  return env.host_name.substr(0, format::kHostNameBytesMax);
}

format::Keyring NewKeyring(Environment& env) {
  format::Keyring keyring;
  SecretBytes master(crypto::kKeyBytes);
  env.random.Fill(master.mutable_view());
  const UnixSeconds now = env.clock.WallNow();
  keyring.epochs.push_back({1, std::move(master), now});
  keyring.slots.push_back({0, now, HostNameOf(env), ""});
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
    constexpr char kChanged[] =
        "if no machine of yours has made such a slot, the key header was changed: bring it back "
        "from a copy of the store";
    error.hint = error.hint.empty() ? kChanged : Concat(error.hint, "; ", kChanged);
    return Fail(std::move(error));
  }
  return {};
}

struct UnlockedSlot {
  SecretBytes unlock_key;
  std::uint8_t index;
};

Result<UnlockedSlot> UnlockSlot(const format::KeyHeader& header, const SecretBytes& password,
                                const crypto::KdfBounds& bounds) {
  const crypto::Credential credential{password.Copy()};
  for (std::size_t index = 0; index < header.slots.size(); ++index) {
    if (header.slots[index].kind != format::SlotKind::kPassword) continue;
    Result<SecretBytes> key = crypto::UnwrapUnlockKey(WrappedKeyOf(header.slots[index]), credential,
                                                      PlaceOf(header, index), bounds);
    if (key.has_value()) return UnlockedSlot{std::move(*key), static_cast<std::uint8_t>(index)};
    if (key.error().code != ErrorCode::kUnauthenticated) return Fail(key.error());
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

/// Puts a slot for `password` at `index`, at today's cost.
Status FillPasswordSlot(Environment& env, const SecretBytes& unlock_key,
                        const SecretBytes& password, std::size_t index, format::KeyHeader* header) {
  header->slots[index].kind = format::SlotKind::kPassword;
  ASSIGN_OR_RETURN(const crypto::WrappedKey slot,
                   crypto::WrapUnlockKey(unlock_key, {password.Copy()}, PlaceOf(*header, index),
                                         env.kdf_policy, env.kdf_bounds, env.random));
  header->slots[index] = SlotOf(format::SlotKind::kPassword, slot);
  return {};
}

/// `header`, complete but for keyring and MAC, as it is stored.
Bytes SealHeader(const format::Keyring& keyring, const SecretBytes& unlock_key, Random& random,
                 format::KeyHeader header) {
  SealKeyring(keyring, unlock_key, random, &header);
  const Bytes unsigned_header = format::Encode(header);
  header.mac = crypto::HmacSha256(crypto::DeriveKey(unlock_key, crypto::KeyPurpose::kHeaderMac),
                                  {format::KeyHeaderMacInput(unsigned_header)});
  return format::Encode(header);
}

/// Notes that slot `index` was filled here and now; its label stays.
void NoteSlotFilled(Environment& env, std::uint8_t index, format::Keyring* keyring) {
  auto info = std::find_if(keyring->slots.begin(), keyring->slots.end(),
                           [index](const format::SlotInfo& known) { return known.slot == index; });
  if (info == keyring->slots.end()) {
    info = keyring->slots.insert(info, {index, 0, {}, {}});
  }
  info->created_unix = env.clock.WallNow();
  info->host_name = HostNameOf(env);
}

std::size_t SlotsInUse(const format::KeyHeader& header) {
  return static_cast<std::size_t>(std::count_if(
      header.slots.begin(), header.slots.end(),
      [](const format::KeySlot& slot) { return slot.kind != format::SlotKind::kEmpty; }));
}

}  // namespace

Result<NewKeyHeader> MakeKeyHeader(Environment& env, const VaultId& vault,
                                   const SecretBytes& password) {
  SecretBytes unlock_key(crypto::kKeyBytes);
  env.random.Fill(unlock_key.mutable_view());
  format::KeyHeader header;
  header.vault = vault;
  header.seq = 1;
  RETURN_IF_ERROR(FillPasswordSlot(env, unlock_key, password, 0, &header));
  format::Keyring keyring = NewKeyring(env);
  std::vector<KeySlotDescription> slots = DescribeSlots(header, keyring);
  Bytes stored = SealHeader(keyring, unlock_key, env.random, std::move(header));
  return NewKeyHeader{std::move(stored), std::move(keyring), std::move(slots)};
}

Result<OpenedKeyHeader> UnlockKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                        const SecretBytes& password,
                                        const crypto::KdfBounds& bounds) {
  ASSIGN_OR_RETURN(format::KeyHeader header, Decoded(format::DecodeKeyHeader(stored)));
  if (header.vault != vault || header.seq != seq) {
    return Fail(ErrorCode::kCorruption,
                "the key header was changed: it belongs to another vault or place");
  }
  RETURN_IF_ERROR(CheckAllCosts(header, bounds));
  ASSIGN_OR_RETURN(UnlockedSlot slot, UnlockSlot(header, password, bounds));
  if (!crypto::VerifyHmacSha256(crypto::DeriveKey(slot.unlock_key, crypto::KeyPurpose::kHeaderMac),
                                {format::KeyHeaderMacInput(stored)}, header.mac)) {
    return Fail(ErrorCode::kCorruption, kWrongMac);
  }
  ASSIGN_OR_RETURN(format::Keyring keyring, Decoded(OpenKeyring(header, slot.unlock_key)));
  return OpenedKeyHeader{std::move(header), std::move(keyring), std::move(slot.unlock_key),
                         slot.index};
}

Result<format::Keyring> OpenKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                      const SecretBytes& password,
                                      const crypto::KdfBounds& bounds) {
  ASSIGN_OR_RETURN(OpenedKeyHeader opened, UnlockKeyHeader(stored, vault, seq, password, bounds));
  return std::move(opened.keyring);
}

Result<NewKeyHeader> ReplacePassword(Environment& env, OpenedKeyHeader opened,
                                     const format::ChainPoint& point, const SecretBytes& password) {
  if (opened.keyring.features.read_only_compatible != 0) {
    return Fail(ErrorCode::kUnsupported,
                "NEWER-FORMAT: the key header can be read but not changed by this version",
                "install a newer coffer");
  }
  if (SlotsInUse(opened.header) == 1) env.random.Fill(opened.unlock_key.mutable_view());
  opened.header.seq = point.seq + 1;
  opened.keyring.parent = point.hash;
  RETURN_IF_ERROR(FillPasswordSlot(env, opened.unlock_key, password, opened.slot, &opened.header));
  NoteSlotFilled(env, opened.slot, &opened.keyring);
  const VaultId vault = opened.header.vault;
  const std::uint64_t seq = opened.header.seq;
  Bytes stored =
      SealHeader(opened.keyring, opened.unlock_key, env.random, std::move(opened.header));
  ASSIGN_OR_RETURN(const OpenedKeyHeader again,
                   UnlockKeyHeader(stored, vault, seq, password, env.kdf_bounds));
  if (again.slot != opened.slot || !ConstantTimeEqual(format::Encode(again.keyring).view(),
                                                      format::Encode(opened.keyring).view())) {
    return Fail(ErrorCode::kCorruption,
                "the new key header does not hold what was put into it: this machine's memory or "
                "processor is at fault; nothing was changed");
  }
  return NewKeyHeader{std::move(stored), std::move(opened.keyring),
                      DescribeSlots(again.header, again.keyring)};
}

Error KeyHeaderError(const Error& error, const std::string& where, std::uint64_t seq) {
  Error explained = error.Within(where);
  if (error.code == ErrorCode::kUnauthenticated) {
    explained.hint = "try again with the password of this vault; nothing was changed";
  } else if (explained.hint.empty()) {
    explained.hint = Concat("bring the object ", format::ChainName(format::kKeysPrefix, seq),
                            " back from a copy of the store; nothing was changed");
  }
  return explained;
}

std::vector<KeySlotDescription> DescribeSlots(const format::KeyHeader& header,
                                              const format::Keyring& keyring) {
  std::vector<KeySlotDescription> described;
  for (std::size_t index = 0; index < header.slots.size(); ++index) {
    const format::KeySlot& slot = header.slots[index];
    if (slot.kind == format::SlotKind::kEmpty) continue;
    KeySlotDescription& entry = described.emplace_back();
    entry.slot = static_cast<std::uint8_t>(index);
    entry.kind = slot.kind;
    entry.cost = WrappedKeyOf(slot).cost;
    for (const format::SlotInfo& info : keyring.slots) {
      if (info.slot != index) continue;
      entry.created_unix = info.created_unix;
      entry.host_name = info.host_name;
      entry.label = info.label;
    }
  }
  return described;
}

}  // namespace coffer::vault
