// Opening a volume: lock, newest head, deltas, journal replay, a new stream.
#include "core/base/check.h"
#include "core/base/log.h"
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

}  // namespace

Result<std::unique_ptr<Volume>> Volume::Open(VaultResources& resources, const VolumeId& id,
                                             const OpenOptions& options) {
  std::unique_ptr<OpenVolume> volume(new OpenVolume(resources, options));
  RETURN_IF_ERROR(volume->Start(id, options));
  return std::unique_ptr<Volume>(std::move(volume));
}

Status OpenVolume::Start(const VolumeId& id, const OpenOptions& options) {
  vault::Vault& vault = resources_.vault();
  vault::Environment& env = vault.env();
  ASSIGN_OR_RETURN(const std::string directory, vault.VolumeDirectory(id));
  auto lock = env.fs.Lock(directory + "/lock");
  if (!lock.has_value()) return Fail(lock.error().Within("the volume is open already"));
  lock_ = std::move(*lock);

  chain_ = std::make_unique<vault::HeadChain>(vault, id, directory);
  ASSIGN_OR_RETURN(const vault::HeadChain::Newest newest, chain_->Load());
  const format::Head& head = newest.head;
  if (head.tombstone) return Fail(ErrorCode::kNotFound, "the volume has been deleted");
  if (!read_only_ && head.features.read_only_compatible != 0) {
    return Fail(ErrorCode::kUnsupported, "NEWER-FORMAT: this version can read the volume only",
                "open it with --read-only, or install a newer coffer");
  }
  if (!read_only_ && !newest.ours && !head.released && !options.take_over) {
    return Fail(ErrorCode::kConflict,
                Concat("the volume is open on ", head.host_name, " (it last wrote ",
                       Ago(env.clock.WallNow(), head.created_unix), ")"),
                "close it there, or use --take-over if that machine is gone: what it has not "
                "uploaded stays a fork of its own");
  }
  if (!read_only_) RETURN_IF_ERROR(vault.PrepareToWrite());
  chunk_size_ = head.chunk_size;
  durability_ = head.durability;
  head_seq_ = newest.point.seq;
  live_ = std::make_unique<LiveMap>(env.clock, settings_, TreeOf(head), head.map.size);
  RETURN_IF_ERROR(LoadDeltas(head.map));

  const std::string journal_directory = directory + "/journal";
  if (auto made = env.fs.CreateDirectory(journal_directory); made.has_value()) {
    RETURN_IF_ERROR(env.fs.SyncDirectory(directory));
  } else if (made.error().code != ErrorCode::kAlreadyExists) {
    return Fail(std::move(made).error());
  }
  cache::Journal::Options journal_options;
  journal_options.segment_bytes = settings_.segment_bytes;
  ASSIGN_OR_RETURN(
      journal_,
      cache::Journal::Open(env.fs, env.clock, env.random, env.work_executor, journal_directory,
                           vault.host().journal,
                           {.vault = vault.id(), .volume = id, .key_epoch = vault.host().key_epoch},
                           journal_options));
  RETURN_IF_ERROR(ReplayJournal(newest));
  if (read_only_) return {};

  pack::DedupIndex* dedup = nullptr;
  switch (vault.catalog().dedup) {
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
  syncer_ = std::make_unique<Syncer>(resources_, settings_, *chain_, newest, *live_, *journal_,
                                     dedup, !newest.ours);
  if (live_->has_waiting()) syncer_->Kick();
  return {};
}

Status OpenVolume::LoadDeltas(const format::MapRoot& root) {
  Executor& work = resources_.vault().env().work_executor;
  std::vector<Result<Bytes>> plain(root.deltas.size());
  ParallelFor(work, plain.size(), [&](std::size_t i) {
    plain[i] = resources_.reader().ReadDelta(root.deltas[i].frame);
  });
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (!plain[i].has_value()) return Fail(std::move(plain[i]).error());
    const format::FrameRef& frame = root.deltas[i].frame;
    ASSIGN_OR_RETURN(const format::Delta delta,
                     format::DecodeDelta(*plain[i], frame.pack, frame.key_epoch));
    if (delta.chunk_size != chunk_size_)
      return Fail(ErrorCode::kCorruption, "a delta of the head is for another chunk size");
    live_->LoadDelta(delta);
  }
  return {};
}

/// Which records count: those beyond what the head covers, if the head is our own. If it is another
/// writer's, nothing here may go on top of it: our tail, if there is one, is what our own last head
/// does not cover, and belongs into a fork.
Status OpenVolume::ReplayJournal(const vault::HeadChain::Newest& newest) {
  vault::Vault& vault = resources_.vault();
  format::JournalPosition covered = newest.head.journal;
  bool foreign = false;
  if (!newest.ours) {
    const auto known = vault.trust().volume(newest.head.volume);
    if (known.has_value() && known->own.seq > 0) {
      ASSIGN_OR_RETURN(const vault::HeadChain::Newest own, chain_->ReadAt(known->own.seq));
      if (own.point == known->own) covered = own.head.journal;
    } else {
      covered = {};  // never committed here: whatever the journal holds is a tail
    }
    foreign = true;
  }
  ASSIGN_OR_RETURN(
      const cache::Journal::Recovery recovery,
      journal_->Replay(covered, [&](std::span<const cache::RecordPtr> request) -> Status {
        if (!foreign) live_->Publish(request);
        return {};
      }));
  if (foreign && recovery.records > 0 && !read_only_) {
    return Fail(ErrorCode::kNeedsPerson,
                Concat("FENCED: ", newest.head.host_name, " has gone on with this volume, while ",
                       recovery.records, " journal records of this machine were not uploaded"),
                "open it with --read-only to see the other machine's state; the records stay in "
                "this machine's journal");
  }
  if (recovery.damaged && !read_only_) {
    return Fail(ErrorCode::kNeedsPerson, "DAMAGED-JOURNAL: " + recovery.damage,
                "open it with --read-only to read what came before the damage");
  }
  if (read_only_) return {};
  const std::uint64_t first_seq =
      std::max({recovery.last_seq, newest.head.journal.seq, covered.seq}) + 1;
  RETURN_IF_ERROR(journal_->StartStream(newest.point, live_->size(), first_seq, *live_));
  live_->BeginStream(recovery.last_stream, journal_->stream());
  if (recovery.records > 0)
    LOG(kInfo, "recovered ", recovery.records, " journal records not yet uploaded");
  return {};
}

}  // namespace coffer::volume
