// What this machine remembers of a vault: HostKeys (host id and the keys of journal, cache and
// trust, sealed in vaults/<id>/host-key) and TrustFile (newest header, catalog and heads seen,
// vaults/<id>/trust).
#pragma once

#include <optional>
#include <string>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/trust.h"
#include "core/vault/key_chest.h"

namespace coffer::vault {

struct HostKeys {
  HostId id;
  std::uint32_t key_epoch = 0;  // of the keyring key that seals it
  SecretBytes journal;
  SecretBytes frame_cache;
  SecretBytes trust;

  /// Opens `directory`/host-key, or makes it (durable on success).
  static Result<HostKeys> OpenOrCreate(FileSystem& fs, Random& random, const std::string& directory,
                                       const KeyChest& keys);
};

/// Thread-safe; every Note… is durable when it returns, and never moves a point back.
class TrustFile {
 public:
  static Result<std::unique_ptr<TrustFile>> OpenOrCreate(FileSystem& fs, Random& random,
                                                         const std::string& directory,
                                                         const VaultId& vault,
                                                         const HostKeys& host);

  [[nodiscard]] format::ChainPoint key_header() const;
  [[nodiscard]] format::ChainPoint catalog() const;
  [[nodiscard]] std::optional<format::TrustedVolume> volume(const VolumeId& volume) const;

  Status NoteKeyHeader(const format::ChainPoint& point);
  Status NoteCatalog(const format::ChainPoint& point);
  Status NoteHead(const VolumeId& volume, const format::ChainPoint& point, std::uint64_t epoch,
                  bool ours);

 private:
  // … (implementer's)
};

}  // namespace coffer::vault
