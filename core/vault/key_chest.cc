#include "core/vault/key_chest.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/crypto/hkdf.h"

namespace coffer::vault {
namespace {

using crypto::DeriveKey;
using crypto::KeyPurpose;

KeyChest::Epoch MakeEpoch(const format::KeyEpoch& source) {
  const SecretBytes& master = source.master_key;
  KeyChest::Epoch keys;
  keys.epoch = source.epoch;
  keys.pack = DeriveKey(master, KeyPurpose::kPack);
  keys.head = DeriveKey(master, KeyPurpose::kHead);
  keys.catalog = DeriveKey(master, KeyPurpose::kCatalog);
  keys.pack_id_hedge = DeriveKey(master, KeyPurpose::kPackIdHedge);
  keys.host_key_wrap = DeriveKey(master, KeyPurpose::kHostKeyWrap);
  keys.content = std::make_unique<crypto::ContentHasher>(DeriveKey(master, KeyPurpose::kContentId));
  keys.page = std::make_unique<crypto::PageHasher>(DeriveKey(master, KeyPurpose::kPageId));
  return keys;
}

}  // namespace

KeyChest::KeyChest(const VaultId& vault, const format::Keyring& keyring) : vault_(vault) {
  CHECK(!keyring.epochs.empty());
  epochs_.reserve(keyring.epochs.size());
  for (const format::KeyEpoch& epoch : keyring.epochs) epochs_.push_back(MakeEpoch(epoch));
}

Result<const KeyChest::Epoch*> KeyChest::Find(std::uint32_t epoch) const {
  const auto found =
      std::lower_bound(epochs_.begin(), epochs_.end(), epoch,
                       [](const Epoch& keys, std::uint32_t wanted) { return keys.epoch < wanted; });
  if (found == epochs_.end() || found->epoch != epoch) {
    return Fail(ErrorCode::kCorruption,
                Concat("written under key epoch ", epoch, ", which this keyring lacks"));
  }
  return &*found;
}

}  // namespace coffer::vault
