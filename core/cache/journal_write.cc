// The journal's writing side: group commit, segments, sync and its failure.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/cache/journal_impl.h"
#include "core/crypto/hash.h"
#include "core/format/associated_data.h"

namespace coffer::cache {
namespace {

using format::ChainTag;
using format::kGroupHeaderBytes;
using format::kRecordDataBytesMax;
using format::kRecordHeaderBytes;
using format::kRecordOverheadBytes;
using format::RecordKind;

std::size_t SealedBytes(const Record& record) {
  return kRecordOverheadBytes +
         (record.header.kind == RecordKind::kWrite ? record.header.length : 0);
}

std::vector<RecordPtr> SplitRequest(const Journal::Operation& operation) {
  std::vector<RecordPtr> records;
  std::uint64_t done = 0;
  do {
    auto record = std::make_shared<Record>();
    record->header.kind = operation.kind;
    record->header.offset = operation.offset + done;
    record->header.length = operation.length;
    if (operation.kind == RecordKind::kWrite) {
      record->header.length = std::min<std::uint64_t>(operation.length - done, kRecordDataBytesMax);
      record->buffer = operation.buffer;
      record->buffer_offset = operation.buffer_offset + done;
    }
    done += record->header.length;
    record->header.continues = operation.kind == RecordKind::kWrite && done < operation.length;
    records.push_back(std::move(record));
  } while (operation.kind == RecordKind::kWrite && done < operation.length);
  return records;
}

}  // namespace

Status JournalImpl::Append(std::span<const Operation> requests) {
  Pending pending;
  for (const Operation& operation : requests) {
    pending.requests.push_back(SplitRequest(operation));
    std::size_t bytes = kGroupHeaderBytes;
    for (const RecordPtr& record : pending.requests.back()) bytes += SealedBytes(*record);
    if (bytes > std::min<std::uint64_t>(options_.group_bytes_max,
                                        options_.segment_bytes - format::kSegmentHeaderBytes)) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("a request of ", operation.length, " bytes does not fit the journal"));
    }
    pending.bytes += bytes;
  }
  bool sync_due = false;
  {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(failed_);
    queue_.push_back(&pending);
    if (leading_) {
      executor_.Await(lock, changed_,
                      [&]() NO_THREAD_SAFETY_ANALYSIS { return pending.done || !leading_; });
    }
    if (!pending.done) {
      leading_ = true;
      Lead(lock);
      leading_ = false;
      changed_.notify_all();
    }
    sync_due = unsynced_bytes_ > options_.unsynced_bytes_max && !syncing_;
  }
  // What a sync would fail to store must be in memory: so it is not let grow without bound.
  if (pending.status.has_value() && sync_due) (void)Sync();
  return pending.status;
}

void JournalImpl::Lead(MutexLock& lock) {
  std::vector<Pending*> batch(queue_.begin(), queue_.end());
  queue_.clear();
  Status failed = failed_;
  lock.Unlock();
  if (failed.has_value()) {
    WriteBatch(batch);
  } else {
    for (Pending* pending : batch) pending->status = failed;
  }
  lock.Lock();
  for (Pending* pending : batch) pending->done = true;
}

/// Requests of several appends go into one group, as long as they fit.
void JournalImpl::WriteBatch(std::vector<Pending*>& batch) {
  const std::size_t room = std::min<std::size_t>(
      options_.group_bytes_max, options_.segment_bytes - format::kSegmentHeaderBytes);
  std::vector<RecordPtr> records;
  std::vector<Pending*> owners;
  std::size_t bytes = kGroupHeaderBytes;
  const auto flush = [&] {
    if (records.empty()) return;
    std::vector<std::shared_ptr<const Bytes>> buffers;
    buffers.reserve(records.size());
    for (const RecordPtr& record : records) buffers.push_back(record->buffer);
    std::vector<RecordLocation> locations;
    std::vector<ChainTag> tags;
    const Status status = WriteRecords(records, buffers, &locations, &tags);
    if (status.has_value()) {
      {
        MutexLock lock(mutex_);
        for (std::size_t i = 0; i < records.size(); ++i) {
          records[i]->location = locations[i];
          unsynced_.push_back({records[i], buffers[i], tags[i]});
          unsynced_bytes_ += SealedBytes(*records[i]);
        }
        appended_seq_ = records.back()->seq;
      }
      listener_->Publish(records);
    } else {
      for (Pending* owner : owners) owner->status = status;
    }
    records.clear();
    owners.clear();
    bytes = kGroupHeaderBytes;
  };
  for (Pending* pending : batch) {
    for (const std::vector<RecordPtr>& request : pending->requests) {
      std::size_t more = 0;
      for (const RecordPtr& record : request) more += SealedBytes(*record);
      if (bytes + more > room || records.size() + request.size() > format::kRecordsPerGroupMax)
        flush();
      if (!pending->status.has_value()) break;  // an earlier part of it failed
      records.insert(records.end(), request.begin(), request.end());
      owners.push_back(pending);
      bytes += more;
    }
  }
  flush();
}

/// Seals `records` as one group and writes it. Nothing has changed if it fails: the next group goes
/// to the same place, and what a torn write left there opens for nobody.
Status JournalImpl::WriteRecords(std::span<const RecordPtr> records,
                                 std::span<const std::shared_ptr<const Bytes>> buffers,
                                 std::vector<RecordLocation>* locations,
                                 std::vector<ChainTag>* tags) {
  std::size_t total = kGroupHeaderBytes;
  for (const RecordPtr& record : records) total += SealedBytes(*record);
  if (tip_.slot == kNoSlot || tip_.offset + total > options_.segment_bytes)
    RETURN_IF_ERROR(OpenSegment(tip_.next_seq, tip_.chain_tag));

  std::shared_ptr<File> file;
  format::GroupHeader header{.total_bytes = static_cast<std::uint32_t>(total),
                             .first_seq = tip_.next_seq,
                             .record_count = static_cast<std::uint32_t>(records.size()),
                             .chain_tag = tip_.chain_tag};
  {
    MutexLock lock(mutex_);
    file = slots_[tip_.slot]->file;
    header.segment = slots_[tip_.slot]->segment;
    header.not_durable = static_cast<std::uint32_t>(tip_.next_seq - 1 - durable_seq_);
  }
  // Fresh randomness, hedged with what makes this group unique: a repeated random number still
  // gives another salt.
  std::array<std::byte, 32> fresh;
  random_.Fill(fresh);
  std::array<std::byte, 8> seq_bytes;
  StoreLe(seq_bytes.data(), tip_.next_seq);
  crypto::Sha256Hasher hasher;
  hasher.Update(fresh);
  hasher.Update(stream_.view());
  hasher.Update(seq_bytes);
  hasher.Update(tip_.chain_tag);
  header.salt = hasher.Finish().bytes;

  if (group_.size() < total) group_.resize(total);
  const MutableByteView out(group_.data(), total);
  EncodeTo(header, out.first<kGroupHeaderBytes>());
  const crypto::Sealer sealer(key_, header.salt, out.first(kGroupHeaderBytes));
  std::size_t at = kGroupHeaderBytes;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Record& record = *records[i];
    const std::uint64_t seq = tip_.next_seq + i;
    const std::size_t data_bytes =
        record.header.kind == RecordKind::kWrite ? record.header.length : 0;
    const std::size_t plain_bytes = kRecordHeaderBytes + data_bytes;
    StoreLe(out.data() + at, static_cast<std::uint32_t>(plain_bytes + 16));
    const MutableByteView sealed = out.subspan(at + 4, plain_bytes + 16);
    EncodeTo(record.header, sealed.first<kRecordHeaderBytes>());
    if (data_bytes > 0)
      std::memcpy(sealed.data() + kRecordHeaderBytes, buffers[i]->data() + record.buffer_offset,
                  data_bytes);
    sealer.Seal(i, format::RecordAad(stream_, header.segment, seq), sealed.first(plain_bytes),
                sealed);
    locations->push_back({.segment = header.segment,
                          .group_offset = static_cast<std::uint32_t>(tip_.offset),
                          .record_offset = static_cast<std::uint32_t>(tip_.offset + at),
                          .number = static_cast<std::uint32_t>(i)});
    ChainTag tag;
    std::memcpy(tag.data(), sealed.data() + plain_bytes, tag.size());
    tags->push_back(tag);
    at += SealedBytes(record);
  }
  RETURN_IF_ERROR(file->WriteAt(tip_.offset, out));
  for (std::size_t i = 0; i < records.size(); ++i) records[i]->seq = tip_.next_seq + i;
  tip_.offset += total;
  tip_.next_seq += records.size();
  tip_.chain_tag = tags->back();
  MutexLock lock(mutex_);
  Slot& slot = *slots_[tip_.slot];
  slot.written = true;
  slot.last_seq = tip_.next_seq - 1;
  return {};
}

Result<std::size_t> JournalImpl::TakeFreeSlot() {
  std::string path;
  {
    MutexLock lock(mutex_);
    std::set<std::string> taken;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i]->segment == 0 && !slots_[i]->bad) return i;
      taken.insert(slots_[i]->path);
    }
    for (int number = 0;; ++number) {
      char name[16];
      std::snprintf(name, sizeof name, "/%04d.seg", number);
      path = directory_ + name;
      if (!taken.contains(path)) break;
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs_.Open(path, FileSystem::OpenMode::kCreate));
  Status allocated = file->Allocate(options_.segment_bytes);
  if (!allocated.has_value() && allocated.error().code == ErrorCode::kUnsupported)
    allocated = file->Truncate(options_.segment_bytes);
  if (!allocated.has_value()) {
    file.reset();
    (void)fs_.Remove(path);
    return Fail(std::move(allocated).error());
  }
  auto slot = std::make_unique<Slot>();
  slot->path = path;
  slot->file = std::move(file);
  slot->fresh = true;
  MutexLock lock(mutex_);
  slots_.push_back(std::move(slot));
  return slots_.size() - 1;
}

Status JournalImpl::OpenSegment(std::uint64_t first_seq, const ChainTag& chain_tag) {
  ASSIGN_OR_RETURN(const std::size_t index, TakeFreeSlot());
  format::SegmentPrefix prefix{.key_epoch = identity_.key_epoch, .segment = segment_next_};
  random_.Fill(prefix.salt);
  const format::SegmentHeader header{.vault = identity_.vault,
                                     .volume = identity_.volume,
                                     .stream = stream_,
                                     .segment = prefix.segment,
                                     .first_seq = first_seq,
                                     .stream_first_seq = stream_first_seq_,
                                     .chain_tag = chain_tag,
                                     .base_head = base_head_,
                                     .volume_size = volume_size_,
                                     .created_unix = clock_.WallNow()};
  Bytes block(format::kSegmentHeaderBytes, std::byte{0});
  const Bytes clear = Encode(prefix);
  std::copy(clear.begin(), clear.end(), block.begin());
  const crypto::Sealer sealer(key_, prefix.salt);
  sealer.Seal(0, format::SegmentHeaderAad(prefix.segment), Encode(header),
              MutableByteView(block).subspan(format::kSegmentPrefixBytes,
                                             format::kSegmentHeaderPlainBytes + 16));
  std::shared_ptr<File> file;
  {
    MutexLock lock(mutex_);
    file = slots_[index]->file;
  }
  RETURN_IF_ERROR(file->WriteAt(0, block));
  ++segment_next_;
  MutexLock lock(mutex_);
  Slot& slot = *slots_[index];
  slot.segment = prefix.segment;
  slot.header = header;
  slot.salt = prefix.salt;
  slot.last_seq = 0;
  slot.written = true;
  tip_.slot = index;
  tip_.offset = format::kSegmentHeaderBytes;
  return {};
}

// ---- sync
// -------------------------------------------------------------------------------------------

Status JournalImpl::Sync() {
  MutexLock lock(mutex_);
  const std::uint64_t target = appended_seq_;
  for (;;) {
    RETURN_IF_ERROR(failed_);
    if (durable_seq_ >= target) return {};
    if (!syncing_) break;
    executor_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !syncing_; });
  }
  syncing_ = true;
  lock.Unlock();
  Status status = SyncFiles();
  if (!status.has_value()) status = Rewrite();
  lock.Lock();
  syncing_ = false;
  if (!status.has_value()) failed_ = status;
  changed_.notify_all();
  return status;
}

Status JournalImpl::SyncFiles() {
  std::vector<std::pair<Slot*, std::shared_ptr<File>>> files;
  std::uint64_t covers = 0;
  bool directory = false;
  {
    MutexLock lock(mutex_);
    covers = appended_seq_;
    for (const auto& slot : slots_) {
      if (!slot->written || slot->bad) continue;
      slot->written = false;
      directory |= slot->fresh;
      files.push_back({slot.get(), slot->file});
    }
  }
  Status status;
  if (directory) status = fs_.SyncDirectory(directory_);
  for (const auto& [slot, file] : files) {
    Status synced = file->SyncData();
    MutexLock lock(mutex_);
    if (!synced.has_value()) {
      slot->bad = true;
      if (status.has_value()) status = std::move(synced);
    } else if (status.has_value()) {
      slot->fresh = false;
    }
  }
  MutexLock lock(mutex_);
  if (!status.has_value()) {
    for (const auto& entry : files) entry.first->bad = true;
    return status;
  }
  if (covers > durable_seq_) durable_seq_ = covers;
  while (!unsynced_.empty() && unsynced_.front().record->seq <= covers) {
    durable_tag_ = unsynced_.front().tag;
    unsynced_bytes_ -= SealedBytes(*unsynced_.front().record);
    unsynced_.pop_front();
  }
  return {};
}

/// A sync failed: what it should have stored may be gone although a later sync would say nothing.
/// All of it is written again into a fresh segment, which cuts the old ones where they were last
/// durable.
Status JournalImpl::Rewrite() {
  MutexLock lock(mutex_);
  executor_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !leading_; });
  leading_ = true;
  const std::vector<Unsynced> again(unsynced_.begin(), unsynced_.end());
  const std::uint64_t first_seq = durable_seq_ + 1;
  const ChainTag cut = durable_tag_;
  for (const auto& slot : slots_)
    if (slot->last_seq > durable_seq_) slot->bad = true;
  if (tip_.slot != kNoSlot) slots_[tip_.slot]->bad = true;
  lock.Unlock();
  LOG(kWarning, "journal: a sync failed; writing ", again.size(), " records again elsewhere");

  tip_ = {.slot = kNoSlot, .offset = 0, .next_seq = first_seq, .chain_tag = cut};
  Status status = OpenSegment(first_seq, cut);
  std::vector<std::pair<RecordPtr, RecordLocation>> moves;
  std::vector<ChainTag> tags;
  for (std::size_t begin = 0; status.has_value() && begin < again.size();) {
    std::vector<RecordPtr> records;
    std::vector<std::shared_ptr<const Bytes>> buffers;
    std::size_t bytes = kGroupHeaderBytes;
    while (begin < again.size() &&
           (records.empty() || bytes < (1u << 20) || records.back()->header.continues)) {
      records.push_back(again[begin].record);
      buffers.push_back(again[begin].buffer);
      bytes += SealedBytes(*again[begin].record);
      ++begin;
    }
    std::vector<RecordLocation> locations;
    status = WriteRecords(records, buffers, &locations, &tags);
    for (std::size_t i = 0; status.has_value() && i < records.size(); ++i)
      moves.push_back({records[i], locations[i]});
  }
  if (status.has_value()) {
    lock.Lock();
    for (std::size_t i = 0; i < tags.size(); ++i) unsynced_[i].tag = tags[i];
    lock.Unlock();
    status = SyncFiles();
  }
  if (status.has_value() && !moves.empty()) listener_->Relocate(moves);
  lock.Lock();
  leading_ = false;
  changed_.notify_all();
  if (!status.has_value())
    return Fail(status.error().Within("the journal can no longer store writes"));
  return {};
}

// ---- letting go
// -------------------------------------------------------------------------------------

void JournalImpl::Release(std::uint64_t seq) {
  std::vector<std::string> remove;
  {
    MutexLock lock(mutex_);
    released_seq_ = std::max(released_seq_, seq);
    std::size_t free = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = *slots_[i];
      const bool done = slot.segment != 0 && slot.last_seq <= released_seq_ && i != tip_.slot &&
                        (slot.last_seq != 0 || slot.bad);
      if (!done) {
        free += slot.segment == 0 && !slot.bad;
        continue;
      }
      slot.segment = 0;
      if (!slot.bad && ++free <= options_.free_segments_max) continue;
      slot.bad = true;
      remove.push_back(slot.path);
    }
    // Slots keep their index (the tip refers to it): a removed one stays as an empty husk.
  }
  for (const std::string& path : remove) {
    if (const Status removed = fs_.Remove(path); !removed.has_value())
      LOG(kWarning, "journal: ", removed.error().message);
  }
}

}  // namespace coffer::cache
