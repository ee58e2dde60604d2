#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/cache/journal_impl.h"

namespace coffer::cache {

Status JournalImpl::Sync() {
  std::uint64_t target = 0;
  {
    MutexLock lock(mutex_);
    if (phase_ != Phase::kStreaming) {
      return Fail(ErrorCode::kInvalidArgument, "the journal's stream has not started");
    }
    target = appended_.seq;
  }
  return SyncThrough(target);
}

Status JournalImpl::SyncThrough(std::uint64_t target) {
  while (true) {
    SyncPlan plan;
    {
      MutexLock lock(mutex_);
      if (syncing_ && durable_.seq < target) {
        AwaitLocked(
            lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return !syncing_ || durable_.seq >= target; });
        if (Planted("flush-joins-earlier-sync") && !failure_.has_value()) return {};
      }
      if (failure_.has_value()) return Fail(*failure_);
      if (durable_.seq >= target) return {};
      if (syncing_) continue;
      plan = PlanSyncLocked();
    }
    RunSync(plan);
  }
}

JournalImpl::SyncPlan JournalImpl::PlanSyncLocked() {
  syncing_ = true;
  CHECK(in_sync_.empty());
  in_sync_.swap(unsynced_);
  in_sync_bytes_ = std::exchange(unsynced_bytes_, 0);
  SyncPlan plan{.parts = {}, .point = appended_};
  for (const auto& [number, segment] : segments_) {
    if (segment->bad || segment->last_seq <= segment->synced_seq) continue;
    plan.parts.push_back({.segment = segment, .seq = segment->last_seq});
    if (!segment->slot.name_durable) plan.sync_directory = true;
  }
  return plan;
}

Status JournalImpl::RunPlan(const SyncPlan& plan) {
  for (const SyncPlan::Part& part : plan.parts) {
    if (Planted("skip-journal-sync")) continue;
    RETURN_IF_ERROR(part.segment->slot.file->SyncData());
  }
  COFFER_FAILPOINT("journal-data-synced");
  if (plan.sync_directory && !Planted("skip-directory-sync")) {
    RETURN_IF_ERROR(files_.SyncDirectory());
  }
  COFFER_FAILPOINT("journal-synced");
  return {};
}

void JournalImpl::RunSync(const SyncPlan& plan) {
  Status status = RunPlan(plan);
  if (!status.has_value() && Planted("retry-failed-sync")) status = RunPlan(plan);
  if (!status.has_value()) return WriteAgain(status.error());
  std::vector<Unsynced> dropped;  // outlives the lock: what it holds may be large
  MutexLock lock(mutex_);
  for (const SyncPlan::Part& part : plan.parts) {
    part.segment->synced_seq = part.seq;
    ++part.segment->syncs;
    if (plan.sync_directory) part.segment->slot.name_durable = true;
  }
  durable_ = plan.point;
  dropped.swap(in_sync_);
  for (const Unsynced& record : dropped) not_durable_data_ -= DataBytes(record.record->header);
  in_sync_bytes_ = 0;
  syncing_ = false;
  RetireLocked();
  NotifyLocked();
}

/// After a failed sync the kernel may have dropped what was written, and a second sync would
/// succeed without storing it. So the files concerned are never trusted again, and everything that
/// was not durable goes from memory into another one.
void JournalImpl::WriteAgain(const Error& cause) {
  LOG(kWarning, "a journal sync failed, writing again elsewhere: ", cause.message);
  std::vector<Unsynced> records;
  Point after;
  {
    MutexLock lock(mutex_);
    AwaitLocked(lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return !writing_; });
    writing_ = true;
    records.swap(in_sync_);
    records.insert(records.end(), std::make_move_iterator(unsynced_.begin()),
                   std::make_move_iterator(unsynced_.end()));
    unsynced_.clear();
    after = durable_;
    active_.reset();
    for (const auto& [number, segment] : segments_) {
      if (segment->last_seq > after.seq) segment->bad = true;
    }
  }
  Result<Copy> copy = CopyElsewhere(records, after);
  sealer_.Trim();
  if (copy.has_value()) {
    {
      MutexLock lock(mutex_);
      segments_[copy->segment->number()] = copy->segment;
    }
    listener_->Relocate(copy->moves);
  }
  MutexLock lock(mutex_);
  if (copy.has_value()) {
    active_ = copy->segment;
    appended_ = durable_ = copy->last;
    not_durable_data_ = 0;
  } else {
    unsynced_ = std::move(records);
    failure_ = Error{copy.error().code,
                     Concat("the journal in ", directory_, " has failed: ", cause.message,
                            "; writing again elsewhere failed too: ", copy.error().message),
                     "writes since the last successful flush may be lost; read what is there, "
                     "mend the disk, then open the volume again"};
    LOG(kError, failure_->message);
    FailQueueLocked(*failure_);
  }
  unsynced_bytes_ = copy.has_value() ? 0 : unsynced_bytes_ + in_sync_bytes_;
  in_sync_bytes_ = 0;
  writing_ = false;
  syncing_ = false;
  RetireLocked();
  NotifyLocked();
}

/// The header comes last: until it is there the old files count, whose pages a killed process
/// leaves behind; from then on the copy does, and is whole.
Result<JournalImpl::Copy> JournalImpl::CopyElsewhere(std::span<const Unsynced> records,
                                                     const Point& after) {
  ASSIGN_OR_RETURN(Slot slot, TakeSlot());
  Copy copy{.segment = NewSegment(std::move(slot), after), .last = after, .moves = {}};
  RETURN_IF_ERROR(SealInto(*copy.segment, records, &copy));
  Slot& target = copy.segment->slot;
  RETURN_IF_ERROR(
      WriteHeader(target, journal_key_, identity_.key_epoch, random_, copy.segment->header));
  RETURN_IF_ERROR(target.file->SyncData());
  if (!target.name_durable) RETURN_IF_ERROR(files_.SyncDirectory());
  target.name_durable = true;
  copy.segment->last_seq = copy.segment->synced_seq = copy.last.seq;
  return copy;
}

/// As few groups as possible, so never more bytes than the records took before.
Status JournalImpl::SealInto(Segment& segment, std::span<const Unsynced> records, Copy* copy) {
  const std::uint64_t durable_seq = copy->last.seq;
  std::vector<GroupItem> items;
  for (std::size_t begin = 0; begin < records.size();) {
    items.clear();
    std::size_t end = begin;  // of the last whole request that fits
    std::uint64_t bytes = format::kGroupHeaderBytes;
    for (std::size_t i = begin; i < records.size(); ++i) {
      const Record& record = *records[i].record;
      bytes += GroupBytes(record.header);
      if (bytes > options_.group_bytes_max || i - begin >= format::kRecordsPerGroupMax) break;
      ByteView data;
      if (DataBytes(record.header) != 0) {
        data = ByteView(*records[i].buffer).subspan(record.buffer_offset, DataBytes(record.header));
      }
      items.push_back({.header = record.header, .data = data, .location = {}});
      if (!record.header.continues) end = i + 1;
    }
    CHECK(end > begin);
    items.resize(end - begin);
    const GroupPlace place{.stream = segment.header.stream,
                           .segment = segment.number(),
                           .offset = segment.end,
                           .first_seq = copy->last.seq + 1,
                           .not_durable = static_cast<std::uint32_t>(copy->last.seq - durable_seq),
                           .chain_tag = copy->last.tag};
    const GroupSealer::Sealed sealed = sealer_.Seal(place, items);
    CHECK(segment.end + std::uint64_t{sealed.total_bytes} <= options_.segment_bytes);
    RETURN_IF_ERROR(segment.slot.file->WriteAt(place.offset, sealed.bytes));
    segment.end += sealed.total_bytes;
    copy->last = {.seq = copy->last.seq + items.size(), .tag = sealed.last_tag};
    for (std::size_t i = 0; i < items.size(); ++i) {
      copy->moves.emplace_back(records[begin + i].record, items[i].location);
    }
    begin = end;
  }
  return {};
}

void JournalImpl::PostSyncLocked() {
  if (sync_posted_ || syncing_) return;
  sync_posted_ = true;
  ++background_tasks_;
  executor_.Post([this] {
    SyncPlan plan;
    bool wanted = false;
    {
      MutexLock lock(mutex_);
      sync_posted_ = false;
      wanted = !syncing_ && !failure_.has_value() && durable_.seq < appended_.seq;
      if (wanted) plan = PlanSyncLocked();
    }
    if (wanted) RunSync(plan);  // whoever flushes next learns of a failure
    MutexLock lock(mutex_);
    --background_tasks_;
    NotifyLocked();
  });
}

}  // namespace coffer::cache
