#include "tests/vault/forge.h"

#include "core/base/check.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/key_slot.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

crypto::SlotPlace PlaceOf(const format::KeyHeader& header, std::size_t index) {
  return {header.vault, static_cast<std::uint8_t>(index),
          static_cast<std::uint8_t>(format::SlotKind::kPassword)};
}

}  // namespace

OpenHeader TakeApart(ByteView stored, std::string_view password) {
  OpenHeader open;
  auto header = format::DecodeKeyHeader(stored);
  CHECK(header.has_value());
  open.header = std::move(*header);
  const format::KeySlot& slot = open.header.slots[0];
  auto key = crypto::UnwrapUnlockKey({{slot.memory_kib, slot.iterations, slot.parallelism},
                                      slot.salt,
                                      slot.commitment,
                                      slot.sealed_unlock_key},
                                     {Password(password)}, PlaceOf(open.header, 0), kCheapBounds);
  CHECK(key.has_value());
  open.unlock_key = std::move(*key);
  SecretBytes plain(open.header.sealed_keyring.size() - crypto::kTagBytes);
  CHECK(crypto::Sealer(crypto::DeriveKey(open.unlock_key, crypto::KeyPurpose::kKeyring),
                       open.header.keyring_salt)
            .Open(0, format::KeyringAad(open.header.vault, open.header.seq),
                  open.header.sealed_keyring, plain.mutable_view())
            .has_value());
  auto keyring = format::DecodeKeyring(plain.view());
  CHECK(keyring.has_value());
  open.keyring = std::move(*keyring);
  return open;
}

Bytes PutTogether(OpenHeader open, Random& random) {
  format::KeyHeader& header = open.header;
  random.Fill(header.keyring_salt);
  const SecretBytes plain = format::Encode(open.keyring);
  header.sealed_keyring.resize(plain.size() + crypto::kTagBytes);
  crypto::Sealer(crypto::DeriveKey(open.unlock_key, crypto::KeyPurpose::kKeyring),
                 header.keyring_salt)
      .Seal(0, format::KeyringAad(header.vault, header.seq), plain.view(), header.sealed_keyring);
  const Bytes encoded = format::Encode(header);
  header.mac =
      crypto::HmacSha256(crypto::DeriveKey(open.unlock_key, crypto::KeyPurpose::kHeaderMac),
                         {format::KeyHeaderMacInput(encoded)});
  return format::Encode(header);
}

void SetSlot(OpenHeader& open, std::size_t index, std::string_view password, Random& random) {
  auto key = crypto::WrapUnlockKey(open.unlock_key, {Password(password)},
                                   PlaceOf(open.header, index), kCheapKdf, kCheapBounds, random);
  CHECK(key.has_value());
  open.header.slots[index] = {format::SlotKind::kPassword,
                              key->cost.memory_kib,
                              key->cost.iterations,
                              key->cost.parallelism,
                              key->salt,
                              key->commitment,
                              key->sealed_uk};
}

void Plant(store::MemoryStore& provider, const std::string& name, const Bytes* bytes) {
  store::MemoryStore::Objects objects = provider.Snapshot();
  objects.erase(name);
  if (bytes != nullptr) objects[name] = std::make_shared<const Bytes>(*bytes);
  provider.Restore(std::move(objects));
}

Bytes ObjectAt(const store::MemoryStore& provider, const std::string& name) {
  return *provider.Snapshot().at(name);
}

}  // namespace coffer::vault
