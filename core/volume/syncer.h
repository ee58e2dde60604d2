// Syncer: carries generations into the store, one after the other: journal sync, packs, delta,
// head; then the generation leaves the queue and its journal segments are free. Folds when deltas
// pile up, and has chunks of many pieces fetched then, for the next commit to consolidate.
//
// States: idle (nothing to do, no timer: an idle volume costs nothing) -> waiting (the age timer
// runs)
//         -> running (a task on the sync executor) -> idle or waiting; or, after a failure, backing
//         off (a timer, 1 s doubling to 5 minutes; an explicit sync tries at once) ; fenced is
//         final. While uploads are paused only what somebody waits for leaves idle or waiting.
// What a failed attempt leaves: the generation stays in the queue; packs already uploaded are named
// by no head, and known for the next attempt (KeptWork); a head whose create had no clear answer is
// settled before anything else.
// Thread-safe; Run is the only one that changes head and map.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "core/cache/journal.h"
#include "core/vault/head_chain.h"
#include "core/volume/commit_builder.h"
#include "core/volume/damage.h"
#include "core/volume/kept_work.h"
#include "core/volume/live_map.h"
#include "core/volume/pace.h"
#include "core/volume/reserve.h"
#include "core/volume/status.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

class Syncer {
 public:
  using Progress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

  struct Beginning {
    bool new_epoch = false;  // the first head written raises it: the one before is another writer's
    std::size_t deltas_lost = 0;  // of the head, up to the last one that cannot be read
  };
  /// `newest` is the head that the volume was opened at. `reserve` is dropped when a commit finds
  /// the disk full, and held again after it. `damage` is told of pages that folds cannot read.
  /// `directory` is the volume's.
  Syncer(VaultResources& resources, const Settings& settings, vault::HeadChain& chain,
         vault::HeadChain::Newest newest, LiveMap& live, cache::Journal& journal,
         pack::DedupIndex* dedup, Reserve& reserve, Damage& damage, const Beginning& beginning,
         const std::string& directory);
  /// REQUIRES: Stop was called.
  ~Syncer() = default;

  /// After writes: starts the age timer, or a sync when the open generation is large enough.
  void NoteWrites();
  /// Of a reader or a writer: while they keep coming, a sync that nobody waits for gives way.
  void NoteRequest(std::uint64_t bytes) { pace_.NoteRequest(bytes); }
  /// Cuts what is open and starts to work, now.
  void Kick();
  /// Returns when everything that is published is committed, or with the first failure from now on.
  Status SyncAll(const Progress& progress);
  /// For a FLUSH that means the store: returns when everything that is published is committed,
  /// however many attempts that takes. kUnavailable after `limit`, if there is one; what stopped
  /// syncing for good; kCancelled as in AwaitCommit.
  Status FlushAll(std::optional<Duration> limit);
  /// Folds the deltas and releases the head, if this writer has one to release. REQUIRES: all
  /// committed.
  Status Release();
  /// Ends timers and waits for a running attempt. No syncs afterwards.
  void Stop();

  /// For a writer that finds no room: has everything committed that there is, and returns after the
  /// next commit or after a second (others may have made room on the disk). Of `left`, if there is
  /// a limit, it takes what it has waited; kNoSpace when nothing of it is left, or when syncing has
  /// stopped for good; kCancelled as below.
  Status AwaitCommit(std::optional<Duration>& left);
  /// While true FlushAll waits for nothing: Volume::Flushes::kHere.
  void SetFlushesHere(bool here);
  /// From now on who would wait for room, or with a FLUSH, fails with kCancelled: the volume is
  /// about to close.
  void RefuseWaits();

  /// While paused nothing is committed but what SyncAll and FlushAll wait for, and what had been
  /// published when they asked. A commit under way ends.
  void SetPaused(bool paused);

  /// From now on goes by `settings`; what waits longer than they say is committed now.
  void Retune(const Settings& settings);

  void FillStatus(VolumeStatus* status) const;

 private:
  /// What becomes true when the head being appended is in place.
  struct Step {
    format::Head head;
    std::optional<BuiltCommit> commit;  // of the building generation
    std::optional<map::FoldResult> folded;
    std::uint64_t committed_seq = 0;
    std::uint64_t generation_bytes = 0;
  };

  [[nodiscard]] Settings Tuned() const;
  void StartLocked() REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool HeldBackLocked() const REQUIRES_LOCK(mutex_);
  void Run();
  void ReturnMemorySoon();
  Status RunOnce();
  Status SettlePending();
  Status CommitGeneration(const Generation& generation);
  /// Between two steps of building; true: the next one shall be small.
  bool GiveWay(const Generation& generation);
  Status FoldDeltas();
  Status FoldIfFull();
  Status FoldInto(Step* step);
  [[nodiscard]] bool DeltasFull() const;
  [[nodiscard]] format::Head NextHead() const;
  Result<map::FoldResult> FoldTree();
  Status Append(Step step);
  void FetchFragmented();
  void Finish(const vault::HeadChain::Newest& newest);
  void FailLocked(Error error) REQUIRES_LOCK(mutex_);

  VaultResources& resources_;
  vault::Environment& env_;
  const Settings& settings_;  // as the volume was opened
  std::atomic<std::uint64_t> sync_bytes_;
  vault::HeadChain& chain_;
  LiveMap& live_;
  cache::Journal& journal_;
  pack::DedupIndex* const dedup_;
  Reserve& reserve_;
  Damage& damage_;
  Pace pace_;
  KeptWork kept_;

  // Only the running attempt touches these.
  vault::HeadChain::Newest newest_;
  bool new_epoch_;
  /// Of the newest head's deltas, the oldest first, those that stay whatever is folded: up to the
  /// last one that is lost; and with them the residual that the last fold left.
  std::size_t deltas_lost_;
  std::size_t deltas_standing_;
  std::optional<Step> pending_;  // its head is spooled, the answer outstanding
  /// Chunks of many pieces: found by the last fold; then, after the commit that follows it at once,
  /// being fetched, so that the next one can write them whole.
  std::vector<std::uint64_t> found_;
  std::vector<std::uint64_t> fragmented_;

  /// Of committed generations, since free memory was given back.
  std::atomic<std::uint64_t> freed_bytes_ = 0;

  mutable Mutex mutex_;
  CondVar changed_;
  Settings tuned_ GUARDED_BY(mutex_);  // as they are now
  bool running_ GUARDED_BY(mutex_) = false;
  bool again_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  bool timer_set_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<Executor::Timer> timer_ GUARDED_BY(mutex_);
  bool memory_timer_set_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<Executor::Timer> memory_timer_ GUARDED_BY(mutex_);
  std::uint64_t committed_seq_ GUARDED_BY(mutex_) = 0;
  std::uint64_t committed_bytes_ GUARDED_BY(mutex_) = 0;  // since open, of dirty data
  std::uint64_t building_bytes_ GUARDED_BY(mutex_) = 0;   // of the running one, done so far
  std::uint64_t attempts_begun_ GUARDED_BY(mutex_) = 0;
  std::uint64_t attempts_wanted_ GUARDED_BY(mutex_) = 0;  // up to this number without a pause
  std::uint64_t attempt_failed_ GUARDED_BY(mutex_) = 0;   // number of the newest that did
  Error trouble_ GUARDED_BY(mutex_){ErrorCode::kUnavailable, {}, {}};
  bool refusing_ GUARDED_BY(mutex_) = false;  // waits for room
  bool flushes_here_ GUARDED_BY(mutex_) = false;
  int waiting_ GUARDED_BY(mutex_) = 0;          // for a commit: who is in the calls above
  int flushes_waiting_ GUARDED_BY(mutex_) = 0;  // of these
  bool paused_ GUARDED_BY(mutex_) = false;
  std::uint64_t asked_seq_ GUARDED_BY(mutex_) = 0;  // somebody waited for so much to be committed
  bool hopeless_ GUARDED_BY(mutex_) = false;        // needs a person: no attempt by itself
  Duration backoff_ GUARDED_BY(mutex_){};
  MonotonicTime retry_at_ GUARDED_BY(mutex_){};
  std::uint64_t head_seq_ GUARDED_BY(mutex_) = 0;
  std::size_t unfolded_deltas_ GUARDED_BY(mutex_) = 0;
  std::uint64_t commits_ GUARDED_BY(mutex_) = 0;
  std::uint64_t uploaded_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t consolidated_chunks_ GUARDED_BY(mutex_) = 0;
  MonotonicTime build_started_ GUARDED_BY(mutex_){};      // of the running commit
  double dirty_bytes_per_second_ GUARDED_BY(mutex_) = 0;  // committed, smoothed; 0: unknown
};

}  // namespace coffer::volume
