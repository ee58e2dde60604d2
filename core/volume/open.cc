// Opening a volume: lock, newest head, deltas, journal replay, a new stream.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/cache/journal_loss.h"
#include "core/cache/journal_segment.h"
#include "core/vault/local_state.h"
#include "core/vault/person.h"
#include "core/volume/open_volume.h"

namespace coffer::volume {
namespace {

map::Tree TreeOf(const format::Head& head) {
  return {.chunk_size = head.chunk_size, .level = head.map.level, .root = head.map.page};
}

std::string Ago(UnixSeconds now, UnixSeconds then) {
  const UnixSeconds seconds = now > then ? now - then : 0;
  if (seconds < 120) return Concat(seconds, " seconds ago");
  if (seconds < 7200) return Concat(seconds / 60, " minutes ago");
  return Concat(seconds / 3600, " hours ago");
}

/// Requests are cut so that several fit into a segment: what is left of one is not used.
constexpr std::uint64_t kPiecesInSegment = 8;

constexpr std::size_t kLostRangesLogged = 1000;

/// A small journal has small segments: one is the least that is given back.
std::uint64_t SegmentBytes(std::uint64_t wanted, std::uint64_t journal_bytes_max) {
  constexpr std::uint64_t kUnit = 1u << 20;
  constexpr std::uint64_t kSegmentsInJournal = 16;
  const std::uint64_t fitting = journal_bytes_max / kSegmentsInJournal / kUnit * kUnit;
  return std::min(wanted, std::max(fitting, kUnit));
}

/// Files of the journal that wait to be written again: what a burst needs, at most an eighth of
/// all.
std::size_t FreeSegments(std::uint64_t journal_bytes_max, std::uint64_t segment_bytes) {
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(journal_bytes_max / 8 / segment_bytes, 2, 8));
}

}  // namespace

Result<std::unique_ptr<Volume>> Volume::Open(VaultResources& resources, const VolumeId& id,
                                             const OpenOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Volume> volume, OpenVolume::Open(resources, id, options));
  return volume;
}

Result<std::unique_ptr<OpenVolume>> OpenVolume::Open(VaultResources& resources, const VolumeId& id,
                                                     const OpenOptions& options) {
  std::unique_ptr<OpenVolume> volume(new OpenVolume(resources, options));
  RETURN_IF_ERROR(volume->Start(id, options));
  return volume;
}

Status OpenVolume::Start(const VolumeId& id, const OpenOptions& options) {
  vault::Vault& vault = resources_.vault();
  vault::Environment& env = vault.env();
  ASSIGN_OR_RETURN(directory_, vault.VolumeDirectory(id));
  auto lock = env.fs.Lock(Concat(directory_, "/", vault::kVolumeLockFile));
  if (!lock.has_value()) return Fail(lock.error().Within("the volume is open already"));
  lock_ = std::move(*lock);
  id_ = id;
  RETURN_IF_ERROR(MakeJournalDirectory());

  chain_ = std::make_unique<vault::HeadChain>(vault, id, directory_);
  // Who only reads may look at what the store offers, whatever speaks against it.
  ASSIGN_OR_RETURN(vault::HeadChain::Newest newest, read_only_ ? chain_->Look() : chain_->Load());
  const format::Head& head = newest.head;
  doubt_ = newest.doubt;
  tails_ = std::make_unique<TailForks>(resources_, *chain_, id, directory_, settings_);
  if (!newest.ours && !newest.doubt.has_value()) {
    ASSIGN_OR_RETURN(newest.ours, JournalKnows(newest));
  }
  ASSIGN_OR_RETURN(const bool tail_is_lost, TailIsLost(newest));
  if (!read_only_) {
    RETURN_IF_ERROR(ForkTails(
        tail_is_lost,
        options.accept_damage ? TailForks::Baseless::kKeepFiles : TailForks::Baseless::kRefuse,
        vault::FencedError("the volume", Concat("host '", EscapeForTerminal(head.host_name),
                                                "' has gone on with it"))));
  }
  if (head.tombstone) return Fail(ErrorCode::kNotFound, "the volume has been deleted");
  if (!read_only_ && head.features.read_only_compatible != 0) {
    return Fail(ErrorCode::kUnsupported, "NEWER-FORMAT: this version can read the volume only",
                "open it with --read-only, or install a newer coffer");
  }
  if (!read_only_ && !newest.ours && !head.released && !options.take_over) {
    return Fail(ErrorCode::kConflict,
                Concat("the volume is open on ", EscapeForTerminal(head.host_name),
                       " (it last wrote ", Ago(env.clock.WallNow(), head.created_unix), ")"),
                "close it there, or use --take-over if that machine is gone: what it has not "
                "uploaded becomes a volume of its own when it comes back");
  }
  if (!read_only_) RETURN_IF_ERROR(vault.PrepareToWrite());
  chunk_size_ = head.chunk_size;
  durability_ = settings_.durability.value_or(head.durability);
  head_seq_ = newest.point.seq;
  live_ = std::make_unique<LiveMap>(env.clock, settings_, TreeOf(head), head.map.size);
  damage_ = std::make_unique<Damage>(
      env.sync_executor, env.clock, chunk_size_,
      Damage::Probes{
          .read = [this](std::uint64_t offset,
                         std::uint64_t length) { return ReadCommittedAgain(offset, length); },
          .look_up = [this](std::uint64_t chunk) -> Status {
            ASSIGN_OR_RETURN(const auto pieces,
                             map::Lookup(resources_.pages(), live_->tree(), chunk));
            (void)pieces;
            return {};
          }});
  RETURN_IF_ERROR(LoadDeltas(head.map));
  ahead_ = std::make_unique<ReadAhead>(
      env.work_executor, chunk_size_,
      [this](std::uint64_t offset, std::uint64_t length) { FetchAhead(offset, length); });

  MeasureDisk();
  if (!tail_is_lost) RETURN_IF_ERROR(ReplayJournal(newest, options));
  if (read_only_) return {};

  reserve_ = std::make_unique<Reserve>(env.fs, directory_ + "/reserve");
  // Not to have it is no reason not to open: space may come.
  if (const Status held = reserve_->Hold(); !held.has_value())
    LOG(kWarning, "no disk space is held back for full disks: ", held.error().message);
  pack::DedupIndex* dedup = nullptr;
  switch (std::min(vault.catalog().dedup, settings_.dedup)) {
    case format::DedupScope::kOff:
      break;
    case format::DedupScope::kVolume:
      own_dedup_ = std::make_unique<pack::DedupIndex>();
      dedup = own_dedup_.get();
      break;
    case format::DedupScope::kVault:
      dedup = &resources_.dedup();
      break;
  }
  syncer_ = std::make_unique<Syncer>(
      resources_, settings_, *chain_, newest, *live_, *journal_, dedup, *reserve_, *damage_,
      Syncer::Beginning{.new_epoch = !newest.ours, .deltas_lost = deltas_lost_}, directory_);
  if (options.uploads == Uploads::kPaused) syncer_->SetPaused(true);
  if (live_->has_waiting()) syncer_->Kick();
  return {};
}

Status OpenVolume::LoadDeltas(const format::MapRoot& root) {
  std::vector<format::FrameRef> frames;
  for (const format::DeltaRef& delta : root.deltas) frames.push_back(delta.frame);
  resources_.windows().Want(frames);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Result<format::Delta> delta = ReadDelta(frames[i]);
    if (delta.has_value()) {
      live_->LoadDelta(*delta);
      continue;
    }
    // Lost, it may have changed anything below; what is above it, and what will be, stands.
    if (delta.error().code != ErrorCode::kCorruption) return Fail(delta.error());
    LOG(kWarning, "a commit of the volume cannot be read: ", delta.error().message);
    live_->LoadLostDelta(delta.error());
    damage_->NoteLostDelta(delta.error());
    deltas_lost_ = i + 1;
  }
  return {};
}

Result<format::Delta> OpenVolume::ReadDelta(const format::FrameRef& frame) {
  ASSIGN_OR_RETURN(const Bytes plain, resources_.reader().ReadDelta(frame));
  ASSIGN_OR_RETURN(format::Delta delta, format::DecodeDelta(plain, frame.pack, frame.key_epoch));
  if (delta.chunk_size != chunk_size_)
    return Fail(ErrorCode::kCorruption, "a delta of the head is for another chunk size");
  return delta;
}

Status OpenVolume::MakeJournalDirectory() {
  FileSystem& fs = resources_.vault().env().fs;
  const Status made = fs.CreateDirectory(directory_ + "/journal");
  if (made.has_value()) return fs.SyncDirectory(directory_);
  if (made.error().code == ErrorCode::kAlreadyExists) return {};
  return Fail(made.error());
}

/// Whether the journal holds records of this machine, not covered by its own heads, over another
/// head than `newest`: nothing of them may go on top of that.
Result<bool> OpenVolume::TailIsLost(const vault::HeadChain::Newest& newest) {
  if (newest.ours) return false;
  // What the journal goes on from is just what is in doubt.
  if (newest.doubt.has_value()) return true;
  ASSIGN_OR_RETURN(const format::JournalPosition covered, tails_->OwnCover());
  ASSIGN_OR_RETURN(const auto journal, tails_->OpenJournal("journal"));
  ASSIGN_OR_RETURN(const cache::Journal::Recovery recovery,
                   journal->Replay(covered, [](auto) -> Status { return {}; }));
  return recovery.records > 0 && recovery.base_head != newest.point;
}

/// After a person has accepted the store as it is (or its trust file was lost) this machine knows
/// of no head of its own. One that names it, and a place in a stream that the journal still has, is
/// its own all the same: what follows there was written over that very state.
Result<bool> OpenVolume::JournalKnows(const vault::HeadChain::Newest& newest) {
  vault::Vault& vault = resources_.vault();
  const auto trusted = vault.trust().volume(id_);
  if (trusted.has_value() && trusted->own.seq != 0) return false;
  if (newest.head.host != vault.host().id || newest.head.journal.seq == 0) return false;
  ASSIGN_OR_RETURN(const auto journal, tails_->OpenJournal("journal"));
  ASSIGN_OR_RETURN(const cache::Journal::Recovery recovery,
                   journal->Replay(newest.head.journal, [](auto) -> Status { return {}; }));
  return recovery.cover_known && !recovery.damaged && recovery.base_head.seq <= newest.point.seq;
}

/// Makes what this machine had not uploaded, now or at an earlier attempt, volumes of their own:
/// FENCED then, once, so that a person knows.
Status OpenVolume::ForkTails(bool tail_is_lost, TailForks::Baseless baseless, const Error& fenced) {
  if (tail_is_lost) RETURN_IF_ERROR(tails_->SetAside());
  ASSIGN_OR_RETURN(const std::vector<std::string> names, tails_->ForkAll(baseless));
  if (names.empty()) return {};
  std::string all;
  for (const std::string& name : names) all += Concat(all.empty() ? "" : ", ", name);
  return Fail(
      ErrorCode::kNeedsPerson,
      Concat(fenced.message, "; what this machine had not uploaded is now the volume ", all),
      Concat("coffer open ", names.front(),
             " shows it; opening this volume again shows what the "
             "other machine has written"));
}

/// At Close, nobody writing any more and the syncer stopped.
Status OpenVolume::ForkJournal(const Error& fenced) {
  std::unique_ptr<cache::Journal> gone;
  {
    MutexLock lock(journal_gone_mutex_);
    gone = std::move(journal_);
  }
  gone.reset();
  // The own head that the tail lies over has moved since Start.
  tails_ = std::make_unique<TailForks>(resources_, *chain_, id_, directory_, settings_);
  if (live_->numbers().generations == 0) return Fail(fenced);
  const Status forked = ForkTails(true, TailForks::Baseless::kRefuse, fenced);
  // Nothing that could be kept, the journal being damaged right behind what is committed: the
  // volume is FENCED all the same.
  if (forked.has_value()) return Fail(fenced);
  tail_forked_ = forked.error().code == ErrorCode::kNeedsPerson;
  return forked;
}

/// The records that count are those beyond what the head covers; if the head is another writer's,
/// beyond our own last one, over which nobody else has written by now.
Status OpenVolume::ReplayJournal(const vault::HeadChain::Newest& newest,
                                 const OpenOptions& options) {
  format::JournalPosition covered = newest.head.journal;
  if (!newest.ours) {
    ASSIGN_OR_RETURN(covered, tails_->OwnCover());
  }
  segment_bytes_ = SegmentBytes(settings_.segment_bytes, journal_bytes_max_);
  piece_bytes_ = segment_bytes_ / kPiecesInSegment;
  const cache::Journal::Options journal_options{
      .segment_bytes = segment_bytes_,
      .free_segments_max = FreeSegments(journal_bytes_max_, segment_bytes_),
      .free_segments_kept = 0};  // a closed volume takes no space for what it does not hold
  ASSIGN_OR_RETURN(journal_, tails_->OpenJournal("journal", journal_options));
  const std::uint64_t bytes_max =
      cache::SegmentBytesOnDisk(resources_.vault().env().fs, directory_ + "/journal");
  std::uint64_t done = 0;
  ASSIGN_OR_RETURN(
      const cache::Journal::Recovery recovery,
      journal_->Replay(covered, [&](std::span<const cache::RecordPtr> request) -> Status {
        const format::RecordKind kind = request.front()->header.kind;
        if (Planted("forget-trim-at-replay") && kind == format::RecordKind::kZero) return {};
        live_->PublishReplayed(request);
        for (const cache::RecordPtr& record : request) {
          if (record->header.kind == format::RecordKind::kWrite) done += record->header.length;
        }
        if (options.replay_progress) options.replay_progress(std::min(done, bytes_max), bytes_max);
        return {};
      }));
  if (!recovery.lost.empty()) {
    LOG(kWarning, "the journal's damage has taken writes to ",
        cache::DescribeRanges(recovery.lost, kLostRangesLogged));
  }
  if (recovery.damaged && !read_only_ && !options.accept_damage) {
    return Fail(
        ErrorCode::kNeedsPerson, "DAMAGED-JOURNAL: " + recovery.damage,
        "coffer open --read-only shows what came before the damage; --accept-damage goes on "
        "from there and keeps the damaged files aside");
  }
  if (read_only_) return {};
  COFFER_FAILPOINT("journal-replayed");
  const std::uint64_t first_seq =
      std::max({recovery.last_seq, newest.head.journal.seq, covered.seq}) + 1;
  RETURN_IF_ERROR(journal_->StartStream(newest.point, live_->size(), first_seq, *live_));
  COFFER_FAILPOINT("journal-stream-started");
  live_->BeginStream(recovery.last_stream, journal_->stream());
  if (recovery.records > 0)
    LOG(kInfo, "recovered ", recovery.records, " journal records not yet uploaded");
  return {};
}

}  // namespace coffer::volume
