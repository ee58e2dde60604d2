// One attempt of a Syncer: what is committed, folded, released, and what follows from it.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/format/limits.h"
#include "core/volume/read_path.h"
#include "core/volume/syncer.h"

namespace coffer::volume {
namespace {

/// A sync gives way until its oldest write has waited for this many times the age at which it was
/// to begin, or its journal is full to a half.
constexpr int kAgesGivingWay = 2;
constexpr int kJournalPartGivingWay = 2;
/// Weight of the newest commit in the upload rate that is reported.
constexpr double kRateWeight = 0.3;

}  // namespace

Status Syncer::SettlePending() {
  if (!pending_.has_value()) return {};
  ASSIGN_OR_RETURN(const vault::HeadChain::Newest newest, chain_.Retry());
  Finish(newest);
  return {};
}

Status Syncer::RunOnce() {
  RETURN_IF_ERROR(SettlePending());
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (stopped_) return {};
    }
    RETURN_IF_ERROR(FoldIfFull());
    const Generation* generation = live_.BeginBuild();
    if (generation == nullptr) return {};
    RETURN_IF_ERROR(kept_.Recall(journal_.appended_seq()));
    kept_.Serve(generation->last_seq);
    const Status committed = CommitGeneration(*generation);
    if (!committed.has_value() && Planted("lose-map-on-failed-sync")) live_.Commit({});
    RETURN_IF_ERROR(committed);
  }
}

bool Syncer::DeltasFull() const {
  const auto& deltas = newest_.head.map.deltas;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  for (std::size_t i = deltas_standing_; i < deltas.size(); ++i) {
    bytes += deltas[i].frame.plain_length;
    entries += deltas[i].entry_count;
  }
  return deltas.size() - deltas_standing_ >= settings_.deltas_max ||
         bytes >= settings_.delta_bytes_max || entries >= settings_.delta_entries_max ||
         deltas.size() >= format::kDeltasMax;
}

/// A fold that damage prevents is put off as long as a head can name more deltas: what is new goes
/// on.
Status Syncer::FoldIfFull() {
  if (!DeltasFull()) return {};
  Status folded = FoldDeltas();
  if (folded.has_value() || folded.error().code != ErrorCode::kCorruption || pending_.has_value() ||
      newest_.head.map.deltas.size() >= format::kDeltasMax) {
    return folded;
  }
  LOG(kWarning, "the deltas cannot be folded, and stay: ", folded.error().message);
  return {};
}

format::Head Syncer::NextHead() const {
  format::Head head = newest_.head;
  head.durability = Tuned().durability.value_or(head.durability);
  if (new_epoch_) ++head.epoch;
  head.released = false;
  head.barrier = false;
  return head;
}

bool Syncer::GiveWay(const Generation& generation) {
  const MonotonicTime now = env_.clock.Now();
  const std::optional<Duration> pause = pace_.PauseAt(now);
  const Settings settings = Tuned();
  const MonotonicTime until = generation.first_write + kAgesGivingWay * settings.sync_age;
  const std::uint64_t used = journal_.used_bytes() + live_.zero_ranges() * format::kBlockBytes;
  bool gives_way =
      pause.has_value() && now < until && used < settings.journal_bytes_max / kJournalPartGivingWay;
  if (gives_way) {
    MutexLock lock(mutex_);
    const auto hurried = [this]() NO_THREAD_SAFETY_ANALYSIS {
      return waiting_ > 0 || stopped_ || refusing_;
    };
    gives_way = !env_.sync_executor.AwaitFor(lock, changed_,
                                             std::min<Duration>(*pause, until - now), hurried);
  }
  pace_.Resume(env_.clock.Now());
  return gives_way;
}

Status Syncer::CommitGeneration(const Generation& generation) {
  {
    MutexLock lock(mutex_);
    build_started_ = env_.clock.Now();
  }
  // Committed must never be ahead of durable: a head covers journal records, and only durable ones.
  RETURN_IF_ERROR(journal_.Sync());
  COFFER_FAILPOINT("commit-begun");
  const Settings settings = Tuned();
  Step step{.head = NextHead(),
            .commit = BuiltCommit{},
            .folded = std::nullopt,
            .committed_seq = generation.last_seq,
            .generation_bytes = generation.dirty.data_bytes()};
  if (!generation.dirty.empty()) {
    CommitBuilder builder({.resources = resources_,
                           .keys = resources_.vault().keys().current(),
                           .work = env_.work_executor,
                           .random = env_.random,
                           .settings = settings,
                           .chunk_size = newest_.head.chunk_size,
                           .dedup = dedup_,
                           .kept = kept_},
                          live_, journal_);
    const auto progress = [this](std::uint64_t done) {
      MutexLock lock(mutex_);
      building_bytes_ = done;
    };
    pace_.Resume(env_.clock.Now());
    ASSIGN_OR_RETURN(step.commit, builder.Build(generation, fragmented_, progress,
                                                [&] { return GiveWay(generation); }));
    step.head.map.deltas.push_back(step.commit->reference);
  }
  if (Planted("trim-journal-before-head")) journal_.Release(generation.last_seq);
  COFFER_FAILPOINT("commit-built");
  step.head.map.size = generation.size;
  step.head.journal = {generation.stream, generation.last_seq};
  return Append(std::move(step));
}

Result<map::FoldResult> Syncer::FoldTree() {
  const Settings settings = Tuned();
  const map::FoldOptions options{
      .vault = resources_.vault().id(),
      .keys = resources_.vault().keys().current(),
      .codec = settings.codec,
      .pack_bytes_target = settings.pack_bytes_target,
      .window = resources_.uploads(),
      .uploads = &kept_,
      .find_leaf = [this](const PageId& id) { return kept_.FindPage(id); },
      .pieces_max = settings_.pieces_background_max,
      .fragmented_max = settings_.background_chunks_max};
  ASSIGN_OR_RETURN(
      map::FoldResult folded,
      map::Fold(resources_.pages(), live_.tree(), live_.overlay(), newest_.head.map.size, options,
                resources_.vault().store(), env_.work_executor, env_.fetch_executor, env_.random));
  COFFER_FAILPOINT("commit-folded");
  LOG(kDebug, "folded ", newest_.head.map.deltas.size(), " deltas into ", folded.pages, " pages, ",
      folded.uploaded_bytes, " bytes");
  MutexLock lock(mutex_);
  uploaded_bytes_ += folded.uploaded_bytes;
  return folded;
}

/// The map of the head to come: a tree, and on it what cannot be in it. On failure the step is as
/// it was.
Status Syncer::FoldInto(Step* step) {
  ASSIGN_OR_RETURN(map::FoldResult folded, FoldTree());
  const std::size_t kept = folded.tree.lost == nullptr ? 0 : deltas_lost_;
  if (kept + folded.residual.size() >= format::kDeltasMax) {
    return Fail(ErrorCode::kCorruption,
                "beside what is lost of the map no head can name what has changed since");
  }
  format::MapRoot& map = step->head.map;
  map.level = folded.tree.level;
  map.page = folded.tree.root;
  map.deltas.resize(kept);
  for (const map::ResidualDelta& left : folded.residual) map.deltas.push_back(left.ref);
  step->folded = std::move(folded);
  return {};
}

Status Syncer::FoldDeltas() {
  Step step{.head = NextHead(), .commit = std::nullopt, .folded = std::nullopt};
  RETURN_IF_ERROR(FoldInto(&step));
  step.committed_seq = newest_.head.journal.seq;
  return Append(std::move(step));
}

Status Syncer::Release() {
  // A fold behind the last commit may hang in the air though all is committed.
  RETURN_IF_ERROR(SettlePending());
  if (!newest_.ours) return {};  // never wrote: nothing of ours stands open
  const bool folds = newest_.head.map.deltas.size() > deltas_standing_;
  if (newest_.head.released && !folds) return {};
  Step step{.head = NextHead(), .commit = std::nullopt, .folded = std::nullopt};
  if (folds) {
    Status folded = FoldInto(&step);
    // Damage is no reason to hold on to the volume.
    if (!folded.has_value() && folded.error().code != ErrorCode::kCorruption) return folded;
  }
  COFFER_FAILPOINT("commit-release");
  step.head.released = true;
  step.committed_seq = newest_.head.journal.seq;
  return Append(std::move(step));
}

Status Syncer::Append(Step step) {
  pending_ = std::move(step);
  auto newest = chain_.Append(pending_->head);
  if (!newest.has_value()) {
    // Without a spooled head nothing hangs in the air: the next attempt starts anew.
    if (!chain_.pending()) pending_.reset();
    return Fail(std::move(newest).error());
  }
  Finish(*newest);
  return {};
}

void Syncer::Finish(const vault::HeadChain::Newest& newest) {
  COFFER_FAILPOINT("commit-stands");
  Step step = std::move(*pending_);
  pending_.reset();
  newest_ = newest;
  new_epoch_ = false;
  freed_bytes_ += step.generation_bytes;
  if (step.commit.has_value()) {
    if (dedup_ != nullptr) {
      for (const format::DeltaEntry& entry : step.commit->delta.entries) {
        for (const format::Piece& piece : entry.pieces)
          if (piece.kind == format::Piece::Kind::kFrame) dedup_->Insert(piece.content, piece.frame);
      }
    }
    live_.Commit(step.commit->delta);
    COFFER_FAILPOINT("commit-published");
    journal_.Release(step.committed_seq);
    kept_.Release(step.committed_seq);
    for (BuiltCommit::Kept& kept : step.commit->kept)
      resources_.frames().Insert(kept.key, std::move(kept.plain));
    FetchFragmented();
  }
  if (step.folded.has_value()) {
    live_.Folded(step.folded->tree, step.folded->residual);
    if (step.folded->tree.lost == nullptr && std::exchange(deltas_lost_, 0) > 0)
      damage_.ForgetLostDeltas();
    deltas_standing_ = newest_.head.map.deltas.size();
    damage_.SetLostPages(std::move(step.folded->lost));
    kept_.ReleasePages();
    found_ = std::move(step.folded->fragmented);
  }
  MutexLock lock(mutex_);
  committed_seq_ = std::max(committed_seq_, step.committed_seq);
  committed_bytes_ += step.generation_bytes;
  building_bytes_ = 0;
  head_seq_ = newest_.point.seq;
  unfolded_deltas_ = newest_.head.map.deltas.size();
  ++commits_;
  if (step.commit.has_value()) {
    uploaded_bytes_ += step.commit->uploaded_bytes;
    consolidated_chunks_ += step.commit->consolidated_chunks;
    const double seconds = std::chrono::duration<double>(env_.clock.Now() - build_started_).count();
    if (seconds > 0 && step.generation_bytes > 0) {
      const double rate = static_cast<double>(step.generation_bytes) / seconds;
      dirty_bytes_per_second_ =
          dirty_bytes_per_second_ == 0
              ? rate
              : kRateWeight * rate + (1 - kRateWeight) * dirty_bytes_per_second_;
    }
  }
  trouble_ = {ErrorCode::kUnavailable, {}, {}};
  backoff_ = {};
  changed_.notify_all();
}

void Syncer::FetchFragmented() {
  fragmented_ = std::exchange(found_, {});
  for (const std::uint64_t chunk : fragmented_) {
    const CleanPart part = live_.Committed(chunk);
    // What does not come stays as it is until it changes again.
    if (!ReadAheadOf(resources_, live_.tree(), std::span(&part, 1)).has_value()) return;
  }
}

}  // namespace coffer::volume
