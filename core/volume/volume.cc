// The way of a write through an open volume, and its life. Reads are in volume_reads.cc, opening in
// open.cc.
#include "core/volume/volume.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/format/limits.h"
#include "core/vault/person.h"
#include "core/volume/open_volume.h"

namespace coffer::volume {
namespace {

using block::kBlockSize;

/// Zeroing of less than this is written as data, so that it is one request in the journal.
constexpr std::uint64_t kSmallZeroBytes = 256 * 1024;

std::uint64_t AlignDown(std::uint64_t bytes) { return bytes / kBlockSize * kBlockSize; }
std::uint64_t AlignUp(std::uint64_t bytes) { return AlignDown(bytes + kBlockSize - 1); }

Error DiskFullError(const std::string& directory, int writers) {
  return vault::NoSpaceError(
      Concat("the disk that holds ", directory, " is full, and ", writers, " writers wait"),
      "make room on that disk; what waits goes on by itself");
}

class SharedPass {
 public:
  explicit SharedPass(WriteGate& gate) : gate_(gate) { gate_.EnterShared(); }
  ~SharedPass() { gate_.LeaveShared(); }
  SharedPass(const SharedPass&) = delete;
  SharedPass& operator=(const SharedPass&) = delete;

 private:
  WriteGate& gate_;
};

}  // namespace

OpenVolume::~OpenVolume() {
  if (!closed_ && syncer_ != nullptr) syncer_->Stop();
}

std::uint64_t OpenVolume::size() const { return live_->size(); }

Status OpenVolume::CheckRange(std::uint64_t offset, std::uint64_t length) const {
  return CheckRangeOf(size(), offset, length);
}

Status OpenVolume::CheckRangeOf(std::uint64_t end, std::uint64_t offset, std::uint64_t length) {
  if (offset > end || length > end - offset)
    return Fail(ErrorCode::kInvalidArgument, Concat("bytes ", offset, " … ", offset + length,
                                                    " lie beyond the volume's end at ", end));
  return {};
}

Status OpenVolume::CheckWritable(std::uint64_t offset, std::uint64_t length) const {
  if (read_only_) return Fail(ErrorCode::kUnsupported, "the volume is open read-only");
  RETURN_IF_ERROR(journal_->health());
  return CheckRange(offset, length);
}

// ---- writes
// -----------------------------------------------------------------------------------------

/// A range of zeros takes next to nothing in the journal, but memory until it is committed, as a
/// block written does: it counts as one, so that a flood of small ones waits for commits too.
bool OpenVolume::HasRoom(std::uint64_t bytes) const {
  const std::uint64_t used = journal_->used_bytes();
  return used == 0 || used + live_->zero_ranges() * kBlockSize + bytes <= journal_bytes_max_;
}

/// The journal may take its share of what the disk would have free without it.
void OpenVolume::MeasureDisk() {
  const std::uint64_t wanted = Tuned().journal_bytes_max;
  const auto space = resources_.vault().env().fs.Space(directory_);
  if (!space.has_value()) {
    journal_bytes_max_ = wanted;
    return;
  }
  const std::uint64_t used = journal_ == nullptr ? 0 : journal_->used_bytes();
  journal_bytes_max_ = std::min(wanted, (space->free_bytes + used) / settings_.journal_disk_share);
  disk_full_ = space->free_bytes < segment_bytes_;  // no further one
}

/// Runs `append` when the journal has room for it, again when the disk was full. No pass of the
/// gate is held while it waits. What a failed `append` may have published is written again with it,
/// still before it is acknowledged.
Status OpenVolume::AppendWithRoom(std::uint64_t bytes, const std::function<Status()>& append) {
  if (HasRoom(bytes)) {
    Status status = append();
    if (status.has_value() || status.error().code != ErrorCode::kNoSpace) return status;
  }
  std::optional<Duration> patience = Tuned().journal_full_wait;
  ++writers_waiting_;
  Status status;
  do {
    MeasureDisk();
    if (HasRoom(bytes)) {
      status = append();
      if (status.has_value() || status.error().code != ErrorCode::kNoSpace) break;
      // Nothing to upload that would make room, and not even the reserve: no use in waiting.
      const bool hopeless = live_->numbers().generations == 0 && !reserve_->held();
      if (hopeless || !journal_->health().has_value()) break;
    }
    status = syncer_->AwaitCommit(patience);
  } while (status.has_value());
  --writers_waiting_;
  return status;
}

Status OpenVolume::AppendShared(const cache::Journal::Operation& operation) {
  const std::uint64_t bytes =
      operation.kind == format::RecordKind::kWrite ? operation.length : kSmallZeroBytes;
  return AppendWithRoom(bytes, [&]() -> Status {
    const SharedPass pass(gate_);
    // No resize comes between from here on.
    if (operation.kind != format::RecordKind::kResize) {
      RETURN_IF_ERROR(CheckRange(operation.offset, operation.length));
    }
    return Append({{operation}});
  });
}

void OpenVolume::NoteRequest(std::uint64_t bytes) {
  if (syncer_ != nullptr) syncer_->NoteRequest(bytes);
}

Status OpenVolume::Append(std::span<const cache::Journal::Operation> operations) {
  for (const cache::Journal::Operation& operation : operations)
    NoteRequest(operation.kind == format::RecordKind::kWrite ? operation.length : 0);
  RETURN_IF_ERROR(journal_->Append(operations));
  syncer_->NoteWrites();
  return {};
}

std::optional<Status> OpenVolume::TryAppend(std::span<const cache::Journal::Operation> operations) {
  const std::optional<Status> status = journal_->TryAppend(operations);
  if (!status.has_value()) return std::nullopt;
  for (const cache::Journal::Operation& operation : operations) NoteRequest(operation.length);
  if (status->has_value()) syncer_->NoteWrites();
  return status;
}

Status OpenVolume::MakeDurable() {
  RETURN_IF_ERROR(journal_->Sync());
  if (durability_ == format::Durability::kLocal) return {};
  return syncer_->FlushAll(Tuned().flush_wait);
}

Status OpenVolume::Replay(std::span<const cache::RecordPtr> request) {
  for (const cache::RecordPtr& record : request) {
    RETURN_IF_ERROR(AppendShared({.kind = record->header.kind,
                                  .offset = record->header.offset,
                                  .length = record->header.length,
                                  .buffer = record->buffer,
                                  .buffer_offset = record->buffer_offset}));
  }
  return {};
}

Status OpenVolume::Write(std::uint64_t offset, ByteView data, block::WriteFlag flag) {
  RETURN_IF_ERROR(CheckWritable(offset, data.size()));
  if (data.empty()) return {};
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t at = offset + done;
    const ByteView piece = data.subspan(done, std::min(data.size() - done, piece_bytes_));
    if (at % kBlockSize == 0 && piece.size() % kBlockSize == 0) {
      RETURN_IF_ERROR(AppendShared({.kind = format::RecordKind::kWrite,
                                    .offset = at,
                                    .length = piece.size(),
                                    .buffer = std::make_shared<const Bytes>(ToBytes(piece))}));
    } else {
      RETURN_IF_ERROR(WritePartial(at, piece));
    }
    done += piece.size();
  }
  return flag == block::WriteFlag::kForceUnitAccess ? MakeDurable() : Status{};
}

Status OpenVolume::WritePartial(std::uint64_t offset, ByteView data) {
  return AppendWithRoom(data.size() + 2 * kBlockSize, [&] { return AppendPartial(offset, data); });
}

Status OpenVolume::AppendPartial(std::uint64_t offset, ByteView data) {
  const std::uint64_t start = AlignDown(offset);
  const std::uint64_t end = AlignUp(offset + data.size());
  const bool head = offset != start;
  const bool tail = offset + data.size() != end;
  auto whole = std::make_shared<Bytes>(end - start);
  const MutableByteView blocks(*whole);
  const MutableByteView first = blocks.first(kBlockSize);
  const MutableByteView last = blocks.last(kBlockSize);
  const bool one = end - start == kBlockSize;
  const auto append = [&]() -> Status {
    std::memcpy(whole->data() + (offset - start), data.data(), data.size());
    return Append({{{.kind = format::RecordKind::kWrite,
                     .offset = start,
                     .length = end - start,
                     .buffer = whole}}});
  };
  for (int attempt = 0;; ++attempt) {
    // The one write that may read the store: outside the gate, to warm the memory...
    if (head || one) RETURN_IF_ERROR(Read(start, first));
    if (tail && !one) RETURN_IF_ERROR(Read(end - kBlockSize, last));
    gate_.EnterAlone();
    // ...and again inside, from memory, since another write or a resize may have come between.
    bool fresh = true;
    Status status = CheckRange(offset, data.size());
    const auto reread = [&](std::uint64_t at, MutableByteView out) {
      if (!fresh || !status.has_value()) return;
      if (auto hot = TryRead(at, out); hot.has_value()) {
        status = std::move(*hot);
      } else if (attempt >= kWarmAttemptsMax) {
        status = Read(at, out);
      } else {
        fresh = false;
      }
    };
    if (head || one) reread(start, first);
    if (tail && !one) reread(end - kBlockSize, last);
    if (fresh && status.has_value()) status = append();
    gate_.LeaveAlone();
    if (fresh) return status;
  }
}

std::optional<Status> OpenVolume::TryWrite(std::span<const WriteRequest> requests) {
  std::uint64_t bytes = 0;
  for (const WriteRequest& request : requests) {
    if (!CheckWritable(request.offset, request.data.size()).has_value()) return std::nullopt;
    if (request.offset % kBlockSize != 0 || request.data.size() % kBlockSize != 0)
      return std::nullopt;
    if (request.data.size() > piece_bytes_) return std::nullopt;
    bytes += request.data.size();
  }
  // One buffer for all: they are given up one soon after the other, in this order.
  const auto buffer = std::make_shared<Bytes>();
  buffer->reserve(bytes);
  std::vector<cache::Journal::Operation> operations;
  operations.reserve(requests.size());
  for (const WriteRequest& request : requests) {
    if (request.data.empty()) continue;
    operations.push_back({.kind = format::RecordKind::kWrite,
                          .offset = request.offset,
                          .length = request.data.size(),
                          .buffer = buffer,
                          .buffer_offset = buffer->size()});
    buffer->insert(buffer->end(), request.data.begin(), request.data.end());
  }
  if (operations.empty()) return Status{};
  if (!HasRoom(bytes) || !gate_.TryEnterShared()) return std::nullopt;
  const bool inside =
      std::all_of(requests.begin(), requests.end(), [this](const WriteRequest& request) {
        return CheckRange(request.offset, request.data.size()).has_value();
      });
  std::optional<Status> status;  // beyond the end by now: for the slow way to say so
  if (inside) status = TryAppend(operations);
  gate_.LeaveShared();
  if (status.has_value() && !status->has_value() && status->error().code == ErrorCode::kNoSpace) {
    return std::nullopt;
  }
  return status;
}

Status OpenVolume::Zero(std::uint64_t offset, std::uint64_t length) {
  RETURN_IF_ERROR(CheckWritable(offset, length));
  if (length == 0) return {};
  const std::uint64_t start = AlignUp(offset);
  const std::uint64_t end = AlignDown(offset + length);
  const bool aligned = start == offset && end == offset + length;
  if (!aligned && length <= kSmallZeroBytes)
    return WritePartial(offset, Bytes(length, std::byte{0}));
  if (!aligned) {
    if (start > offset) RETURN_IF_ERROR(WritePartial(offset, Bytes(start - offset, std::byte{0})));
    if (end < offset + length)
      RETURN_IF_ERROR(WritePartial(end, Bytes(offset + length - end, std::byte{0})));
  }
  return ZeroBlocks(start, end);
}

Status OpenVolume::ZeroBlocks(std::uint64_t start, std::uint64_t end) {
  return AppendShared({.kind = format::RecordKind::kZero,
                       .offset = start,
                       .length = end - start,
                       .buffer = nullptr});
}

Status OpenVolume::Trim(std::uint64_t offset, std::uint64_t length, block::WriteFlag flag) {
  RETURN_IF_ERROR(CheckWritable(offset, length));
  const std::uint64_t start = AlignUp(offset);
  const std::uint64_t end = AlignDown(offset + length);
  if (start < end) RETURN_IF_ERROR(ZeroBlocks(start, end));
  return flag == block::WriteFlag::kForceUnitAccess ? MakeDurable() : Status{};
}

Status OpenVolume::WriteZeroes(std::uint64_t offset, std::uint64_t length, block::ZeroFlag flag) {
  RETURN_IF_ERROR(Zero(offset, length));
  const bool durable =
      (static_cast<unsigned>(flag) & static_cast<unsigned>(block::ZeroFlag::kForceUnitAccess)) != 0;
  return durable ? MakeDurable() : Status{};
}

Status OpenVolume::Resize(std::uint64_t size, Tail tail) {
  if (read_only_) return Fail(ErrorCode::kUnsupported, "the volume is open read-only");
  RETURN_IF_ERROR(journal_->health());
  if (!format::IsValidVolumeSize(size)) {
    return Fail(ErrorCode::kInvalidArgument, Concat("a size of ", size, " bytes is not possible"),
                "a size is a multiple of 4096 bytes, not 0 and at most 16 TiB");
  }
  // A disk that fails is met before anything is changed.
  RETURN_IF_ERROR(journal_->Sync());
  bool tried = false;  // the size may show already, and is yet to be written
  // At the quota too: it is a record without data, and only a full disk makes it wait.
  RETURN_IF_ERROR(AppendWithRoom(0, [&]() -> Status {
    gate_.EnterAlone();
    const std::uint64_t before = live_->size();
    Status status;
    if (!tried && size < before && tail == Tail::kKeep) {
      status = Fail(ErrorCode::kInvalidArgument,
                    Concat("the volume has ", before, " bytes, more than ", size,
                           ": what lies beyond would be gone for good"),
                    "say --discard-tail if nothing is needed of it");
    } else if (tried || size != before) {
      tried = true;
      status = Append({{{.kind = format::RecordKind::kResize,
                         .offset = 0,
                         .length = size,
                         .buffer = nullptr}}});
    }
    gate_.LeaveAlone();
    return status;
  }));
  COFFER_FAILPOINT("resize-appended");
  syncer_->Kick();
  // Durable here, whatever a FLUSH waits for: an error of the store would be one of a resize that
  // has happened.
  return journal_->Sync();
}

Status OpenVolume::Flush() {
  if (read_only_) return {};
  return MakeDurable();
}

// ---- the life of it
// ---------------------------------------------------------------------------------

Status OpenVolume::Sync(const SyncProgress& progress) {
  if (read_only_) return {};
  return syncer_->SyncAll(progress);
}

void OpenVolume::SetFlushes(Flushes flushes) {
  if (syncer_ != nullptr) syncer_->SetFlushesHere(flushes == Flushes::kHere);
}

void OpenVolume::RefuseWaits() {
  {
    MutexLock lock(away_mutex_);
    refusing_ = true;
    away_changed_.notify_all();
  }
  if (syncer_ != nullptr) syncer_->RefuseWaits();
}

void OpenVolume::SetUploads(Uploads uploads) {
  if (syncer_ != nullptr) syncer_->SetPaused(uploads == Uploads::kPaused);
}

Settings OpenVolume::Tuned() const {
  MutexLock lock(tuned_mutex_);
  return tuned_;
}

void OpenVolume::Retune(const Settings& settings) {
  {
    MutexLock lock(tuned_mutex_);
    tuned_ = settings;
  }
  if (read_only_) return;
  if (settings.durability.has_value()) durability_ = *settings.durability;
  MeasureDisk();
  syncer_->Retune(settings);
}

Status OpenVolume::Close(CloseMode mode, const SyncProgress& progress) {
  CHECK(!closed_);
  closed_ = true;
  ahead_.reset();
  damage_->Stop();
  if (read_only_) {
    lock_.reset();
    return {};
  }
  Status status = journal_->Sync();
  if (status.has_value() && mode == CloseMode::kUpload) {
    status = Sync(progress);
    syncer_->Stop();
    if (status.has_value()) status = syncer_->Release();
    if (chain_->fenced()) status = ForkJournal(status.error());
  } else {
    syncer_->Stop();
  }
  reserve_->Drop();
  lock_.reset();
  return status;
}

VolumeStatus OpenVolume::status() const {
  VolumeStatus status;
  const LiveMap::Numbers numbers = live_->numbers();
  status.size = size();
  status.chunk_size = chunk_size_;
  status.read_only = read_only_;
  status.durability = durability_;
  // Zeros and a new size are no bytes of data, and wait all the same.
  const std::uint64_t least = numbers.generations > 0 ? block::kBlockSize : 0;
  status.behind_bytes = tail_forked_ ? 0 : std::max(numbers.dirty_bytes, least);
  status.generations = numbers.generations;
  if (numbers.oldest_write.has_value()) {
    status.behind_seconds =
        std::chrono::duration<double>(resources_.vault().env().clock.Now() - *numbers.oldest_write)
            .count();
  }
  if (syncer_ != nullptr) {
    syncer_->FillStatus(&status);
  } else {
    status.head_seq = head_seq_;
  }
  MutexLock lock(journal_gone_mutex_);
  if (syncer_ != nullptr && journal_ != nullptr) {
    status.acknowledged_seq = journal_->appended_seq();
    status.durable_seq = journal_->durable_seq();
    status.journal_bytes = journal_->used_bytes();
    status.journal_bytes_max = journal_bytes_max_;
    status.unsynced_bytes = journal_->unsynced_bytes();
    status.writers_waiting = writers_waiting_;
    if (disk_full_ && status.writers_waiting > 0)
      status.trouble = DiskFullError(directory_, status.writers_waiting);
    if (const Status health = journal_->health(); !health.has_value()) {
      status.failed = true;
      status.trouble = vault::FailedJournalError(health.error().message);
    }
  }
  {
    MutexLock away_lock(away_mutex_);
    status.readers_waiting = readers_waiting_;
    if (readers_waiting_ > 0 && status.trouble.message.empty()) status.trouble = away_;
  }
  FillNeeds(&status);
  return status;
}

void OpenVolume::FillNeeds(VolumeStatus* status) const {
  if (doubt_.has_value()) status->needs.push_back(*doubt_);
  for (const Error& doubt : resources_.vault().doubts()) {
    if (!doubt_.has_value() || doubt.message != doubt_->message) status->needs.push_back(doubt);
  }
  const Error& trouble = status->trouble;
  if (!trouble.message.empty()) {
    if (trouble.code == ErrorCode::kNeedsPerson || trouble.code == ErrorCode::kCorruption)
      status->needs.push_back(trouble);
    if (trouble.code == ErrorCode::kUnauthenticated)
      status->needs.push_back(vault::CredentialsError(trouble.message));
    if (trouble.code == ErrorCode::kNoSpace)
      status->needs.push_back(
          vault::NoSpaceError("what waits cannot be uploaded: " + trouble.message, trouble.hint));
  }
  for (Error& need : damage_->Needs()) status->needs.push_back(std::move(need));
}

}  // namespace coffer::volume
