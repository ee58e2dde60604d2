#include "core/daemon/vault_pool.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/lane.h"
#include "core/base/log.h"
#include "core/cache/sqlite_index.h"

namespace coffer::daemon {
namespace {

// Of one vault. Its readers', and three packs in flight for each of its volumes that syncs.
constexpr int kFetchThreads = 32;
constexpr int kSyncThreads = 4;  // volumes that sync at once

}  // namespace

VaultPool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      slot_(std::exchange(other.slot_, nullptr)),
      used_password_(other.used_password_) {}

VaultPool::Lease& VaultPool::Lease::operator=(Lease&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(slot_, other.slot_);
  std::swap(used_password_, other.used_password_);
  return *this;
}

VaultPool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->EndLease(*slot_);
}

// A lease holds `leases` above zero, so nobody changes `unlocked` meanwhile.
vault::Vault& VaultPool::Lease::vault() const { return *slot_->unlocked->vault; }
volume::VaultResources& VaultPool::Lease::resources() const { return slot_->unlocked->resources; }
store::StoreCounts VaultPool::Lease::store_counts() const {
  return slot_->unlocked->counter->counts();
}

std::unique_ptr<store::Hurry> VaultPool::Lease::HurryStore() const {
  return std::make_unique<store::Hurry>(slot_->unlocked->control);
}

VaultPool::Lanes::Lanes(const vault::Environment& shared, std::unique_ptr<Executor> fetch_lane,
                        std::unique_ptr<Executor> sync_lane)
    : fetch(std::move(fetch_lane)),
      sync(std::move(sync_lane)),
      env{shared.fs,
          shared.clock,
          shared.random,
          *sync,
          shared.work_executor,
          *fetch,
          shared.kdf_policy,
          shared.kdf_bounds,
          shared.state_directory,
          shared.host_name} {}

std::unique_ptr<VaultPool::Lanes> VaultPool::MakeLanes() const {
  using Lane = StoreSeams::Lane;
  if (seams_.new_lane) {
    return std::make_unique<Lanes>(env_, seams_.new_lane(Lane::kFetch),
                                   seams_.new_lane(Lane::kSync));
  }
  // `work` waits for no store, so it always has a moment to start a lane's thread again.
  Executor& starter = env_.work_executor;
  return std::make_unique<Lanes>(
      env_, NewLane("fetch", kFetchThreads, starter),
      NewLane("sync", kSyncThreads, starter, ThreadPriority::kBackground));
}

VaultPool::Unlocked::Unlocked(std::unique_ptr<Lanes> vault_lanes,
                              std::unique_ptr<vault::Vault> unlocked_vault, const StoreStack& stack,
                              cache::FrameCache& frames, cache::DiskCache* disk)
    : lanes(std::move(vault_lanes)),
      vault(std::move(unlocked_vault)),
      counter(stack.counter),
      control(stack.control),
      resources(*vault, frames, disk) {}

namespace {

std::unique_ptr<cache::DiskCache> MakeDiskCache(vault::Environment& env,
                                                const cache::DiskCache::Options& options) {
  if (options.directory.empty()) return nullptr;
  return std::make_unique<cache::DiskCache>(
      env.fs, env.clock, options,
      [&fs = env.fs, path = options.directory + "/index.sqlite"](
          std::vector<cache::IndexRow>* rows) { return cache::SqliteIndex::Open(fs, path, rows); });
}

}  // namespace

VaultPool::VaultPool(vault::Environment& env, std::size_t frame_cache_bytes,
                     cache::DiskCache::Options disk_cache, store::StoreReach reach,
                     StoreSeams seams)
    : env_(env),
      reach_(std::move(reach)),
      seams_(std::move(seams)),
      bandwidth_(env.clock),
      frames_(frame_cache_bytes),
      disk_(MakeDiskCache(env, disk_cache)) {}

cache::DiskCache* VaultPool::DiskCacheAfterUnlock() {
  if (disk_ != nullptr) disk_->Start();
  return disk_.get();
}

VaultPool::~VaultPool() {
  MutexLock lock(mutex_);
  for (const auto& [id, slot] : slots_) CHECK(slot.leases == 0 && !slot.busy);
}

bool VaultPool::HoldsKeys(const VaultId& id) const {
  MutexLock lock(mutex_);
  const auto found = slots_.find(id);
  return found != slots_.end() && found->second.leases > 0;
}

Result<StoreStack> VaultPool::OpenStack(const store::StoreUrl& url, store::StoreOpenMode mode) {
  auto control = std::make_shared<store::CallControl>();
  {
    MutexLock lock(mutex_);
    // Either the gate is seen shut here, or ShutStores finds the control.
    if (stores_shut_) return Fail(ErrorCode::kCancelled, "cofferd is ending");
    std::erase_if(controls_, [](const auto& one) { return one.expired(); });
    controls_.push_back(control);
  }
  return OpenStoreStack(EnvironmentOfStores(), bandwidth_, stores_shut_, seams_, std::move(control),
                        url, mode);
}

Result<VaultPool::Lease> VaultPool::Acquire(const VaultId& id, const store::StoreUrl& url,
                                            const SecretBytes& password, bool single_writer,
                                            For purpose) {
  MutexLock lock(mutex_);
  Slot& slot = slots_[id];
  env_.work_executor.Await(lock, changed_, [&slot] { return !slot.busy; });
  if (slot.leases > 0) {
    slot.leases += 1;
    return Lease(*this, slot, /*used_password=*/false);
  }
  if (password.empty()) {
    return Fail(ErrorCode::kUnauthenticated,
                "the vault at " + url.ToString() + " is locked: its password is needed");
  }
  slot.busy = true;
  lock.Unlock();
  const auto unlock = [&]() -> Result<std::unique_ptr<Unlocked>> {
    ASSIGN_OR_RETURN(StoreStack stack, OpenStack(url, store::StoreOpenMode::kExisting));
    vault::Vault::UnlockOptions options;
    options.expected = id;
    options.single_writer = single_writer;
    options.keys_next = purpose == For::kKeys;
    if (purpose == For::kLooking) options.doubts = vault::Vault::Doubts::kTolerate;
    auto lanes = MakeLanes();
    ASSIGN_OR_RETURN(auto vault,
                     vault::Vault::Unlock(lanes->env, std::move(stack.store), password, options));
    return std::make_unique<Unlocked>(std::move(lanes), std::move(vault), stack, frames_,
                                      DiskCacheAfterUnlock());
  };
  auto unlocked = unlock();
  lock.Lock();
  slot.busy = false;
  changed_.notify_all();
  if (!unlocked.has_value()) return Fail(unlocked.error());
  slot.unlocked = std::move(*unlocked);
  slot.leases = 1;
  return Lease(*this, slot, /*used_password=*/true);
}

Result<VaultPool::Lease> VaultPool::Create(const store::StoreUrl& url, const SecretBytes& password,
                                           const vault::VolumeSpec& first_volume,
                                           const vault::Vault::CreateOptions& options) {
  ASSIGN_OR_RETURN(StoreStack stack, OpenStack(url, store::StoreOpenMode::kForInit));
  auto lanes = MakeLanes();
  ASSIGN_OR_RETURN(auto vault, vault::Vault::Create(lanes->env, std::move(stack.store), password,
                                                    first_volume, options));
  auto unlocked = std::make_unique<Unlocked>(std::move(lanes), std::move(vault), stack, frames_,
                                             DiskCacheAfterUnlock());
  MutexLock lock(mutex_);
  // Nobody can have had a slot for an id made a moment ago.
  Slot& slot = slots_[unlocked->vault->id()];
  CHECK(!slot.busy && slot.leases == 0);
  slot.unlocked = std::move(unlocked);
  slot.leases = 1;
  return Lease(*this, slot, /*used_password=*/true);
}

Result<VaultId> VaultPool::IdentifyVault(const store::StoreUrl& url) {
  ASSIGN_OR_RETURN(const StoreStack stack, OpenStack(url, store::StoreOpenMode::kExisting));
  return vault::Vault::Identify(*stack.store);
}

VaultPool::Turn::Turn(VaultPool& pool, std::string url) : pool_(pool), url_(std::move(url)) {
  MutexLock lock(pool_.mutex_);
  pool_.env_.work_executor.Await(lock, pool_.changed_, [this]() NO_THREAD_SAFETY_ANALYSIS {
    return pool_.turns_.insert(url_).second;
  });
}

VaultPool::Turn::~Turn() {
  MutexLock lock(pool_.mutex_);
  pool_.turns_.erase(url_);
  pool_.changed_.notify_all();
}

void VaultPool::EndLease(Slot& slot) {
  MutexLock lock(mutex_);
  slot.leases -= 1;
  if (slot.leases > 0) return;
  slot.busy = true;
  std::unique_ptr<Unlocked> last = std::move(slot.unlocked);
  lock.Unlock();
  last.reset();  // lets go of the lock file and wipes the keys
  lock.Lock();
  slot.busy = false;
  changed_.notify_all();
}

void VaultPool::ShutStores() {
  stores_shut_ = true;
  MutexLock lock(mutex_);
  for (const auto& one : controls_) {
    if (const auto control = one.lock(); control != nullptr) control->Cancel();
  }
}

}  // namespace coffer::daemon
