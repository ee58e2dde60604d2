// VaultAdmin: makes vaults and gets to know them (`init`, `add`). Thread-safe.
#pragma once

#include <functional>
#include <string>

#include "core/control/messages.h"
#include "core/daemon/live_config.h"
#include "core/daemon/registry.h"
#include "core/daemon/vault_pool.h"

namespace coffer::daemon {

class VaultAdmin {
 public:
  VaultAdmin(Registry& registry, VaultPool& pool, const LiveConfig& config)
      : registry_(registry), pool_(pool), config_(config) {}

  [[nodiscard]] control::VaultList Vaults() const;
  /// kUnavailable as Init.
  Result<control::ProbeReply> Probe(const control::ProbeRequest& request);
  /// Adds a volume to the vault at the store, which is made where there is none. kUnavailable where
  /// a vault known on this machine belongs and is not: its disk may just not be mounted.
  Result<control::InitReply> Init(const control::InitRequest& request);
  /// kAlreadyExists for a vault that is known at another store, or by another name than is wanted,
  /// unless it is to be replaced; kConflict to give it another store while its keys are held. What
  /// the store offers may be doubtful: the reply says so.
  Result<control::AddReply> Add(const control::AddRequest& request);

  /// Why a vault that is known could not be unlocked.
  [[nodiscard]] Error ExplainNoVault(const KnownVault& vault, const Error& why) const;

  [[nodiscard]] control::VaultInfo InfoOf(const KnownVault& vault) const;

  /// Brings the registry's volumes of an unlocked vault in line with its catalog.
  void LearnVolumes(const VaultPool::Lease& lease);
  enum class SettleFor { kReading, kWriting };  // kWriting finishes what may be finished
  /// Finds out what became of deeds that were broken off, as far as the store tells.
  void SettleDeeds(const VaultPool::Lease& lease, SettleFor purpose);
  enum class Ended { kDone, kNotDone, kUnknown };
  /// What became of a change of the catalog that failed: it is done if the newest one `shows` it.
  static Ended HowEnded(vault::Vault& vault,
                        const std::function<bool(const format::Catalog&)>& shows);

 private:
  struct Wanted {
    const store::StoreUrl& url;
    const std::string& alias;
    bool replace = false;
  };
  [[nodiscard]] Status CheckMayEnter(const VaultId& id, const Wanted& wanted) const;
  [[nodiscard]] Status CheckNewVolume(const VaultId& id, const std::string& volume) const;
  [[nodiscard]] Status CheckNoVaultBelongsAt(const store::StoreUrl& url,
                                             const std::string& alias) const;
  Result<VaultPool::Lease> CreateOrUnlock(const control::InitRequest& request,
                                          const store::StoreUrl& url, bool* created);
  Result<VaultPool::Lease> CreateVault(const control::InitRequest& request,
                                       const store::StoreUrl& url, const std::string& alias);
  void ForgetAgain(const VaultId& id);
  void ForgetUnmade(const store::StoreUrl& url);
  Status AddVolume(const VaultPool::Lease& lease, const control::InitRequest& request,
                   const store::StoreUrl& url);
  Result<vault::VolumeSpec> SpecOf(const control::InitRequest& request,
                                   const std::string& alias) const;
  /// Enters the vault, or what is new about it, and its volumes.
  Status Enter(const VaultPool::Lease& lease, const store::StoreUrl& url, const std::string& alias,
               bool single_writer);
  void LearnSizes(const VaultPool::Lease& lease);
  Result<std::string> AliasFor(const VaultId& id, const store::StoreUrl& url,
                               const std::string& wanted) const;

  Registry& registry_;
  VaultPool& pool_;
  const LiveConfig& config_;
};

}  // namespace coffer::daemon
