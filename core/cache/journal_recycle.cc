#include <algorithm>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/cache/journal_impl.h"

namespace coffer::cache {

void JournalImpl::Release(std::uint64_t seq) {
  MutexLock lock(mutex_);
  released_seq_ = std::max(released_seq_, seq);
  stuck_ = false;
  if (phase_ == Phase::kStreaming) RetireLocked();
}

/// Gives up segments that nobody needs, oldest first and without a gap. The active one goes too
/// when all of it is released and nobody is about to write: a volume that was closed leaves an
/// empty journal behind.
void JournalImpl::RetireLocked() {
  const std::uint64_t limit = std::min(released_seq_, durable_.seq);
  while (!segments_.empty()) {
    const SegmentPtr& oldest = segments_.begin()->second;
    if (oldest->last_seq > limit) break;
    if (oldest == active_) {
      if (writing_ || !queue_.empty() || appended_.seq > limit) break;
      active_.reset();
    }
    retiring_.push_back(oldest);
    segments_.erase(segments_.begin());
  }
  if (!retiring_.empty()) PostHousekeepingLocked();
}

/// Called at most once per segment: its successor shall overwrite, not grow.
void JournalImpl::WantSpareLocked() {
  if (options_.free_segments_max == 0 || SpareReadyLocked()) return;
  spare_wanted_ = true;
  PostHousekeepingLocked();
}

void JournalImpl::PostHousekeepingLocked() {
  if (housekeeping_ || stuck_) return;
  housekeeping_ = true;
  ++background_tasks_;
  executor_.Post([this] { KeepHouse(); });
}

void JournalImpl::KeepHouse() {
  while (true) {
    SegmentPtr segment;
    {
      MutexLock lock(mutex_);
      if (!retiring_.empty() && !stuck_) {
        segment = retiring_.front();
      } else if (!std::exchange(spare_wanted_, false) || SpareReadyLocked() || stopping_) {
        housekeeping_ = false;
        --background_tasks_;
        NotifyLocked();
        return;
      }
    }
    if (segment == nullptr) {
      MakeSpare();
      continue;
    }
    const bool given_back = GiveBack(segment);
    MutexLock lock(mutex_);
    if (given_back) {
      retiring_.pop_front();
    } else {
      stuck_ = true;
    }
  }
}

bool JournalImpl::GiveBack(const SegmentPtr& segment) {
  Slot slot = segment->slot;
  slot.written = std::max<std::uint64_t>(slot.written, segment->end);
  COFFER_FAILPOINT("journal-trim");
  if (!segment->bad && files_.Wipe(slot).has_value()) {
    COFFER_FAILPOINT("journal-trimmed");
    {
      MutexLock lock(mutex_);
      if (free_.size() < options_.free_segments_max) {
        AddFreeLocked(std::move(slot));
        return true;
      }
    }
    (void)files_.Remove(slot);  // it is free: should its name stay, the next run uses it
    return true;
  }
  Status removed = files_.Remove(slot);
  if (removed.has_value()) removed = files_.SyncDirectory();
  if (removed.has_value()) return true;
  LOG(kWarning, "a journal segment that is done with stays for now: ", removed.error().message);
  return false;
}

/// Half a segment is enough: by then the next one has been asked for.
bool JournalImpl::SpareReadyLocked() const {
  return !free_.empty() && free_.back().written >= options_.segment_bytes / 2;
}

void JournalImpl::AddFreeLocked(Slot slot) {
  const auto at =
      std::upper_bound(free_.begin(), free_.end(), slot.written,
                       [](std::uint64_t written, const Slot& b) { return written < b.written; });
  free_.insert(at, std::move(slot));
}

Result<Slot> JournalImpl::TakeSlotToFill() {
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      Slot slot = std::move(free_.front());
      free_.erase(free_.begin());
      return slot;
    }
  }
  return files_.CreateEmpty();
}

void JournalImpl::MakeSpare() {
  // No harm where it fails: the next segment is a new file then, or says why not.
  Result<Slot> slot = TakeSlotToFill();
  if (!slot.has_value()) {
    LOG(kDebug, "no spare journal segment: ", slot.error().message);
    return;
  }
  if (const Status filled = files_.FillWithZeros(&*slot, stopping_); !filled.has_value()) {
    LOG(kDebug, "no spare journal segment: ", filled.error().message);
    (void)files_.Remove(*slot);
    return;
  }
  COFFER_FAILPOINT("journal-spare-made");
  MutexLock lock(mutex_);
  AddFreeLocked(*std::move(slot));
}

/// A killed run may have wiped a header in the page cache only. Should a power cut bring that
/// segment back, it must not meet records of this run, which knows nothing of its number and would
/// reuse it: replay would follow the old one and pass over the new. As with replayed records, the
/// pages may pass for clean, so the wipe is repeated rather than only synced.
Status JournalImpl::MakeFreeSlotsDurable() {
  std::vector<Slot> free;
  {
    MutexLock lock(mutex_);
    free.swap(free_);
  }
  std::vector<Slot> wiped;
  for (Slot& slot : free) {
    if (files_.Wipe(slot).has_value()) {
      wiped.push_back(std::move(slot));
      continue;
    }
    RETURN_IF_ERROR(files_.Remove(slot));
    RETURN_IF_ERROR(files_.SyncDirectory());
  }
  MutexLock lock(mutex_);
  free_ = std::move(wiped);
  return {};
}

void JournalImpl::DropSurplusSlots() {
  const std::size_t kept = std::min(options_.free_segments_kept, options_.free_segments_max);
  std::vector<Slot> surplus;
  {
    MutexLock lock(mutex_);
    for (; free_.size() > kept; free_.erase(free_.begin())) surplus.push_back(free_.front());
  }
  for (const Slot& slot : surplus) (void)files_.Remove(slot);
}

}  // namespace coffer::cache
