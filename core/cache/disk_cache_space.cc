// The disk cache's space on disk: which slot a window gets, what goes to make room for it, and how
// much there may be in all.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/cache/disk_cache.h"

namespace coffer::cache {
namespace {

constexpr Duration kPause = std::chrono::seconds(60);
/// The disk is looked at again after so many bytes put in, or so long.
constexpr std::uint64_t kLookEveryBytes = 64u << 20;
constexpr Duration kLookEvery = std::chrono::seconds(60);

}  // namespace

/// `files` gives the index's share. The cache's own space counts as free: it would be without it.
void DiskCache::SetBoundLocked(const Files& files, std::uint64_t free_bytes) {
  const std::uint64_t all = std::min(bytes_max_, (free_bytes + used_bytes_) / options_.disk_share);
  const std::uint64_t rows = all / kBytesPerRow;
  const std::uint64_t index = files.index->BytesMax(rows);
  bound_bytes_ = all > index ? all - index : 0;
  slots_max_ = static_cast<std::size_t>(std::min<std::uint64_t>(rows, 0xFFFFFFF0));
  order_.SetBytesMax(bound_bytes_);
}

void DiskCache::LookAgainIfDue(MutexLock& lock,
                               const std::shared_ptr<Files>& files) NO_THREAD_SAFETY_ANALYSIS {
  if (look_now_ || since_look_ >= kLookEveryBytes || clock_.Now() - looked_at_ >= kLookEvery)
    LookAgain(lock, files);
}

/// Finds out whether the directory is still there, how much there may be, and brings it down to
/// that.
void DiskCache::LookAgain(MutexLock& lock,
                          const std::shared_ptr<Files>& files) NO_THREAD_SAFETY_ANALYSIS {
  since_look_ = 0;
  look_now_ = false;
  looked_at_ = clock_.Now();
  lock.Unlock();
  const Result<FileInfo> there = fs_.Stat(FramesPath());
  const Result<SpaceInfo> space = fs_.Space(options_.directory);
  lock.Lock();
  if (files_ != files) return;
  // One that somebody removed lives on unseen, and keeps its space, while its files are open.
  if (!there.has_value()) return GoOffLocked(there.error());
  // No answer: as little as can be.
  SetBoundLocked(*files, space.has_value() ? space->free_bytes : 0);
  while (files_ == files && used_bytes_ > bound_bytes_ && files->gives_space_back) {
    if (!MakeRoom(lock, files)) return;
  }
}

/// A full disk is the user's before it is the cache's.
void DiskCache::PauseAfter(MutexLock& lock, const std::shared_ptr<Files>& files,
                           const Error& error) NO_THREAD_SAFETY_ANALYSIS {
  WarnLocked("the disk cache takes nothing", error);
  try_again_ = clock_.Now() + kPause;
  LookAgain(lock, files);
}

std::uint32_t DiskCache::SpaceFor(const Files& files, std::size_t length) {
  if (!files.gives_space_back) return kWindowBytes;  // and perhaps knows no holes either
  return static_cast<std::uint32_t>((length + kPageBytes - 1) / kPageBytes * kPageBytes);
}

/// A slot whose space, `space` bytes at most, is accounted for; nullopt if there can be none.
std::optional<std::uint32_t> DiskCache::TakeSlot(MutexLock& lock,
                                                 const std::shared_ptr<Files>& files,
                                                 std::uint32_t space) NO_THREAD_SAFETY_ANALYSIS {
  while (files_ == files && space <= bound_bytes_) {
    const std::optional<std::uint32_t> slot = PickFreeLocked(space);
    if (slot.has_value()) {
      Slot& taken = slots_[*slot];
      const std::uint32_t growth = space > taken.space ? space - taken.space : 0;
      if (used_bytes_ + growth <= bound_bytes_) {
        taken.state = SlotState::kFilling;
        ++taken.version;
        taken.space += growth;
        used_bytes_ += growth;
        if (taken.space > space && files->gives_space_back) GiveBack(lock, files, *slot, space);
        return files_ == files ? slot : std::nullopt;
      }
      PutFreeLocked(*slot);
    }
    if (!MakeRoom(lock, files)) return std::nullopt;
  }
  return std::nullopt;
}

/// Best one that holds just the space, then one without, then one to be cut or grown.
std::optional<std::uint32_t> DiskCache::PickFreeLocked(std::uint32_t space) {
  const auto take = [this](std::size_t pages) REQUIRES_LOCK(mutex_) -> std::uint32_t {
    const std::uint32_t slot = free_[pages].back();
    free_[pages].pop_back();
    return slot;
  };
  const std::size_t wanted = space / kPageBytes;
  if (!free_[wanted].empty()) return take(wanted);
  const bool fits = used_bytes_ + space <= bound_bytes_;
  if (!fits) {
    for (std::size_t pages = wanted + 1; pages < kSizeClasses; ++pages)
      if (!free_[pages].empty()) return take(pages);
    for (std::size_t pages = wanted - 1; pages > 0; --pages)
      if (!free_[pages].empty()) return take(pages);
  }
  if (!free_[0].empty()) return take(0);
  if (slots_.size() < slots_max_) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  for (std::size_t pages = kSizeClasses - 1; pages > 0; --pages)
    if (!free_[pages].empty()) return take(pages);
  return std::nullopt;
}

/// Gives back the space of one free slot, or evicts one window; false if there is nothing left.
bool DiskCache::MakeRoom(MutexLock& lock,
                         const std::shared_ptr<Files>& files) NO_THREAD_SAFETY_ANALYSIS {
  for (std::size_t pages = 1; files->gives_space_back && pages < kSizeClasses; ++pages) {
    if (free_[pages].empty()) continue;
    const std::uint32_t slot = free_[pages].back();
    free_[pages].pop_back();
    slots_[slot].state = SlotState::kFilling;
    const bool given = GiveBack(lock, files, slot, 0);
    if (files_ != files) return false;
    PutFreeLocked(slot);
    if (given) return true;
  }
  return EvictOneLocked();
}

/// `slot` belongs to the caller. False if the file system cannot, or the cache went off.
bool DiskCache::GiveBack(MutexLock& lock, const std::shared_ptr<Files>& files, std::uint32_t slot,
                         std::uint32_t keep) NO_THREAD_SAFETY_ANALYSIS {
  const std::uint32_t bytes = slots_[slot].space - keep;
  lock.Unlock();
  const Status given = files->frames->Discard(OffsetOf(slot) + keep, bytes);
  lock.Lock();
  if (files_ != files) return false;
  if (!given.has_value()) {
    if (given.error().code == ErrorCode::kUnsupported)
      files->gives_space_back = false;
    else
      GoOffLocked(given.error());
    return false;
  }
  slots_[slot].space -= bytes;
  used_bytes_ -= bytes;
  return true;
}

bool DiskCache::EvictOneLocked() {
  std::vector<std::uint32_t> moved;
  const std::optional<std::uint32_t> victim = order_.Evict(&moved);
  unwritten_.insert(moved.begin(), moved.end());
  if (!victim.has_value()) return false;
  ++numbers_.evicted;
  FreeLocked(*victim);
  return true;
}

/// The resident slot is no window's any more.
void DiskCache::FreeLocked(std::uint32_t slot) {
  order_.Remove(slot);
  by_key_.erase(slots_[slot].key);
  unwritten_.insert(slot);
  ++slots_[slot].version;
  slots_[slot].length = 0;
  PutFreeLocked(slot);
}

void DiskCache::PutFreeLocked(std::uint32_t slot) {
  slots_[slot].state = SlotState::kFree;
  free_[slots_[slot].space / kPageBytes].push_back(slot);
}

}  // namespace coffer::cache
