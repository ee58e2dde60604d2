// OpenVolumes: the volumes that this daemon has open, each with its exports and its lease on the
// vault. Calls block for as long as their work takes.
//
// States of an entry: opening -> open -> closing -> gone; opening -> gone when it fails; open ->
// mounting -> open where somebody else has unmounted it and it is opened once more; excluded ->
// gone for a volume that must stay closed. `opening`, `mounting`, `closing` and `excluded` belong
// to one thread each; while `open` or `mounting`, any thread may use the volume after counting
// itself in `users`. What is mounted is unmounted first, while the volume works as ever; while
// somebody uses it, the volume is `open` again. Closing goes on when `users` has fallen to zero.
// Invariants: a volume's device is exported only while `open`, and withdrawn before it closes; it
// is mounted only while it is exported. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mount_holders.h"
#include "core/base/mutex.h"
#include "core/block/exporter.h"
#include "core/control/event_hub.h"
#include "core/control/messages.h"
#include "core/daemon/live_config.h"
#include "core/daemon/registry.h"
#include "core/daemon/vault_pool.h"
#include "core/mount/mounter.h"
#include "core/volume/volume.h"

namespace coffer::daemon {

struct VolumeKey {
  VaultId vault;
  std::string volume;
  auto operator<=>(const VolumeKey&) const = default;
};

/// `full_name` is VAULT/VOLUME.
[[nodiscard]] Error NotOpen(const std::string& full_name);

class OpenVolumes {
  struct Entry;

 public:
  /// Unlocks the volume's vault.
  using Unlock = std::function<Result<VaultPool::Lease>()>;

  /// How volumes are mounted; without a mounter they are not.
  struct Mounting {
    mount::Mounter* mounter = nullptr;
    std::string images_directory;  // where images are served that are asked for only to be mounted
  };

  /// All outlive this. `exporters`: one of each kind.
  OpenVolumes(vault::Environment& env, Registry& registry, control::EventHub& events,
              std::vector<block::Exporter*> exporters, const LiveConfig& config, Mounting mounting);
  ~OpenVolumes();  // everything is closed

  /// Opens, exports and mounts. A volume open already with the same exports and mode is left as it
  /// is, but for what somebody has unmounted: that is mounted again. kConflict when they differ.
  /// Clients ask for it by its name, by VAULT/VOLUME while an open volume of another vault has
  /// that.
  Result<control::OpenReply> Open(const VolumeKey& key, const control::OpenRequest& request,
                                  const Unlock& unlock, const volume::ReplayProgress& progress);
  Status Sync(const VolumeKey& key, const volume::SyncProgress& progress);
  struct CloseHow {
    volume::CloseMode mode;
    mount::Force force = mount::Force::kNo;
    /// By force: how long what is flushed may stand still.
    std::chrono::milliseconds patience = mount::UnmountHow().patience;
  };
  struct Held {
    std::string volume;  // VAULT/VOLUME
    std::vector<MountHolder> holders;
  };
  struct Closed {
    std::uint64_t waiting_bytes = 0;  // left in the journal
    std::vector<std::string> notes;   // what was lost, for a person
    Held held;                        // who keeps it open
  };
  /// Unmounts, withdraws the exports, waits for syncs that run, closes. kConflict while somebody is
  /// connected, or uses what is mounted, or the image: it stays open, unless forced. Any other
  /// failure is the upload's, the volume is closed all the same.
  Status Close(const VolumeKey& key, CloseHow how, const volume::SyncProgress& progress,
               Closed* closed);
  /// kConflict while somebody uses any volume: those are `held`. Looks for a second, at all of
  /// them.
  Status CheckUnused(std::vector<Held>* held);

  /// What of the volume's vault was mended by itself, once each; empty while it is not open.
  std::vector<std::string> TakeNotes(const VolumeKey& key);

  /// What of Open's errors can be told without a password.
  Status CheckOpen(const VolumeKey& key, const control::OpenRequest& request) const;

  /// A volume that is being closed waits for its vault's store no longer: what is not uploaded
  /// stays in the journal.
  void HurryClose(const VolumeKey& key);

  /// What stands in the way of a resize now: kConflict while it is open read-only, and to a smaller
  /// size while somebody is connected, since a client learns a size only when it connects.
  Status CheckResize(const VolumeKey& key, std::uint64_t size, volume::Volume::Tail tail);
  /// Changes the size of an open volume; waits for room on a full disk, and for the store where
  /// that is what durable means. Returns what is left to the user before what is mounted or
  /// connected can use another size. Errors as above and as of Volume::Resize.
  Result<std::vector<std::string>> Resize(const VolumeKey& key, std::uint64_t size,
                                          volume::Volume::Tail tail);

  /// Volume::Resize of a volume open for the caller, noted as a deed: what fails in the midst of it
  /// may be found again by the next open.
  Status ResizeNoted(const VolumeKey& key, const VolumeId& id, volume::Volume& volume,
                     std::uint64_t size, volume::Volume::Tail tail);

  /// Keeps a volume that is not open from being opened while it lives.
  class Exclusion {
   public:
    Exclusion(OpenVolumes& volumes, VolumeKey key) : volumes_(volumes), key_(std::move(key)) {}
    ~Exclusion() { volumes_.Remove(key_); }
    Exclusion(const Exclusion&) = delete;
    Exclusion& operator=(const Exclusion&) = delete;

   private:
    OpenVolumes& volumes_;
    const VolumeKey key_;
  };
  /// `deed` says what is being done: "deleted". kConflict while it is open.
  Result<std::unique_ptr<Exclusion>> Exclude(const VolumeKey& key, std::string deed);

  /// What kept volumes of the vault from being opened does not count any more.
  void ForgetRefusals(const VaultId& vault);

  /// Closes everything, also what is just being opened, leaving the rest in the journals; returns
  /// when nothing is open.
  void CloseAllForEnd(Executor& executor);

  [[nodiscard]] std::vector<VolumeKey> keys() const;
  /// What holds for it now: the config, and what was said when it was opened.
  [[nodiscard]] config::Effective ConfigOf(const VolumeKey& key) const;
  /// The config has changed: open volumes go by it from now on.
  void Retune();
  /// Of all that are open, and of those that are opened from now on.
  void SetUploads(volume::Uploads uploads);
  /// What exporters have read from files is read again.
  void RereadFiles();
  /// Fills in what is known of an open volume; false when it is not open: then only what kept it
  /// from being opened, if that needs a person.
  bool FillStatus(const VolumeKey& key, control::VolumeStatus* status);

 private:
  enum class State { kOpening, kOpen, kMounting, kClosing, kExcluded };
  struct Exported {
    block::Exporter* exporter;
    std::string address;
    std::string uri;
  };
  struct Entry {
    State state = State::kOpening;
    std::string deed;  // why it is not open
    std::size_t users = 0;
    std::size_t watchers = 0;  // who look at its numbers while it closes
    bool leaving = false;      // nobody begins to any more
    bool read_only = false;
    std::string export_name;
    VolumeId id;
    config::Overrides overrides;
    std::vector<Exported> exports;
    std::optional<control::MountRequest> mount_request;
    /// Set by whom the entry belongs to, under the mutex; null: never was mounted.
    std::shared_ptr<mount::MountedImage> mounted;
    VaultPool::Lease lease;  // before the volume, which stands on it
    std::unique_ptr<volume::Volume> volume;
    bool may_hurry = false;               // under the lock: while closing, and the lease is there
    std::unique_ptr<store::Hurry> hurry;  // under the lock
  };
  /// The kind of the exporter whose exports are files.
  static constexpr const char* kImageExporter = "fuse";

  class Use;  // counts itself in `users`

  Status Build(const VolumeKey& key, Entry& entry, const control::OpenRequest& request,
               const Unlock& unlock, const volume::ReplayProgress& progress);
  Status ExportAll(const VolumeKey& key, Entry& entry, const control::OpenRequest& request);
  [[nodiscard]] static std::vector<block::Exporter*> ExportersOf(const Entry& entry);
  void WithdrawAll(Entry& entry);
  /// Undoes what a killed daemon left mounted of it.
  Status CleanUpMount(const VolumeKey& key, const Entry& entry);
  Status Mount(const VolumeKey& key, Entry& entry, const std::string& mkfs);
  /// Mounts again what somebody else has unmounted.
  Status RestoreMount(const VolumeKey& key, Entry& entry) EXCLUDES_LOCK(mutex_);
  Status MountAgain(const VolumeKey& key, Entry& entry);
  static Error ExplainNoMount(const Entry& entry, const Error& error);
  [[nodiscard]] std::shared_ptr<mount::MountedImage> MountedOf(const Entry& entry) const
      EXCLUDES_LOCK(mutex_);
  Status Unmount(const VolumeKey& key, Entry& entry, CloseHow how, Closed* closed);
  [[nodiscard]] std::vector<MountHolder> HoldersOf(const Entry& entry) const;
  /// Those that `look` still finds after a second: a client that has just ended, or a loop device
  /// that has just been detached, is seen for a moment yet.
  [[nodiscard]] std::vector<Held> HeldThatStay(const std::function<std::vector<Held>()>& look);
  [[nodiscard]] std::string CloseHint(const VolumeKey& key) const;
  [[nodiscard]] block::ExportSpec SpecOf(const VolumeKey& key, const config::Overrides& overrides,
                                         const control::ExportRequest& wanted) const;
  [[nodiscard]] std::string MountRecordOf(const VaultId& vault, const VolumeId& volume) const;
  [[nodiscard]] std::vector<control::ExportRequest> WantedExports(
      const control::OpenRequest& request) const;
  Result<block::Exporter*> ExporterOf(const std::string& kind) const;
  Result<control::OpenReply> OpenAgain(const VolumeKey& key, Entry& entry,
                                       const control::OpenRequest& request);
  Status CheckSame(const VolumeKey& key, const Entry& entry,
                   const control::OpenRequest& request) const;
  [[nodiscard]] std::string VaultNameOf(const VolumeKey& key) const;
  /// VAULT/VOLUME, as a message names it.
  [[nodiscard]] std::string FullNameOf(const VolumeKey& key) const;
  control::OpenReply Describe(const VolumeKey& key, const Entry& entry) const;
  /// Opening or closing a volume may have made another one: the fork of a tail.
  void LearnVolumes(vault::Vault& vault);
  void SettleDeedsOf(const VolumeKey& key, const VolumeId& id);
  [[nodiscard]] static int ClientsOf(const Entry& entry);
  void FillNumbers(const VolumeKey& key, const Entry& entry, control::VolumeStatus* status) const;
  enum class InUse { kNo, kYes };
  void NoteInUse(const VolumeKey& key, InUse in_use);
  Status CheckResizeOf(const VolumeKey& key, const Entry& entry, std::uint64_t size,
                       volume::Volume::Tail tail) const;
  void Remember(const VolumeKey& key, const Entry& entry, bool open, std::uint64_t waiting_bytes);
  void Announce(const VolumeKey& key, const std::string& state);
  [[nodiscard]] std::string ExportNameLocked(const VolumeKey& key) const REQUIRES_LOCK(mutex_);
  std::shared_ptr<Entry> FindLocked(const VolumeKey& key) const REQUIRES_LOCK(mutex_);
  void AwaitOpenedLocked(MutexLock& lock, const VolumeKey& key) REQUIRES_LOCK(mutex_);
  void Remove(const VolumeKey& key);

  vault::Environment& env_;
  Registry& registry_;
  control::EventHub& events_;
  const std::vector<block::Exporter*> exporters_;
  const LiveConfig& config_;
  const Mounting mounting_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<VolumeKey, std::shared_ptr<Entry>> entries_ GUARDED_BY(mutex_);
  std::atomic<volume::Uploads> uploads_ = volume::Uploads::kGoOn;
  std::map<VolumeKey, Error> refused_ GUARDED_BY(mutex_);  // why the last open needs a person
};

}  // namespace coffer::daemon
