// KeyChest: the unlocked keys of one vault, by purpose and key epoch. Made by unlocking a key
// header; immutable afterwards, so any thread may use it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/content_hasher.h"
#include "core/format/keyring.h"

namespace coffer::vault {

class KeyChest {
 public:
  /// The keys of one epoch, each derived from its master key.
  struct Epoch {
    std::uint32_t epoch;
    SecretBytes pack;
    SecretBytes head;
    SecretBytes catalog;
    SecretBytes pack_id_hedge;
    SecretBytes host_key_wrap;
    std::unique_ptr<crypto::ContentHasher> content;
    std::unique_ptr<crypto::PageHasher> page;
  };

  KeyChest(const VaultId& vault, const format::Keyring& keyring);

  [[nodiscard]] const VaultId& vault() const { return vault_; }
  [[nodiscard]] const Epoch& current() const { return epochs_.back(); }
  /// kCorruption ("written under key epoch N, which this keyring lacks") if unknown.
  [[nodiscard]] Result<const Epoch*> Find(std::uint32_t epoch) const;

 private:
  VaultId vault_;
  std::vector<Epoch> epochs_;
};

}  // namespace coffer::vault
