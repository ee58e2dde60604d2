// VolumeAdmin: what is done to a vault's keys and to volumes as a whole: `passwd`, `key list`,
// `rename`, `resize`, `delete`, `info`. Calls block for as long as a password hash and a few
// requests take; what takes longer is handed back as work for a job. Thread-safe.
#pragma once

#include <map>
#include <string>

#include "core/base/mutex.h"
#include "core/control/messages.h"
#include "core/daemon/job_table.h"
#include "core/daemon/open_volumes.h"
#include "core/daemon/registry.h"
#include "core/daemon/vault_admin.h"
#include "core/daemon/vault_pool.h"

namespace coffer::daemon {

class VolumeAdmin {
 public:
  /// All outlive this.
  VolumeAdmin(Registry& registry, VaultPool& pool, VaultAdmin& vaults, OpenVolumes& open)
      : registry_(registry), pool_(pool), vaults_(vaults), open_(open) {}

  Result<control::PasswdReply> Passwd(const KnownVault& vault,
                                      const control::PasswdRequest& request);
  Result<control::KeyList> Keys(const KnownVault& vault, const control::KeysRequest& request);
  Status Rename(const KnownVault& vault, const VolumeKey& key,
                const control::RenameRequest& request);
  /// Refuses what can be refused at once; the work returned does the rest.
  Result<JobTable::Work> Resize(const KnownVault& vault, const VolumeKey& key,
                                const control::ResizeRequest& request);
  /// Refuses as Resize does. `waiting_bytes` of this machine's journal go with the volume.
  Result<JobTable::Work> Delete(const KnownVault& vault, const VolumeKey& key,
                                std::uint64_t waiting_bytes, const control::DeleteRequest& request);
  /// What is known of a volume beyond its status, without asking the store or for a password.
  void FillInfo(const KnownVault& vault, const VolumeKey& key, control::VolumeInfo* info);
  /// Counts what the volume has in the store, for FillInfo to tell.
  Result<JobTable::Work> Survey(const KnownVault& vault, const VolumeKey& key,
                                const control::SurveyRequest& request);

 private:
  /// What keeps a closed volume to its owner while it is worked on.
  struct Held {
    std::unique_ptr<OpenVolumes::Exclusion> exclusion;
    VaultPool::Lease lease;  // ends first
  };
  Status ResizeClosed(Held& held, const VolumeKey& key, std::uint64_t size,
                      volume::Volume::Tail tail, JobTable::Reporter& reporter);
  Status RenameNoted(const KnownVault& vault, const VaultPool::Lease& lease, const VolumeId& id,
                     const std::string& from, const std::string& to);
  Status DeleteNoted(const VaultPool::Lease& lease, const VolumeKey& key, const VolumeId& id,
                     JobTable::Reporter& reporter);
  Status DeleteHeld(Held& held, const VolumeKey& key, control::Deleted deleted,
                    JobTable::Reporter& reporter);
  void FillFromVault(const VaultPool::Lease& lease, const VolumeKey& key,
                     control::VolumeInfo* info) const;
  Result<VaultPool::Lease> Unlock(const KnownVault& vault, const SecretBytes& password,
                                  VaultPool::For purpose = VaultPool::For::kVolumes);
  /// Unlocked, and `password` is the vault's, whether its keys were held or not.
  Result<VaultPool::Lease> UnlockChecked(const KnownVault& vault, const SecretBytes& password);

  Registry& registry_;
  VaultPool& pool_;
  VaultAdmin& vaults_;
  OpenVolumes& open_;
  Mutex mutex_;
  /// As each volume's newest survey left it, without its status; of volumes that exist.
  std::map<VolumeKey, control::VolumeInfo> surveyed_ GUARDED_BY(mutex_);
};

}  // namespace coffer::daemon
