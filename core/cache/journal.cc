#include "core/cache/journal.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/cache/journal_impl.h"
#include "core/cache/journal_replay.h"
#include "core/crypto/hash.h"

namespace coffer::cache {
namespace {

/// Record and group header that lie this close are read with one call.
constexpr std::uint32_t kReadTogetherBytes = 4 << 10;
constexpr std::size_t kCopyBytes = 1 << 20;

}  // namespace

Result<std::unique_ptr<Journal>> Journal::Open(FileSystem& fs, Clock& clock, Random& random,
                                               Executor& executor, std::string directory,
                                               const SecretBytes& journal_key, Identity identity,
                                               Options options) {
  const std::uint64_t least = format::kSegmentHeaderBytes + 2 * format::kBlockBytes;
  if (options.segment_bytes % format::kBlockBytes != 0 || options.segment_bytes < least ||
      options.segment_bytes > format::kJournalSegmentBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("journal segments of ", options.segment_bytes, " bytes"));
  }
  auto journal = std::make_unique<JournalImpl>(fs, clock, random, executor, directory, journal_key,
                                               identity, options);
  RETURN_IF_ERROR(journal->Load());
  return journal;
}

JournalImpl::JournalImpl(FileSystem& fs, Clock& clock, Random& random, Executor& executor,
                         const std::string& directory, const SecretBytes& journal_key,
                         const Identity& identity, const Options& options)
    : clock_(clock),
      random_(random),
      executor_(executor),
      directory_(directory),
      journal_key_(journal_key),
      identity_(identity),
      options_(options),
      files_(fs, directory, options.segment_bytes),
      sealer_(random, journal_key) {}

JournalImpl::~JournalImpl() {
  stopping_ = true;
  bool streaming = false;
  {
    MutexLock lock(mutex_);
    AwaitLocked(lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return background_tasks_ == 0; });
    CHECK(queue_.empty() && !writing_ && !syncing_);
    streaming = phase_ == Phase::kStreaming;
  }
  if (streaming) DropSurplusSlots();
}

void JournalImpl::AwaitLocked(MutexLock& lock, const std::function<bool()>& done) {
  ++waiting_;
  executor_.Await(lock, changed_, done);
  --waiting_;
}

void JournalImpl::NotifyLocked() {
  if (waiting_ > 0) changed_.notify_all();
}

Status JournalImpl::Load() {
  ASSIGN_OR_RETURN(std::vector<Slot> slots, files_.OpenAll());
  MutexLock lock(mutex_);
  for (Slot& slot : slots) {
    ASSIGN_OR_RETURN(SlotContent content, ReadSlot(slot, journal_key_, identity_.key_epoch));
    switch (content.kind) {
      case SlotContent::Kind::kFree:
        free_.push_back(std::move(slot));
        break;
      case SlotContent::Kind::kUnreadable:
        unreadable_text_ += Concat(unreadable_text_.empty() ? "" : "; ", slot.path,
                                   ": its header cannot be read: ", content.reason,
                                   "; where its records wrote is not known");
        unreadable_.push_back(std::move(slot));
        break;
      case SlotContent::Kind::kSegment: {
        const format::SegmentHeader& header = content.header;
        if (header.vault != identity_.vault || header.volume != identity_.volume) {
          return Fail(ErrorCode::kCorruption,
                      Concat(slot.path, " belongs to volume ", header.volume.ToString(),
                             " of vault ", header.vault.ToString()));
        }
        if (header.segment == std::numeric_limits<std::uint64_t>::max() ||
            segments_.contains(header.segment)) {
          return Fail(ErrorCode::kCorruption,
                      Concat(slot.path, " and another file are both segment ", header.segment));
        }
        next_number_ = std::max(next_number_, header.segment + 1);
        segments_[header.segment] =
            std::make_shared<Segment>(Segment{.slot = std::move(slot), .header = header});
        break;
      }
    }
  }
  return {};
}

Result<Journal::Recovery> JournalImpl::Replay(
    const format::JournalPosition& covered,
    const std::function<Status(std::span<const RecordPtr> request)>& sink) {
  std::vector<SegmentPtr> segments;
  {
    MutexLock lock(mutex_);
    if (phase_ != Phase::kLoaded) {
      return Fail(ErrorCode::kInvalidArgument, "the journal was replayed before");
    }
    phase_ = Phase::kReplayed;
    for (const auto& [number, segment] : segments_) segments.push_back(segment);
  }
  Replayer replayer(journal_key_, segments, covered, sink);
  ASSIGN_OR_RETURN(Recovery recovery, replayer.Run());
  covered_seq_ = replayer.covered_seq();
  unreachable_.assign(segments.begin() + static_cast<std::ptrdiff_t>(replayer.unreachable_from()),
                      segments.end());
  if (!unreadable_.empty()) {
    recovery.damaged = true;
    recovery.damage += Concat(recovery.damage.empty() ? "" : "; ", unreadable_text_);
  }
  damaged_ = recovery.damaged;
  MutexLock lock(mutex_);
  appended_ = {.seq = recovery.last_seq, .tag = replayer.chain_tag()};
  return recovery;
}

StreamId JournalImpl::NewStreamId(const format::ChainPoint& base_head, std::uint64_t first_seq) {
  // Hedged like a salt: a Random that repeats must not give two runs one stream.
  std::array<std::byte, 32 + 16 + 8 + 8 + 8 + 32> mixed;
  std::byte* to = mixed.data();
  random_.Fill({to, 32});
  std::memcpy(to + 32, identity_.volume.bytes.data(), 16);
  StoreLe(to + 48, first_seq);
  StoreLe(to + 56, static_cast<std::uint64_t>(clock_.WallNow()));
  StoreLe(to + 64, static_cast<std::uint64_t>(clock_.Now().time_since_epoch().count()));
  std::memcpy(to + 72, base_head.hash.bytes.data(), 32);
  return StreamId::From(crypto::Sha256(mixed).view().first(StreamId::kBytes));
}

Status JournalImpl::StartStream(const format::ChainPoint& base_head, std::uint64_t volume_size,
                                std::uint64_t first_seq, JournalListener& listener) {
  {
    MutexLock lock(mutex_);
    const bool replayed = phase_ == Phase::kReplayed ||
                          (phase_ == Phase::kLoaded && segments_.empty() && unreadable_.empty());
    if (!replayed || first_seq <= appended_.seq || !format::IsValidVolumeSize(volume_size)) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("a journal stream cannot start at record ", first_seq));
    }
  }
  if (damaged_) RETURN_IF_ERROR(SetDamagedAside());
  RETURN_IF_ERROR(MakeReplayedDurable());
  RETURN_IF_ERROR(MakeFreeSlotsDurable());
  DropSurplusSlots();

  MutexLock lock(mutex_);
  listener_ = &listener;
  base_head_ = base_head;
  volume_size_ = volume_size;
  stream_first_seq_ = first_seq;
  stream_ = NewStreamId(base_head, first_seq);
  appended_.seq = first_seq - 1;
  durable_ = appended_;
  released_seq_ = std::max(released_seq_, covered_seq_);
  phase_ = Phase::kStreaming;
  RetireLocked();
  return {};
}

/// What lies beyond the damage must not be in the way of the new stream, nor be lost: a person may
/// want to look at it.
Status JournalImpl::SetDamagedAside() {
  for (const Slot& slot : unreadable_) RETURN_IF_ERROR(files_.SetAside(slot));
  unreadable_.clear();
  for (const SegmentPtr& segment : unreachable_) {
    RETURN_IF_ERROR(files_.SetAside(segment->slot));
    MutexLock lock(mutex_);
    segments_.erase(segment->number());
  }
  unreachable_.clear();
  damaged_ = false;
  return files_.SyncDirectory();
}

/// A killed run may have left records that are in the page cache only. They have been handed out
/// again, so they must be durable before the next sync says so. The run may even have been told of
/// a failed sync and been killed before it could act; then the pages pass for clean, and only
/// writing them again helps. What a run holds unsynced fits into one segment, so going back by the
/// length of one is enough.
Status JournalImpl::MakeReplayedDurable() {
  std::vector<SegmentPtr> needed;  // newest first
  {
    MutexLock lock(mutex_);
    for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
      if (it->second->last_seq > covered_seq_) needed.push_back(it->second);
    }
  }
  if (needed.empty()) return {};
  std::uint64_t rewritten = 0;
  for (const SegmentPtr& segment : needed) {
    if (rewritten < std::max(options_.segment_bytes, segment->slot.size)) {
      RETURN_IF_ERROR(RewriteInPlace(*segment));
      rewritten += segment->end - format::kSegmentHeaderBytes;
    }
  }
  for (const SegmentPtr& segment : needed) RETURN_IF_ERROR(segment->slot.file->SyncData());
  RETURN_IF_ERROR(files_.SyncDirectory());
  MutexLock lock(mutex_);
  for (const SegmentPtr& segment : needed) {
    segment->synced_seq = segment->last_seq;
    segment->slot.name_durable = true;
  }
  return {};
}

/// The same bytes at the same place: whatever part of this a crash leaves out, nothing changes.
Status JournalImpl::RewriteInPlace(const Segment& segment) {
  Bytes bytes(kCopyBytes);
  for (std::uint64_t at = 0; at < segment.end;) {
    const std::size_t length = std::min<std::uint64_t>(kCopyBytes, segment.end - at);
    ASSIGN_OR_RETURN(const std::size_t got,
                     segment.slot.file->ReadAt(at, MutableByteView(bytes).first(length)));
    if (got == 0) break;
    RETURN_IF_ERROR(segment.slot.file->WriteAt(at, ByteView(bytes).first(got)));
    at += got;
  }
  return {};
}

JournalImpl::SegmentPtr JournalImpl::FindSegment(std::uint64_t number) const {
  MutexLock lock(mutex_);
  const auto found = segments_.find(number);
  return found == segments_.end() ? nullptr : found->second;
}

Status JournalImpl::ReadRecord(const Record& record, const RecordLocation& location,
                               std::size_t skip, MutableByteView out) {
  const auto gone = [&] {
    return Fail(ErrorCode::kNotFound, Concat("record ", record.seq, " has left the journal"));
  };
  const SegmentPtr segment = FindSegment(location.segment);
  if (segment == nullptr) return gone();
  Status status = ReadFrom(*segment, record, location, skip, out);
  // The file may have been recycled under the read.
  if (!status.has_value() && FindSegment(location.segment) == nullptr) return gone();
  return status;
}

Status JournalImpl::ReadFrom(const Segment& segment, const Record& record,
                             const RecordLocation& location, std::size_t skip,
                             MutableByteView out) const {
  const auto corrupt = [&](std::string_view why) {
    return Fail(ErrorCode::kCorruption, Concat("record ", record.seq, " in ", segment.slot.path,
                                               " at byte ", location.record_offset, ": ", why));
  };
  if (record.header.kind != format::RecordKind::kWrite) {
    return Fail(ErrorCode::kInvalidArgument, Concat("record ", record.seq, " holds no data"));
  }
  const std::size_t data_bytes = DataBytes(record.header);
  CHECK(skip <= data_bytes && out.size() <= data_bytes - skip);
  const std::size_t sealed_bytes = format::kRecordHeaderBytes + data_bytes + crypto::kTagBytes;
  if (location.record_offset < location.group_offset || data_bytes > format::kRecordDataBytesMax) {
    return Fail(ErrorCode::kInvalidArgument, "a location that cannot be");
  }
  const std::uint32_t distance = location.record_offset - location.group_offset;
  const bool together = distance <= kReadTogetherBytes;
  Bytes bytes(together ? distance + sealed_bytes : format::kGroupHeaderBytes);
  ASSIGN_OR_RETURN(const std::size_t got, segment.slot.file->ReadAt(location.group_offset, bytes));
  if (got != bytes.size()) return corrupt("the file is too short");
  const ByteView header_bytes = ByteView(bytes).first(format::kGroupHeaderBytes);
  const auto header = format::DecodeGroupHeader(header_bytes);
  if (!header.has_value()) return corrupt(header.error().message);
  if (header->segment != segment.number() || location.number >= header->record_count ||
      header->first_seq + location.number != record.seq) {
    return corrupt("another group lies there");
  }
  const crypto::Sealer opener = OpenerOf(journal_key_, *header, header_bytes);
  Bytes apart;
  if (!together) {
    apart.resize(sealed_bytes);
    ASSIGN_OR_RETURN(const std::size_t read,
                     segment.slot.file->ReadAt(location.record_offset, apart));
    if (read != apart.size()) return corrupt("the file is too short");
  }
  const MutableByteView sealed =
      together ? MutableByteView(bytes).last(sealed_bytes) : MutableByteView(apart);
  const auto opened =
      OpenRecord(opener, segment.header.stream, segment.number(), record.seq, location.number,
                 sealed, sealed.first(sealed_bytes - crypto::kTagBytes));
  if (!opened.has_value()) return corrupt(opened.error().message);
  if (*opened != record.header) return corrupt("it is another record");
  std::memcpy(out.data(), sealed.data() + format::kRecordHeaderBytes + skip, out.size());
  return {};
}

std::uint64_t JournalImpl::appended_seq() const {
  MutexLock lock(mutex_);
  return appended_.seq;
}

std::uint64_t JournalImpl::durable_seq() const {
  MutexLock lock(mutex_);
  return durable_.seq;
}

std::uint64_t JournalImpl::unsynced_bytes() const {
  MutexLock lock(mutex_);
  return not_durable_data_;
}

std::uint64_t JournalImpl::used_bytes() const {
  MutexLock lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) {
    if (segment->last_seq > released_seq_) bytes += segment->slot.size;
  }
  return bytes;
}

Status JournalImpl::health() const {
  MutexLock lock(mutex_);
  if (failure_.has_value()) return Fail(*failure_);
  return {};
}

void JournalImpl::CheckInvariants() const {
  MutexLock lock(mutex_);
  if (phase_ != Phase::kStreaming) return;
  CHECK(durable_.seq <= appended_.seq);
  CHECK(active_ == nullptr || (segments_.contains(active_->number()) && !active_->bad));
  // Good segments follow each other.
  std::uint64_t next = 0;
  for (const auto& [number, segment] : segments_) {
    CHECK(number == segment->number() && number < next_number_);
    CHECK(segment->synced_seq <= segment->last_seq);
    if (segment->bad || segment->last_seq == 0) continue;
    CHECK(segment->header.first_seq <= segment->last_seq);
    CHECK(next == 0 || segment->header.stream != stream_ || segment->header.first_seq == next ||
          segment->header.first_seq == stream_first_seq_ ||
          segment->header.first_seq <= durable_.seq + 1);
    next = segment->last_seq + 1;
    CHECK(segment->last_seq <= appended_.seq);
  }
  if (writing_ && syncing_) return;  // it is being written again
  // What is not durable is held in memory, all of it, in order.
  std::uint64_t seq = durable_.seq;
  for (const auto* records : {&in_sync_, &unsynced_}) {
    for (const Unsynced& unsynced : *records) {
      CHECK(unsynced.record->seq == ++seq);
      CHECK(unsynced.buffer != nullptr || DataBytes(unsynced.record->header) == 0);
    }
  }
  CHECK(seq == appended_.seq);
  CHECK(unsynced_bytes_ + in_sync_bytes_ <= capacity());
  CHECK(failure_.has_value() ||
        free_.size() <= std::max<std::size_t>(1, options_.free_segments_max));
}

}  // namespace coffer::cache
