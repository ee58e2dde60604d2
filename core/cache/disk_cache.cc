// What is kept and found. Going on and off is in disk_cache_start.cc, space in disk_cache_space.cc.
#include "core/cache/disk_cache.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"

namespace coffer::cache {
namespace {

/// So many changes of the index are written in one transaction; a kill loses no more of them.
constexpr std::size_t kUnwrittenMax = 128;

}  // namespace

DiskCache::DiskCache(FileSystem& fs, const Clock& clock, Options options, OpenCacheIndex open_index)
    : fs_(fs),
      clock_(clock),
      options_(std::move(options)),
      open_index_(std::move(open_index)),
      bytes_max_(options_.bytes_max),
      order_(clock) {}

DiskCache::~DiskCache() { Flush(); }

bool DiskCache::Read(const WindowKey& key, std::uint64_t offset, MutableByteView out) {
  std::shared_ptr<Files> files;  // outlives the lock: closing is I/O
  MutexLock lock(mutex_);
  files = files_;
  if (files != nullptr) LookAgainIfDue(lock, files);
  const auto found = by_key_.find(key);
  if (files == nullptr || files_ != files || found == by_key_.end() ||
      offset > slots_[found->second].length || out.size() > slots_[found->second].length - offset) {
    ++numbers_.misses;
    return false;
  }
  const std::uint32_t slot = found->second;
  const std::uint32_t version = slots_[slot].version;
  order_.NoteRead(slot);
  lock.Unlock();
  const Result<std::size_t> got = files->frames->ReadAt(OffsetOf(slot) + offset, out);
  lock.Lock();
  // While it was read the slot may have been given to another window.
  const bool same =
      files_ == files && (slots_[slot].version == version || Planted("answer-from-reused-slot"));
  if (same && got.has_value() && *got == out.size()) {
    ++numbers_.hits;
    return true;
  }
  ++numbers_.misses;
  if (same) {
    if (!got.has_value()) LOG(kDebug, "disk cache: ", got.error().message);
    ++numbers_.dropped;
    FreeLocked(slot);
  }
  return false;
}

bool DiskCache::Contains(const WindowKey& key) const {
  MutexLock lock(mutex_);
  return files_ != nullptr && by_key_.contains(key);
}

void DiskCache::Insert(const WindowKey& key, ByteView bytes) {
  CHECK(!bytes.empty() && bytes.size() <= kWindowBytes);
  const std::shared_ptr<Files> files = FilesForInsert();
  if (files == nullptr) return;
  MutexLock lock(mutex_);
  if (files_ != files) return;
  LookAgainIfDue(lock, files);
  const std::optional<std::uint32_t> slot = TakeSlot(lock, files, SpaceFor(*files, bytes.size()));
  if (!slot.has_value()) return;
  lock.Unlock();
  const Status written = files->frames->WriteAt(OffsetOf(*slot), bytes);
  COFFER_FAILPOINT("cache-inserted");
  lock.Lock();
  if (files_ != files) return;  // off meanwhile: its slots are forgotten
  if (!written.has_value()) {
    PutFreeLocked(*slot);
    PauseAfter(lock, files, written.error());
    return;
  }
  if (const auto old = by_key_.find(key); old != by_key_.end()) FreeLocked(old->second);
  Slot& taken = slots_[*slot];
  taken.key = key;
  taken.length = static_cast<std::uint32_t>(bytes.size());
  taken.state = SlotState::kResident;
  by_key_.emplace(key, *slot);
  order_.Insert(*slot, IdHash{}(key), taken.length);
  unwritten_.insert(*slot);
  since_look_ += taken.space;
  const bool flush = unwritten_.size() >= kUnwrittenMax;
  lock.Unlock();
  if (flush) Flush();
}

void DiskCache::Drop(const WindowKey& key) {
  MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (files_ == nullptr || found == by_key_.end()) return;
  ++numbers_.dropped;
  FreeLocked(found->second);
}

void DiskCache::Flush() {
  std::shared_ptr<Files> files;  // outlives the lock: closing is I/O
  MutexLock lock(mutex_);
  if (files_ == nullptr || flushing_ || unwritten_.empty()) return;
  flushing_ = true;
  files = files_;
  const std::set<std::uint32_t> changed = std::exchange(unwritten_, {});
  std::vector<IndexRow> put;
  std::vector<std::uint32_t> removed;
  for (const std::uint32_t slot : changed) {
    if (slot >= slots_.size() || slots_[slot].state != SlotState::kResident) {
      removed.push_back(slot);
      continue;
    }
    put.push_back({.slot = slot,
                   .key = slots_[slot].key,
                   .length = slots_[slot].length,
                   .in_main = order_.QueueOf(slot) == S3Fifo::Queue::kMain,
                   .order = order_.OrderOf(slot)});
  }
  lock.Unlock();
  // A directory that somebody removed lives on unseen while its files are open: begin a new one.
  const Result<FileInfo> there = fs_.Stat(FramesPath());
  Status status = there.has_value() ? files->index->Apply(put, removed) : Fail(there.error());
  COFFER_FAILPOINT("cache-indexed");
  lock.Lock();
  flushing_ = false;
  if (status.has_value() || files_ != files) return;
  if (status.error().code == ErrorCode::kNoSpace) {
    unwritten_.insert(changed.begin(), changed.end());
    PauseAfter(lock, files, status.error());
  } else {
    GoOffLocked(status.error());
  }
}

void DiskCache::SetBytesMax(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  bytes_max_ = bytes;
  look_now_ = true;
}

DiskCache::Numbers DiskCache::numbers() const {
  MutexLock lock(mutex_);
  Numbers numbers = numbers_;
  numbers.on = files_ != nullptr;
  numbers.windows = by_key_.size();
  numbers.used_bytes = used_bytes_;
  numbers.bound_bytes = bound_bytes_;
  return numbers;
}

void DiskCache::CheckInvariants() const {
  MutexLock lock(mutex_);
  order_.CheckInvariants();
  std::uint64_t used = 0;
  std::size_t resident = 0;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    used += slots_[slot].space;
    const bool is_resident = slots_[slot].state == SlotState::kResident;
    CHECK(is_resident == (order_.QueueOf(slot) != S3Fifo::Queue::kNone));
    if (!is_resident) continue;
    ++resident;
    CHECK(slots_[slot].length <= slots_[slot].space);
    CHECK(by_key_.at(slots_[slot].key) == slot);
  }
  CHECK(used == used_bytes_);
  CHECK(resident == by_key_.size() && resident == order_.size());
  std::size_t free = 0;
  for (const auto& slots_of_class : free_) free += slots_of_class.size();
  CHECK(free + resident <= slots_.size());  // others are being filled
}

}  // namespace coffer::cache
