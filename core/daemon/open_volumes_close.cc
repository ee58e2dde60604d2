// OpenVolumes: how volumes are closed: who keeps them open, unmounting, hurrying, the end of the
// daemon.
#include <algorithm>
#include <optional>

#include "core/base/log.h"
#include "core/base/mount_holders.h"
#include "core/base/planted.h"
#include "core/daemon/open_volumes_use.h"

namespace coffer::daemon {
namespace {

/// By force the upload is waited for as long as the store takes something within this time.
constexpr Duration kStallMax = std::chrono::seconds(60);
constexpr Duration kStallLook = std::chrono::seconds(5);

/// Looks at a number now and then, and tells once when it has stood still for kStallMax.
class StallWatch {
 public:
  StallWatch(Executor& timers, std::function<std::uint64_t()> number, std::function<void()> tell)
      : timers_(timers), number_(std::move(number)), tell_(std::move(tell)), most_(number_()) {
    MutexLock lock(mutex_);
    ArmLocked();
  }
  ~StallWatch() {
    {
      MutexLock lock(mutex_);
      over_ = true;
    }
    for (auto& timer : armed_) timer.reset();
  }
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  [[nodiscard]] bool told() const {
    MutexLock lock(mutex_);
    return told_;
  }

 private:
  // In turns: the timer before the last has ended long ago, and no task may destroy its own.
  void ArmLocked() REQUIRES_LOCK(mutex_) {
    turn_ = 1 - turn_;
    armed_[turn_] = timers_.PostAfter(kStallLook, [this] { Look(); });
  }
  void Look() EXCLUDES_LOCK(mutex_) {
    const std::uint64_t now = number_();
    {
      MutexLock lock(mutex_);
      if (over_) return;
      stood_ = now > most_ ? Duration{} : stood_ + kStallLook;
      most_ = std::max(most_, now);
      told_ = stood_ >= kStallMax;
      if (!told_) return ArmLocked();
    }
    tell_();
  }

  Executor& timers_;
  const std::function<std::uint64_t()> number_;
  const std::function<void()> tell_;
  mutable Mutex mutex_;
  std::unique_ptr<Executor::Timer> armed_[2];  // under the mutex, but for the end
  std::size_t turn_ GUARDED_BY(mutex_) = 0;
  std::uint64_t most_;  // under the mutex from the first look on
  Duration stood_ GUARDED_BY(mutex_){};
  bool over_ GUARDED_BY(mutex_) = false;
  bool told_ GUARDED_BY(mutex_) = false;
};

/// Requests that the store has answered, and those under way.
std::uint64_t AnsweredBy(const store::StoreCounts& counts) {
  const store::StoreCount total = counts.Total();
  return total.requests - std::min(total.requests, total.failures);
}

/// The end has 10 s in all.
constexpr std::chrono::milliseconds kPatienceAtEnd{3'000};

}  // namespace

Status OpenVolumes::Close(const VolumeKey& key, CloseHow how, const volume::SyncProgress& progress,
                          Closed* closed) {
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(mutex_);
    AwaitOpenedLocked(lock, key);
    entry = FindLocked(key);
    if (entry == nullptr || entry->state == State::kExcluded) {
      return Fail(NotOpen(FullNameOf(key)));
    }
    if (entry->state == State::kClosing) {
      return Fail(ErrorCode::kConflict, "volume " + FullNameOf(key) + " is just being closed",
                  "coffer status shows how far it is");
    }
    entry->state = State::kClosing;
    entry->deed = "closed";
  }
  Announce(key, "closing");
  // With waits for room as ever: what unmounting writes is not to fail.
  if (const Status unmounted = Unmount(key, *entry, how, closed); !unmounted.has_value()) {
    {
      MutexLock lock(mutex_);
      entry->state = State::kOpen;
      changed_.notify_all();
    }
    Announce(key, "open");
    return Fail(unmounted.error());
  }
  {
    MutexLock lock(mutex_);
    entry->may_hurry = true;
  }
  std::optional<StallWatch> watch;
  if (how.force == mount::Force::kYes && how.mode == volume::CloseMode::kUpload) {
    watch.emplace(
        env_.work_executor, [&entry] { return AnsweredBy(entry->lease.store_counts()); },
        [this, &key] { HurryClose(key); });
  }
  // Whoever leaves the rest in the journal waits for no store: a sync or a reader that does fails,
  // and those of the vault's other volumes try again.
  if (how.mode == volume::CloseMode::kLeaveInJournal) HurryClose(key);
  {
    MutexLock lock(mutex_);
    entry->volume->RefuseWaits();
    env_.sync_executor.Await(lock, changed_, [&entry] { return entry->users == 0; });
  }
  WithdrawAll(*entry);
  const Status status = entry->volume->Close(how.mode, progress);
  const bool stalled = watch && watch->told();
  watch.reset();
  const volume::VolumeStatus after = entry->volume->status();
  const std::uint64_t left = after.behind_bytes;
  closed->waiting_bytes = left;
  // What a failed journal holds is known when it is opened again, as after a crash.
  Remember(key, *entry, /*open=*/after.failed, left);
  NoteInUse(key, InUse::kNo);
  LearnVolumes(entry->lease.vault());
  Remove(key);
  LOG(kInfo, "closed ", key.volume, ", ", left, " bytes left in the journal");
  Announce(key, "closed");
  if (status.has_value()) return {};
  if (stalled && status.error().code == ErrorCode::kUnavailable) {
    return Fail(ErrorCode::kUnavailable,
                Concat("closing ", key.volume, ": its store has taken nothing for ",
                       std::chrono::duration_cast<std::chrono::seconds>(kStallMax).count(),
                       " s: what is not uploaded waits in this machine's journal"),
                "coffer open " + FullNameOf(key) + " goes on with it");
  }
  return Fail(status.error().Within("closing " + key.volume));
}

std::vector<MountHolder> OpenVolumes::HoldersOf(const Entry& entry) const {
  std::vector<MountHolder> holders;
  const auto add = [&holders](std::vector<MountHolder> more) {
    holders.insert(holders.end(), more.begin(), more.end());
  };
  for (const block::Exporter* const exporter : ExportersOf(entry)) {
    add(exporter->Clients(entry.export_name));
  }
  if (mounting_.mounter == nullptr) return holders;
  const auto mounted = MountedOf(entry);
  for (const Exported& exported : entry.exports) {
    if (exported.exporter->kind() != kImageExporter) continue;
    add(mounting_.mounter->OthersOn(exported.uri, mounted.get()));
  }
  if (mounted != nullptr && mounted->presence() == mount::Presence::kThere) {
    add(FindMountHolders(mounted->as().path));
  }
  return holders;
}

std::vector<OpenVolumes::Held> OpenVolumes::HeldThatStay(
    const std::function<std::vector<Held>()>& look) {
  constexpr int kLooks = 11;
  constexpr Duration kPause = std::chrono::milliseconds(100);
  for (int looks = 1;; ++looks) {
    std::vector<Held> held = look();
    std::erase_if(held, [](const Held& one) { return one.holders.empty(); });
    if (held.empty() || looks == kLooks) return held;
    MutexLock lock(mutex_);
    (void)env_.sync_executor.AwaitFor(lock, changed_, kPause, [] { return false; });
  }
}

std::string OpenVolumes::CloseHint(const VolumeKey& key) const {
  return "end what uses it, or coffer close " + FullNameOf(key) +
         " --force, which takes it away from under it";
}

Status OpenVolumes::Unmount(const VolumeKey& key, Entry& entry, CloseHow how, Closed* closed) {
  const bool by_force = how.force == mount::Force::kYes;
  const auto held = by_force ? std::vector<Held>() : HeldThatStay([&]() -> std::vector<Held> {
    return {{FullNameOf(key), HoldersOf(entry)}};
  });
  if (!held.empty()) {
    closed->held = held.front();
    return Fail(ErrorCode::kConflict,
                "volume " + FullNameOf(key) +
                    " stays open, since it is in use: " + DescribeHolders(closed->held.holders),
                CloseHint(key));
  }
  const auto mounted = MountedOf(entry);
  if (Planted("flush-here-at-close")) entry.volume->SetFlushes(volume::Volume::Flushes::kHere);
  if (mounted == nullptr) return {};
  const auto acknowledged = [&entry] { return entry.volume->status().acknowledged_seq; };
  // What unmounting flushes is durable here; whether it is uploaded the close itself tells. Where
  // nothing is mounted a FLUSH is a client's, who is told of none that did not happen.
  entry.volume->SetFlushes(volume::Volume::Flushes::kHere);
  const auto unmounted = mounted->Unmount({how.force, acknowledged, how.patience});
  entry.volume->SetFlushes(volume::Volume::Flushes::kAsDurable);
  if (unmounted.has_value()) {
    if (!unmounted->empty()) closed->notes.push_back(*unmounted);
    return {};
  }
  if (!by_force) {
    return Fail(unmounted.error().code,
                "volume " + FullNameOf(key) + " stays open: " + unmounted.error().message,
                CloseHint(key));
  }
  // The next open goes on from the record.
  closed->notes.push_back(
      unmounted.error().Within("what was mounted could not be unmounted").message);
  return {};
}

Status OpenVolumes::CheckUnused(std::vector<Held>* held) {
  *held = HeldThatStay([this] {
    std::vector<Held> all;
    for (const VolumeKey& key : keys()) {
      const auto use = Use::Begin(*this, key);
      // Else it is just being closed, or not open yet.
      if (use.has_value()) all.push_back({FullNameOf(key), HoldersOf((*use)->entry())});
    }
    return all;
  });
  std::string used;
  for (const Held& one : *held) {
    used.append(used.empty() ? "" : "; ")
        .append("volume " + one.volume + " is in use: " + DescribeHolders(one.holders));
  }
  if (used.empty()) return {};
  return Fail(ErrorCode::kConflict, "cofferd goes on, since " + used,
              "end what uses it, or say --force, which takes it away from under it");
}

void OpenVolumes::HurryClose(const VolumeKey& key) {
  MutexLock lock(mutex_);
  const auto entry = FindLocked(key);
  if (entry == nullptr || !entry->may_hurry || entry->hurry != nullptr) return;
  entry->hurry = entry->lease.HurryStore();
}

void OpenVolumes::CloseAllForEnd(Executor& executor) {
  const std::vector<VolumeKey> all = keys();
  ParallelFor(executor, all.size(), [&](std::size_t i) {
    Closed closed;
    const CloseHow how{volume::CloseMode::kLeaveInJournal, mount::Force::kYes, kPatienceAtEnd};
    const Status status = Close(all[i], how, {}, &closed);
    if (!status.has_value()) LOG(kWarning, "at the end: ", status.error().message);
    for (const std::string& note : closed.notes) LOG(kWarning, "at the end: ", note);
  });
  MutexLock lock(mutex_);
  env_.sync_executor.Await(lock, changed_,
                           [this]() REQUIRES_LOCK(mutex_) { return entries_.empty(); });
}

}  // namespace coffer::daemon
