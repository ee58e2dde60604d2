// The journal's reading side: finding segments, replay, reading one record back.
#include "core/cache/journal.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/cache/journal_impl.h"
#include "core/format/associated_data.h"

namespace coffer::cache {

using format::ChainTag;
using format::kGroupHeaderBytes;
using format::kRecordHeaderBytes;

Result<std::unique_ptr<Journal>> Journal::Open(FileSystem& fs, Clock& clock, Random& random,
                                               Executor& executor, std::string directory,
                                               const SecretBytes& journal_key, Identity identity,
                                               Options options) {
  auto journal = std::make_unique<JournalImpl>(fs, clock, random, executor, std::move(directory),
                                               journal_key, identity, options);
  RETURN_IF_ERROR(journal->Scan());
  return std::unique_ptr<Journal>(std::move(journal));
}

JournalImpl::JournalImpl(FileSystem& fs, Clock& clock, Random& random, Executor& executor,
                         std::string directory, const SecretBytes& journal_key, Identity identity,
                         Options options)
    : fs_(fs),
      clock_(clock),
      random_(random),
      executor_(executor),
      directory_(std::move(directory)),
      key_(journal_key),
      identity_(identity),
      options_(options) {}

Status JournalImpl::Scan() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.List(directory_));
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    if (!name.ends_with(".seg")) continue;
    auto slot = std::make_unique<Slot>();
    slot->path = directory_ + "/" + name;
    ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                     fs_.Open(slot->path, FileSystem::OpenMode::kReadWrite));
    slot->file = std::move(file);
    Bytes block(format::kSegmentHeaderBytes);
    ASSIGN_OR_RETURN(const std::size_t got, slot->file->ReadAt(0, block));
    slots_.push_back(std::move(slot));
    Slot& found = *slots_.back();
    if (got < block.size()) continue;  // made and never used, or torn while made
    ASSIGN_OR_RETURN(const std::uint64_t size, found.file->Size());
    if (size != options_.segment_bytes)
      found.bad = true;  // of other settings: read, never recycled
    const auto prefix = format::DecodeSegmentPrefix(block);
    if (!prefix.has_value()) {
      if (prefix.error().code == ErrorCode::kUnsupported) return Fail(prefix.error());
      continue;
    }
    const crypto::Sealer sealer(key_, prefix->salt);
    Bytes plain(format::kSegmentHeaderPlainBytes);
    const ByteView sealed = ByteView(block).subspan(format::kSegmentPrefixBytes, plain.size() + 16);
    if (!sealer.Open(0, format::SegmentHeaderAad(prefix->segment), sealed, plain).has_value())
      continue;  // torn while it was recycled: what it held before was covered by a head
    auto header = format::DecodeSegmentHeader(plain);
    if (!header.has_value() || header->vault != identity_.vault ||
        header->volume != identity_.volume || header->segment != prefix->segment)
      continue;
    found.segment = prefix->segment;
    found.salt = prefix->salt;
    found.header = *header;
    segment_next_ = std::max(segment_next_, found.segment + 1);
  }
  return {};
}

/// Walks the groups of one segment.
struct JournalImpl::Reader {
  const Slot& slot;
  const SecretBytes& key;
  std::uint64_t offset = format::kSegmentHeaderBytes;

  struct Group {
    format::GroupHeader header;
    std::vector<RecordPtr> records;
    ChainTag last_tag{};
  };

  /// The group at `offset` that follows `seq` and `tag`; kNotFound where the chain ends here.
  Result<Group> Next(std::uint64_t seq, const ChainTag& tag, std::uint64_t segment_bytes) {
    const auto ends = [] { return Fail(ErrorCode::kNotFound, {}); };
    if (offset + kGroupHeaderBytes > segment_bytes) return ends();
    Bytes head(kGroupHeaderBytes);
    ASSIGN_OR_RETURN(const std::size_t got, slot.file->ReadAt(offset, head));
    if (got < head.size()) return ends();
    auto header = format::DecodeGroupHeader(head);
    if (!header.has_value() || header->segment != slot.segment || header->first_seq != seq ||
        header->chain_tag != tag || header->total_bytes < kGroupHeaderBytes ||
        offset + header->total_bytes > segment_bytes)
      return ends();
    Bytes body(header->total_bytes);
    ASSIGN_OR_RETURN(const std::size_t read, slot.file->ReadAt(offset, body));
    if (read < body.size()) return ends();
    const crypto::Sealer sealer(key, header->salt, ByteView(body).first(kGroupHeaderBytes));
    Group group{.header = *header};
    std::size_t at = kGroupHeaderBytes;
    for (std::uint32_t i = 0; i < header->record_count; ++i) {
      if (at + 4 > body.size()) return ends();
      const auto sealed_bytes = LoadLe<std::uint32_t>(body.data() + at);
      if (sealed_bytes < kRecordHeaderBytes + 16 || sealed_bytes > body.size() - at - 4 ||
          sealed_bytes > kRecordHeaderBytes + format::kRecordDataBytesMax + 16)
        return ends();
      const ByteView sealed = ByteView(body).subspan(at + 4, sealed_bytes);
      auto plain = std::make_shared<Bytes>(sealed_bytes - 16);
      if (!sealer
               .Open(i, format::RecordAad(slot.header.stream, slot.segment, seq + i), sealed,
                     *plain)
               .has_value())
        return ends();
      auto record_header = format::DecodeRecordHeader(ByteView(*plain).first(kRecordHeaderBytes));
      if (!record_header.has_value()) return ends();
      const std::size_t data_bytes = plain->size() - kRecordHeaderBytes;
      if (record_header->kind == format::RecordKind::kWrite ? record_header->length != data_bytes
                                                            : data_bytes != 0)
        return ends();
      auto record = std::make_shared<Record>();
      record->seq = seq + i;
      record->header = *record_header;
      record->location = {.segment = slot.segment,
                          .group_offset = static_cast<std::uint32_t>(offset),
                          .record_offset = static_cast<std::uint32_t>(offset + at),
                          .number = i};
      if (data_bytes > 0) {
        record->buffer = plain;
        record->buffer_offset = kRecordHeaderBytes;
      }
      std::memcpy(group.last_tag.data(), sealed.data() + sealed_bytes - 16, 16);
      group.records.push_back(std::move(record));
      at += 4 + sealed_bytes;
    }
    if (at != body.size()) return ends();
    offset += body.size();
    return group;
  }
};

Result<Journal::Recovery> JournalImpl::Replay(
    const format::JournalPosition& covered,
    const std::function<Status(std::span<const RecordPtr> request)>& sink) {
  std::vector<Slot*> order;
  {
    MutexLock lock(mutex_);
    for (const auto& slot : slots_)
      if (slot->segment != 0) order.push_back(slot.get());
  }
  std::sort(order.begin(), order.end(),
            [](const Slot* a, const Slot* b) { return a->segment < b->segment; });
  // Segments before the one that holds the first record wanted are covered: they may have been
  // recycled in part.
  for (std::size_t i = order.size(); i-- > 1;) {
    if (order[i]->header.first_seq > covered.seq + 1) continue;
    order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  Recovery recovery;
  std::uint64_t seq = 0;  // the next one
  ChainTag tag{};
  std::vector<RecordPtr> request;
  const auto damage = [&](const Slot& slot, std::uint64_t offset, std::uint64_t until) {
    recovery.damaged = true;
    recovery.damage = Concat("records ", seq, " to ", until, " in ", slot.path, " at byte ", offset,
                             " do not authenticate, though they were durable");
  };
  for (std::size_t i = 0; i < order.size() && !recovery.damaged; ++i) {
    Slot& slot = *order[i];
    const std::uint64_t cut =
        i + 1 < order.size() ? order[i + 1]->header.first_seq : ~std::uint64_t{0};
    if (i == 0) {
      seq = slot.header.first_seq;
      tag = slot.header.chain_tag;
      if (seq > covered.seq + 1 && seq != slot.header.stream_first_seq) {
        const std::uint64_t first = seq;
        seq = covered.seq + 1;
        damage(slot, 0, first - 1);
        break;
      }
    } else if (slot.header.first_seq != seq || slot.header.chain_tag != tag) {
      // A stream that begins vouches for nothing before it but what its first record follows.
      damage(*order[i - 1], 0, slot.header.first_seq - 1);
      break;
    }
    recovery.last_stream = slot.header.stream;
    Reader reader{.slot = slot, .key = key_};
    std::uint64_t vouched = 0;
    while (seq < cut) {
      auto group = reader.Next(seq, tag, options_.segment_bytes);
      if (!group.has_value()) {
        if (group.error().code != ErrorCode::kNotFound) return Fail(std::move(group).error());
        break;
      }
      vouched = std::max(vouched, group->header.first_seq - 1 - group->header.not_durable);
      if (group->header.first_seq + group->header.record_count > cut) break;  // written again later
      for (RecordPtr& record : group->records) {
        const bool last = !record->header.continues;
        request.push_back(std::move(record));
        if (!last) continue;
        slot.last_seq = request.back()->seq;
        recovery.last_seq = request.back()->seq;
        if (request.front()->seq > covered.seq) {
          if (recovery.records == 0) {
            recovery.base_head = slot.header.base_head;
            recovery.volume_size = slot.header.volume_size;
          }
          recovery.records += request.size();
          RETURN_IF_ERROR(sink(request));
        }
        request.clear();
      }
      seq = group->header.first_seq + group->header.record_count;
      tag = group->last_tag;
      slot.last_seq = seq - 1;
    }
    if (cut != ~std::uint64_t{0} && seq < cut) damage(slot, reader.offset, cut - 1);
  }
  tip_.next_seq = seq;
  tip_.chain_tag = tag;
  return recovery;
}

Status JournalImpl::StartStream(const format::ChainPoint& base_head, std::uint64_t volume_size,
                                std::uint64_t first_seq, JournalListener& listener) {
  stream_ = random_.NewId<StreamId>();
  base_head_ = base_head;
  volume_size_ = volume_size;
  listener_ = &listener;
  // Where numbers jump, the stream follows nothing: its chain starts anew.
  if (tip_.next_seq != first_seq) {
    MutexLock lock(mutex_);
    for (const auto& slot : slots_) {
      if (slot->last_seq == 0 || slot->last_seq < first_seq) slot->segment = 0;
    }
    tip_.chain_tag = {};
  }
  tip_.next_seq = first_seq;
  stream_first_seq_ = first_seq;
  MutexLock lock(mutex_);
  appended_seq_ = durable_seq_ = first_seq - 1;
  durable_tag_ = tip_.chain_tag;
  // Segments without any record are free again.
  for (const auto& slot : slots_)
    if (slot->segment != 0 && slot->last_seq == 0) slot->segment = 0;
  // What was replayed is durable only if it is synced: the killed process may not have done so.
  for (const auto& slot : slots_)
    if (slot->segment != 0) slot->written = slot->fresh = true;
  return {};
}

Result<Bytes> JournalImpl::ReadRecord(const Record& record, const RecordLocation& location) {
  std::shared_ptr<File> file;
  StreamId stream;
  {
    MutexLock lock(mutex_);
    for (const auto& slot : slots_) {
      if (slot->segment != location.segment) continue;
      file = slot->file;
      stream = slot->header.stream;
    }
  }
  if (file == nullptr)
    return Fail(ErrorCode::kNotFound, Concat("journal segment ", location.segment, " is gone"));
  Bytes group(kGroupHeaderBytes);
  Bytes sealed(kRecordHeaderBytes + record.header.length + 16);
  ASSIGN_OR_RETURN(const std::size_t got, file->ReadAt(location.group_offset, group));
  ASSIGN_OR_RETURN(const std::size_t read, file->ReadAt(location.record_offset + 4, sealed));
  const auto header = format::DecodeGroupHeader(group);
  if (got != group.size() || read != sealed.size() || !header.has_value())
    return Fail(ErrorCode::kCorruption, Concat("journal record ", record.seq, " is cut off"));
  const crypto::Sealer sealer(key_, header->salt, group);
  Bytes plain(sealed.size() - 16);
  const Status opened = sealer.Open(
      location.number, format::RecordAad(stream, location.segment, record.seq), sealed, plain);
  if (!opened.has_value())
    return Fail(opened.error().Within(Concat("journal record ", record.seq)));
  plain.erase(plain.begin(), plain.begin() + kRecordHeaderBytes);
  return plain;
}

StreamId JournalImpl::stream() const { return stream_; }

std::uint64_t JournalImpl::appended_seq() const {
  MutexLock lock(mutex_);
  return appended_seq_;
}

std::uint64_t JournalImpl::durable_seq() const {
  MutexLock lock(mutex_);
  return durable_seq_;
}

std::uint64_t JournalImpl::used_bytes() const {
  MutexLock lock(mutex_);
  std::uint64_t used = 0;
  for (const auto& slot : slots_)
    if (slot->segment != 0 && slot->last_seq > released_seq_) used += options_.segment_bytes;
  return used;
}

Status JournalImpl::health() const {
  MutexLock lock(mutex_);
  return failed_;
}

void JournalImpl::CheckInvariants() const {
  MutexLock lock(mutex_);
  CHECK(durable_seq_ <= appended_seq_);
  std::uint64_t next = durable_seq_ + 1;
  for (const Unsynced& unsynced : unsynced_) CHECK(unsynced.record->seq == next++);
  CHECK(next == appended_seq_ + 1);
}

}  // namespace coffer::cache
