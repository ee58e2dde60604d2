// How the disk cache goes on, with what an earlier run left, and off.
#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/cache/disk_cache.h"

namespace coffer::cache {
namespace {

constexpr Duration kTryAgainAfter = std::chrono::seconds(60);

}  // namespace

void DiskCache::Start() {
  {
    MutexLock lock(mutex_);
    if (files_ != nullptr || starting_) return;
    starting_ = true;
  }
  std::vector<IndexRow> rows;
  std::uint64_t file_bytes = 0;
  auto files = OpenFiles(&rows, &file_bytes);
  Status status = files.has_value() ? Status{} : Fail(files.error());
  MutexLock lock(mutex_);
  // While files_ is null nobody else touches the tables.
  if (status.has_value()) {
    AdoptLocked(std::move(rows), file_bytes);
    lock.Unlock();
    status = GiveBackUnused(**files);
    const Result<SpaceInfo> space = fs_.Space(options_.directory);
    if (status.has_value() && !space.has_value()) status = Fail(space.error());
    lock.Lock();
    if (status.has_value()) SetBoundLocked(**files, space->free_bytes);
    if (status.has_value() && used_bytes_ > bound_bytes_ && !(*files)->gives_space_back) {
      ForgetAllLocked();  // it can't be brought down but by starting anew
      status = (*files)->frames->Truncate(0);
    }
  }
  starting_ = false;
  if (!status.has_value()) return GoOffLocked(status.error());
  files_ = *files;
  try_again_ = clock_.Now();
  LookAgain(lock, *files);
}

Result<std::shared_ptr<DiskCache::Files>> DiskCache::OpenFiles(std::vector<IndexRow>* rows,
                                                               std::uint64_t* file_bytes) {
  auto files = std::make_shared<Files>();
  RETURN_IF_ERROR(CreateDirectories(fs_, options_.directory));
  ASSIGN_OR_RETURN(files->lock, fs_.Lock(options_.directory + "/cache-lock"));
  ASSIGN_OR_RETURN(files->frames, fs_.Open(FramesPath(), FileSystem::OpenMode::kOpenOrCreate));
  ASSIGN_OR_RETURN(files->index, open_index_(rows));
  ASSIGN_OR_RETURN(*file_bytes, files->frames->Size());
  // Asked where it changes nothing.
  const std::uint64_t behind = (*file_bytes / kWindowBytes + 1) * kWindowBytes;
  files->gives_space_back = files->frames->Discard(behind, kPageBytes).has_value();
  return files;
}

/// Takes over the rows that can be true; the others are written away. Oldest first, so that the
/// queues are as they were.
void DiskCache::AdoptLocked(std::vector<IndexRow> rows, std::uint64_t file_bytes) {
  ForgetAllLocked();
  std::sort(rows.begin(), rows.end(),
            [](const IndexRow& a, const IndexRow& b) { return a.order < b.order; });
  for (const IndexRow& row : rows) {
    const bool possible = row.length > 0 && row.length <= kWindowBytes &&
                          OffsetOf(row.slot) + row.length <= file_bytes &&
                          row.slot < bytes_max_ / kBytesPerRow && !by_key_.contains(row.key);
    if (!possible) {
      unwritten_.insert(row.slot);
      continue;
    }
    if (slots_.size() <= row.slot) slots_.resize(row.slot + std::size_t{1});
    Slot& slot = slots_[row.slot];
    slot.key = row.key;
    slot.length = row.length;
    slot.state = SlotState::kResident;
    by_key_.emplace(row.key, row.slot);
    order_.Restore(row.slot, IdHash{}(row.key), row.length,
                   row.in_main ? S3Fifo::Queue::kMain : S3Fifo::Queue::kSmall);
  }
  // What comes next is younger than any of them, in the index too.
  if (!rows.empty()) order_.ContinueAfter(rows.back().order);
}

/// What an earlier run wrote and did not note goes: behind each window and behind the last one.
/// Then the space of every slot is known.
Status DiskCache::GiveBackUnused(Files& files) {
  std::uint64_t end = 0;  // of what is used so far
  std::vector<std::pair<std::uint64_t, std::uint64_t>> unused;
  {
    MutexLock lock(mutex_);
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
      Slot& slot = slots_[index];
      const bool resident = slot.state == SlotState::kResident;
      // Without holes a slot costs what lies before it, too.
      slot.space = resident ? SpaceFor(files, slot.length) : 0;
      if (!files.gives_space_back) slot.space = kWindowBytes;
      used_bytes_ += slot.space;
      if (!resident) {
        PutFreeLocked(index);
        continue;
      }
      if (OffsetOf(index) > end) unused.emplace_back(end, OffsetOf(index) - end);
      end = OffsetOf(index) + slot.space;
    }
  }
  RETURN_IF_ERROR(files.frames->Truncate(end));
  if (!files.gives_space_back) return {};
  for (const auto& [offset, length] : unused)
    RETURN_IF_ERROR(files.frames->Discard(offset, length));
  return {};
}

/// Null while off or paused.
std::shared_ptr<DiskCache::Files> DiskCache::FilesForInsert() {
  bool start = false;
  {
    MutexLock lock(mutex_);
    if (clock_.Now() < try_again_) return nullptr;
    start = files_ == nullptr;
  }
  if (start) Start();
  MutexLock lock(mutex_);
  return files_;
}

void DiskCache::GoOffLocked(const Error& error) {
  WarnLocked("the disk cache is off", error);
  files_ = nullptr;
  try_again_ = clock_.Now() + kTryAgainAfter;
  ForgetAllLocked();
}

/// Trouble that lasts is told once.
void DiskCache::WarnLocked(const char* what, const Error& error) {
  const bool known = error.message == warned_of_;
  warned_of_ = error.message;
  if (!known) LOG(kWarning, what, " (it is tried again each minute): ", error.message);
}

void DiskCache::ForgetAllLocked() {
  slots_.clear();
  for (auto& slots_of_class : free_) slots_of_class.clear();
  by_key_.clear();
  order_.Clear();
  unwritten_.clear();
  used_bytes_ = 0;
}

}  // namespace coffer::cache
