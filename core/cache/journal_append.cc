#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/cache/journal_impl.h"

namespace coffer::cache {

std::size_t JournalImpl::RecordsOf(const Operation& operation) {
  if (operation.kind != format::RecordKind::kWrite) return 1;
  return static_cast<std::size_t>((operation.length + format::kRecordDataBytesMax - 1) /
                                  format::kRecordDataBytesMax);
}

std::uint64_t JournalImpl::BytesOf(const Operation& operation) {
  const std::uint64_t data = operation.kind == format::RecordKind::kWrite ? operation.length : 0;
  return data + RecordsOf(operation) * format::kRecordOverheadBytes;
}

Status JournalImpl::Check(const Operation& operation) const {
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, Concat("journal record of ", operation.length,
                                                    " bytes at ", operation.offset, ": ", why));
  };
  if (operation.length % format::kBlockBytes != 0 || operation.length == 0 ||
      operation.offset % format::kBlockBytes != 0) {
    return refuse("not whole blocks");
  }
  if (operation.length > format::kVolumeBytesMax ||
      operation.offset > format::kVolumeBytesMax - operation.length) {
    return refuse("beyond any volume");
  }
  if (operation.kind == format::RecordKind::kResize && operation.offset != 0) {
    return refuse("a size with an offset");
  }
  if (operation.kind == format::RecordKind::kWrite) {
    if (operation.buffer == nullptr || operation.buffer_offset > operation.buffer->size() ||
        operation.length > operation.buffer->size() - operation.buffer_offset) {
      return refuse("fewer data than that");
    }
    const std::uint64_t most = std::min<std::uint64_t>(options_.group_bytes_max, capacity());
    if (format::kGroupHeaderBytes + BytesOf(operation) > most ||
        RecordsOf(operation) > format::kRecordsPerGroupMax) {
      return refuse(Concat("more than fits into one group of ", most, " bytes"));
    }
  }
  return {};
}

Status JournalImpl::Append(std::span<const Operation> requests) {
  for (const Operation& operation : requests) RETURN_IF_ERROR(Check(operation));
  if (requests.empty()) return {};
  Waiter waiter{.requests = requests};
  {
    MutexLock lock(mutex_);
    if (failure_.has_value()) return Fail(*failure_);
    if (phase_ != Phase::kStreaming) {
      return Fail(ErrorCode::kInvalidArgument, "the journal's stream has not started");
    }
    queue_.push_back(&waiter);
  }
  while (true) {
    std::uint64_t sync_first = 0;
    {
      MutexLock lock(mutex_);
      if (!waiter.done && writing_) {
        AwaitLocked(lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return waiter.done || !writing_; });
      }
      if (waiter.done) return std::move(waiter.status);
      if (HasRoomLocked()) {
        writing_ = true;
        GatherLocked();
      } else {
        sync_first = appended_.seq;
      }
    }
    if (sync_first == 0) {
      WriteGroup();
    } else {
      (void)SyncThrough(sync_first);  // its failure has reached everybody in the queue
    }
  }
}

std::optional<Status> JournalImpl::TryAppend(std::span<const Operation> requests) {
  for (const Operation& operation : requests) RETURN_IF_ERROR(Check(operation));
  if (requests.empty()) return Status{};
  Waiter waiter{.requests = requests};
  {
    MutexLock lock(mutex_);
    if (!CanWriteNowLocked(requests)) return std::nullopt;
    queue_.push_back(&waiter);
    writing_ = true;
    GatherLocked();
    CHECK(queue_.empty());  // all of it, in one group
  }
  WriteGroup();
  return std::move(waiter.status);
}

bool JournalImpl::CanWriteNowLocked(std::span<const Operation> requests) const {
  if (failure_.has_value() || phase_ != Phase::kStreaming) return false;
  if (writing_ || !queue_.empty() || active_ == nullptr || MovesOnLocked()) return false;
  if (unsynced_.size() + in_sync_.size() >= kUnsyncedRecordsMax) return false;
  std::uint64_t bytes = format::kGroupHeaderBytes;
  std::size_t records = 0;
  for (const Operation& operation : requests) {
    bytes += BytesOf(operation);
    records += RecordsOf(operation);
  }
  return records <= format::kRecordsPerGroupMax && bytes <= options_.group_bytes_max &&
         bytes <= options_.segment_bytes - active_->end &&
         unsynced_bytes_ + in_sync_bytes_ + bytes <= capacity();
}

bool JournalImpl::HasRoomLocked() const {
  const std::uint64_t held = unsynced_bytes_ + in_sync_bytes_;
  if (held == 0) return true;
  if (unsynced_.size() + in_sync_.size() >= kUnsyncedRecordsMax) return false;
  const Waiter& first = *queue_.front();
  return held + format::kGroupHeaderBytes + BytesOf(first.requests[first.taken]) <= capacity();
}

/// Takes from the queue what goes into one group. Nobody needs more than the room there is.
void JournalImpl::GatherLocked() {
  gathered_active_ = MovesOnLocked() ? nullptr : active_;
  gathered_after_ = appended_;
  gathered_not_durable_ = static_cast<std::uint32_t>(appended_.seq - durable_.seq);
  std::uint64_t limit = std::min<std::uint64_t>(options_.group_bytes_max,
                                                capacity() - unsynced_bytes_ - in_sync_bytes_);
  const Waiter& first = *queue_.front();
  const std::uint64_t least = format::kGroupHeaderBytes + BytesOf(first.requests[first.taken]);
  if (gathered_active_ != nullptr) {
    const std::uint64_t left = options_.segment_bytes - gathered_active_->end;
    if (least <= left) limit = std::min(limit, left);
  }
  std::uint64_t bytes = format::kGroupHeaderBytes;
  std::size_t records = 0;
  while (!queue_.empty()) {
    Waiter& waiter = *queue_.front();
    const Operation& operation = waiter.requests[waiter.taken];
    bytes += BytesOf(operation);
    records += RecordsOf(operation);
    if (bytes > limit || records > format::kRecordsPerGroupMax) break;
    gathered_.push_back(&operation);
    if (waiter.taken++ == 0 || gathered_waiters_.empty()) gathered_waiters_.push_back(&waiter);
    if (waiter.taken == waiter.requests.size()) queue_.pop_front();
  }
  CHECK(!gathered_.empty());
}

/// True if each sync of the active segment waits for its file to grow while one that need not is
/// ready. What is left of the file is no loss: the half that was not used is free again with it.
bool JournalImpl::MovesOnLocked() const {
  return active_ != nullptr && active_->spare_wanted && active_->end > active_->slot.written &&
         active_->end < options_.segment_bytes / 2 && SpareReadyLocked();
}

void JournalImpl::WriteGroup() {
  const Status status = WriteGathered();
  sealer_.Trim();
  gathered_.clear();
  gathered_active_.reset();
  records_.clear();
  items_.clear();
  MutexLock lock(mutex_);
  for (Waiter* waiter : gathered_waiters_) {
    if (!status.has_value()) {
      waiter->status = status;
      if (!queue_.empty() && queue_.front() == waiter) queue_.pop_front();
    }
    waiter->done = !status.has_value() || waiter->taken == waiter->requests.size();
  }
  gathered_waiters_.clear();
  writing_ = false;
  NotifyLocked();
}

Status JournalImpl::WriteGathered() {
  MakeRecords();
  std::uint64_t bytes = format::kGroupHeaderBytes;
  for (const GroupItem& item : items_) bytes += GroupBytes(item.header);
  ASSIGN_OR_RETURN(const SegmentPtr segment, SegmentWithRoom(bytes));
  const GroupPlace place{.stream = segment->header.stream,
                         .segment = segment->number(),
                         .offset = segment->end,
                         .first_seq = gathered_after_.seq + 1,
                         .not_durable = gathered_not_durable_,
                         .chain_tag = gathered_after_.tag};
  const GroupSealer::Sealed sealed = sealer_.Seal(place, items_);
  COFFER_FAILPOINT("journal-append");
  if (Planted("publish-before-append")) listener_->Publish(records_);
  const Status written = Planted("acknowledge-before-append")
                             ? Status{}
                             : segment->slot.file->WriteAt(place.offset, sealed.bytes);
  if (!written.has_value()) {
    CloseAfterFailedWrite(segment);
    return written;
  }
  COFFER_FAILPOINT("journal-appended");
  for (std::size_t i = 0; i < records_.size(); ++i) records_[i]->location = items_[i].location;
  NoteWritten(*segment, sealed);
  COFFER_FAILPOINT("journal-noted");
  if (!Planted("publish-before-append")) listener_->Publish(records_);
  COFFER_FAILPOINT("journal-published");
  return {};
}

void JournalImpl::MakeRecords() {
  std::uint64_t seq = gathered_after_.seq;
  const auto now = static_cast<std::uint64_t>(std::max<UnixSeconds>(clock_.WallNow(), 0));
  for (const Operation* operation : gathered_) {
    const bool has_data = operation->kind == format::RecordKind::kWrite;
    std::uint64_t done = 0;
    do {
      const std::uint64_t left = operation->length - done;
      const std::uint64_t length =
          has_data ? std::min<std::uint64_t>(left, format::kRecordDataBytesMax) : left;
      RecordPtr record = std::make_shared<Record>();
      record->seq = ++seq;
      record->header = {.kind = operation->kind,
                        .continues = length < left,
                        .offset = operation->offset + done,
                        .length = length,
                        .written_unix = now};
      ByteView data;
      if (has_data) {
        record->buffer = operation->buffer;
        record->buffer_offset = operation->buffer_offset + static_cast<std::size_t>(done);
        data = ByteView(*record->buffer).subspan(record->buffer_offset, DataBytes(record->header));
      }
      items_.push_back({.header = record->header, .data = data, .location = {}});
      records_.push_back(std::move(record));
      done += length;
    } while (done < operation->length);
  }
}

/// The active segment, or a new one if it is full. A failure before the new one's header is begun
/// leaves the active one as it is: something smaller may still fit.
Result<JournalImpl::SegmentPtr> JournalImpl::SegmentWithRoom(std::uint64_t bytes) {
  if (gathered_active_ != nullptr && gathered_active_->end + bytes <= options_.segment_bytes) {
    return gathered_active_;
  }
  ASSIGN_OR_RETURN(Slot slot, TakeSlot());
  const SegmentPtr segment = NewSegment(std::move(slot), gathered_after_);
  COFFER_FAILPOINT("journal-segment-taken");
  const Status written =
      WriteHeader(segment->slot, journal_key_, identity_.key_epoch, random_, segment->header);
  if (!written.has_value()) {
    // The header may be there all the same, and would cut what the active one got after this.
    (void)files_.Remove(segment->slot);
    MutexLock lock(mutex_);
    active_.reset();
    return Fail(written.error());
  }
  COFFER_FAILPOINT("journal-segment-begun");
  MutexLock lock(mutex_);
  segments_[segment->number()] = segment;
  active_ = segment;
  return segment;
}

Result<Slot> JournalImpl::TakeSlot() {
  std::optional<Slot> slot;
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      slot = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!slot.has_value()) return files_.Create();
  const Status extended = files_.Extend(&*slot);
  if (extended.has_value()) return *std::move(slot);
  MutexLock lock(mutex_);
  AddFreeLocked(*std::move(slot));
  return Fail(extended.error());
}

JournalImpl::SegmentPtr JournalImpl::NewSegment(Slot slot, const Point& after) {
  return std::make_shared<Segment>(Segment{.slot = std::move(slot),
                                           .header = {.vault = identity_.vault,
                                                      .volume = identity_.volume,
                                                      .stream = stream_,
                                                      .segment = next_number_++,
                                                      .first_seq = after.seq + 1,
                                                      .stream_first_seq = stream_first_seq_,
                                                      .chain_tag = after.tag,
                                                      .base_head = base_head_,
                                                      .volume_size = volume_size_,
                                                      .created_unix = clock_.WallNow()},
                                           .end = format::kSegmentHeaderBytes});
}

void JournalImpl::NoteWritten(Segment& segment, const GroupSealer::Sealed& sealed) {
  MutexLock lock(mutex_);
  segment.end += sealed.total_bytes;
  appended_ = {.seq = appended_.seq + records_.size(), .tag = sealed.last_tag};
  segment.last_seq = appended_.seq;
  for (const RecordPtr& record : records_) {
    unsynced_.push_back({record, record->buffer});
    not_durable_data_ += DataBytes(record->header);
  }
  unsynced_bytes_ += sealed.total_bytes;
  const std::uint64_t most = std::min(options_.unsynced_bytes_max, capacity() / 2);
  if (unsynced_bytes_ >= most || unsynced_.size() >= kUnsyncedRecordsMax / 2) PostSyncLocked();
  const bool needs_successor =
      segment.end > segment.slot.written || segment.end >= options_.segment_bytes / 2;
  if (!segment.spare_wanted && needs_successor && segment.syncs >= options_.spare_syncs_min) {
    segment.spare_wanted = true;
    WantSpareLocked();
  }
}

/// Nothing of the failed group was published, but part of it, or all, may lie there. Going on in
/// another segment, whose header cuts this one, keeps every place sealed once and leaves a bad
/// spot of the disk behind.
void JournalImpl::CloseAfterFailedWrite(const SegmentPtr& segment) {
  bool empty = false;
  {
    MutexLock lock(mutex_);
    active_.reset();
    empty = segment->last_seq == 0;
    if (empty) segments_.erase(segment->number());
  }
  if (empty) (void)files_.Remove(segment->slot);
}

void JournalImpl::FailQueueLocked(const Error& error) {
  for (Waiter* waiter : queue_) {
    waiter->status = Fail(error);
    waiter->done = true;
  }
  queue_.clear();
}

}  // namespace coffer::cache
