// HostKeys: this machine's own identity and keys for one vault, in vaults/<id>/host-key. Journal,
// cache and trust file are sealed under them. Drawn at random once; the file is sealed under a key
// from the keyring, so a stolen disk without the password gives nothing.
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/vault/key_chest.h"

namespace coffer::vault {

struct HostKeys {
  HostId id;
  std::uint32_t key_epoch = 0;  // of the keyring key that seals it
  SecretBytes journal;
  SecretBytes frame_cache;
  SecretBytes trust;

  /// Opens `directory`/host-key, or makes it (durable on success). It is never made anew beside a
  /// trust file or volumes: their owner's key is lost then, and a person has to know
  /// (kNeedsPerson DAMAGED-JOURNAL), as when the file does not open.
  static Result<HostKeys> OpenOrCreate(FileSystem& fs, Random& random, const std::string& directory,
                                       const KeyChest& keys);
};

}  // namespace coffer::vault
