// Vault: everything under one store URL, unlocked: keys, catalog, trust. Volumes stand on it.
//
// Thread-safe. One Vault object per vault and state directory: Create and Unlock take the lock file
// vaults/<id>/lock and keep it. Nothing local is written, and nothing in the store, before the key
// header's MAC has held (faults.md A26).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/catalog.h"
#include "core/format/head.h"
#include "core/store/object_store.h"
#include "core/vault/environment.h"
#include "core/vault/key_chest.h"
#include "core/vault/trust_file.h"

namespace coffer::vault {

struct VolumeSpec {
  std::string name;
  std::uint64_t size = 0;  // bytes, multiple of 4096, at most 16 TiB
  std::uint32_t chunk_size = 64 * 1024;
  format::Durability durability = format::Durability::kLocal;
};

class Vault {
 public:
  /// Makes a vault in an empty store (opened for init): key header, first volume's head, catalog,
  /// and the marker last, so that a crash before it leaves no vault. kAlreadyExists where a marker
  /// stands.
  static Result<std::unique_ptr<Vault>> Create(Environment& env,
                                               std::unique_ptr<store::ObjectStore> store,
                                               const SecretBytes& password,
                                               const VolumeSpec& first_volume);

  struct UnlockOptions {
    VaultId expected;            // null = any; another vault there is an error that names both
    bool single_writer = false;  // the owner's word that a weak store has one writer
  };
  /// kUnauthenticated for a wrong password; kNeedsPerson for ROLLBACK, FORK, HEADER-ROLLBACK,
  /// WEAK-STORE; kUnsupported for a newer format; kNotFound when there is no vault.
  static Result<std::unique_ptr<Vault>> Unlock(Environment& env,
                                               std::unique_ptr<store::ObjectStore> store,
                                               const SecretBytes& password,
                                               const UnlockOptions& options);
  ~Vault();

  [[nodiscard]] const VaultId& id() const { return keys_->vault(); }
  [[nodiscard]] Environment& env() { return env_; }
  [[nodiscard]] store::ObjectStore& store() { return *store_; }
  [[nodiscard]] const KeyChest& keys() const { return *keys_; }
  [[nodiscard]] const HostKeys& host() const { return *host_; }
  [[nodiscard]] TrustFile& trust() { return *trust_; }

  /// The newest catalog read or written here.
  [[nodiscard]] format::Catalog catalog() const;
  /// Reads the newest catalog from the store.
  Status RefreshCatalog();
  /// The live volume called `name`; kNotFound. Refreshes once if it isn't known.
  Result<format::CatalogVolume> FindVolume(const std::string& name);
  /// Adds a volume: its first head, then the catalog record that names it. kAlreadyExists.
  Result<VolumeId> CreateVolume(const VolumeSpec& spec);

  /// vaults/<id>/volumes/<volume>, made if missing.
  Result<std::string> VolumeDirectory(const VolumeId& volume);

 private:
  // … (implementer's)
};

}  // namespace coffer::vault
