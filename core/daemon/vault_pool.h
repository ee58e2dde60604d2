// VaultPool: the vaults whose keys this daemon holds. A lease keeps a vault unlocked; with the last
// one its keys are forgotten. Every open volume holds a lease.
//
// States of a vault: locked -> busy (one thread unlocks or creates it; others wait) -> unlocked
// (leases > 0) -> busy (the last lease ended; it is being put away) -> locked. Invariant: `vault`
// is set exactly while unlocked. Thread-safe; a lease may be ended on any thread.
//
// A vault's trouble is its own: each has lanes for all that waits for its store, and shares with
// the others only `work`, which waits for none.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/cache/disk_cache.h"
#include "core/cache/frame_cache.h"
#include "core/daemon/registry.h"
#include "core/daemon/store_stack.h"
#include "core/store/bandwidth.h"
#include "core/store/open_store.h"
#include "core/vault/vault.h"
#include "core/volume/vault_resources.h"

namespace coffer::daemon {

/// Whether what the vault's catalog says holds against what this machine remembers.
[[nodiscard]] inline KnownVault::Belief BeliefIn(const vault::Vault& vault) {
  return vault.doubts().empty() ? KnownVault::Belief::kFull : KnownVault::Belief::kDoubtful;
}

class VaultPool {
  struct Slot;

 public:
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    [[nodiscard]] vault::Vault& vault() const;
    [[nodiscard]] volume::VaultResources& resources() const;
    [[nodiscard]] store::StoreCounts store_counts() const;
    /// While it lives nobody waits for the vault's store for longer than a moment.
    [[nodiscard]] std::unique_ptr<store::Hurry> HurryStore() const;
    /// The password given for this lease has opened the vault; otherwise it was not looked at.
    [[nodiscard]] bool used_password() const { return used_password_; }

   private:
    friend class VaultPool;
    Lease(VaultPool& pool, Slot& slot, bool used_password)
        : pool_(&pool), slot_(&slot), used_password_(used_password) {}

    VaultPool* pool_ = nullptr;
    Slot* slot_ = nullptr;
    bool used_password_ = false;
  };

  /// The disk cache is opened with the first vault: nothing is read or written there before an
  /// unlock. Without a directory there is none.
  VaultPool(vault::Environment& env, std::size_t frame_cache_bytes,
            cache::DiskCache::Options disk_cache, store::StoreReach reach = {},
            StoreSeams seams = {});
  ~VaultPool();  // no lease is left

  /// The keys of `id` are held: no password is needed.
  [[nodiscard]] bool HoldsKeys(const VaultId& id) const;

  enum class For {
    kVolumes,
    kKeys,     // Vault::UnlockOptions::keys_next
    kLooking,  // Vault::Doubts::kTolerate
  };
  /// Unlocks the vault `id` at `url` unless its keys are held already; then `password` is not
  /// looked at. kUnauthenticated when a password is needed and none is given.
  Result<Lease> Acquire(const VaultId& id, const store::StoreUrl& url, const SecretBytes& password,
                        bool single_writer, For purpose = For::kVolumes);
  /// Makes a vault at `url`, with its first volume.
  Result<Lease> Create(const store::StoreUrl& url, const SecretBytes& password,
                       const vault::VolumeSpec& first_volume,
                       const vault::Vault::CreateOptions& options);
  /// A store for a while, with all its layers.
  Result<StoreStack> OpenStack(const store::StoreUrl& url, store::StoreOpenMode mode);
  /// The id of the vault at `url`, from its marker; kNotFound when there is none.
  Result<VaultId> IdentifyVault(const store::StoreUrl& url);
  /// Why no vault can be made at `url`, as far as that shows without making anything.
  Status CheckForInit(const store::StoreUrl& url) {
    return store::CheckForInit(EnvironmentOfStores(), url);
  }

  /// One at a time for a store: whoever comes second waits until the first is through.
  class Turn {
   public:
    Turn(VaultPool& pool, std::string url);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    VaultPool& pool_;
    const std::string url_;
  };

  void SetFrameCacheBytes(std::size_t bytes_max) { frames_.SetBytesMax(bytes_max); }
  void SetDiskCacheBytes(std::uint64_t bytes_max) {
    if (disk_ != nullptr) disk_->SetBytesMax(bytes_max);
  }

  /// How much all stores together may send and receive.
  void SetBandwidth(store::RateSchedule up, store::RateSchedule down) {
    bandwidth_.Set(store::Bandwidth::Direction::kUp, std::move(up));
    bandwidth_.Set(store::Bandwidth::Direction::kDown, std::move(down));
  }

  /// From now on every request to a store fails, and no wait for a store goes on, whoever waits.
  void ShutStores();

 private:
  /// The executors of one vault, and its environment with them.
  struct Lanes {
    Lanes(const vault::Environment& shared, std::unique_ptr<Executor> fetch_lane,
          std::unique_ptr<Executor> sync_lane);

    const std::unique_ptr<Executor> fetch;
    const std::unique_ptr<Executor>
        sync;  // its tasks wait for those of `fetch` and the shared work
    vault::Environment env;
  };
  [[nodiscard]] std::unique_ptr<Lanes> MakeLanes() const;
  /// An unlocked vault and what belongs to it, in the order of its building.
  struct Unlocked {
    Unlocked(std::unique_ptr<Lanes> vault_lanes, std::unique_ptr<vault::Vault> unlocked_vault,
             const StoreStack& stack, cache::FrameCache& frames, cache::DiskCache* disk);

    std::unique_ptr<Lanes> lanes;
    std::unique_ptr<vault::Vault> vault;
    store::CountingStore* counter;
    std::shared_ptr<store::CallControl> control;
    volume::VaultResources resources;
  };
  struct Slot {
    bool busy = false;
    std::size_t leases = 0;
    std::unique_ptr<Unlocked> unlocked;
  };

  [[nodiscard]] store::StoreEnvironment EnvironmentOfStores() const {
    return {env_.fs, env_.clock, env_.random, env_.work_executor, reach_};
  }
  void EndLease(Slot& slot);
  /// Null without a directory for it.
  cache::DiskCache* DiskCacheAfterUnlock();

  vault::Environment& env_;
  const store::StoreReach reach_;
  const StoreSeams seams_;
  store::Bandwidth bandwidth_;
  cache::FrameCache frames_;
  const std::unique_ptr<cache::DiskCache> disk_;
  std::atomic<bool> stores_shut_{false};
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::weak_ptr<store::CallControl>> controls_ GUARDED_BY(mutex_);  // of every store
  std::map<VaultId, Slot> slots_ GUARDED_BY(mutex_);  // entries stay; references to them hold
  std::set<std::string> turns_ GUARDED_BY(mutex_);    // stores at which an init runs
};

}  // namespace coffer::daemon
