// DiskCache: windows of packs on the local disk, exactly as the store holds them; one for the whole
// process, shared by all vaults. Disposable at any time: whatever is missing, damaged or cannot be
// written costs fetches, never an error. It vouches for nothing: who reads opens the frames inside,
// and drops what does not open.
//
// Layout, in a directory of its own (0700):
//   frames         sparse file of slots of 256 KiB; a slot holds one window, from its start
//   index.sqlite   which window is in which slot (cache_index.h), under keyed names
//   cache-lock     one process at a time
// Set aside: a file for each window (40,000 files for 10 GiB, an open for each read); files of log
// segments (eviction by age only, or copying); sums of our own (the frames carry their tags).
// Nothing is synced: after a power cut a slot may hold anything, and its tag says so.
//
// States of the cache: off (no directory, or trouble; tried again after a pause) -> on -> off.
// While on, after a failed write: paused (reads go on, nothing is put in, the size is brought down
// to what the disk's free space now allows).
// States of a slot: free (with or without space on disk) -> filling (one thread writes it) ->
// resident (has a key) -> free. Invariant: used_bytes_, the space on disk of all slots, stays
// within bound_bytes_ at all times; CheckInvariants.
//
// Thread-safe. Its lock is held over memory only, never over file or index calls.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/cache/cache_index.h"
#include "core/cache/s3_fifo.h"

namespace coffer::cache {

class DiskCache {
 public:
  static constexpr std::uint32_t kWindowBytes = 256 * 1024;

  struct Options {
    std::string directory;
    std::uint64_t bytes_max = std::uint64_t{10} << 30;  // of all files together
    std::uint64_t disk_share = 10;                      // at most 1/10 of the free disk
  };
  struct Numbers {
    bool on = false;
    std::uint64_t windows = 0;
    std::uint64_t used_bytes = 0;
    std::uint64_t bound_bytes = 0;
    std::uint64_t hits = 0;     // reads answered
    std::uint64_t misses = 0;   // reads not answered
    std::uint64_t dropped = 0;  // windows that did not hold what they should
    std::uint64_t evicted = 0;
  };

  /// Off at first. `open_index` is called each time the cache goes on, when the directory exists
  /// and its lock is held. `fs` and `clock` outlive the cache.
  DiskCache(FileSystem& fs, const Clock& clock, Options options, OpenCacheIndex open_index);
  /// Writes the index. No call is in flight.
  ~DiskCache();

  /// Goes on, if it can; done by Insert too when it is time to try again.
  void Start();

  /// Copies [offset, offset + out.size()) of a window to `out`; false unless it has all of it.
  bool Read(const WindowKey& key, std::uint64_t offset, MutableByteView out);
  [[nodiscard]] bool Contains(const WindowKey& key) const;
  /// Keeps a window, up to kWindowBytes, in place of what is there under this key (whoever fetched
  /// it could not use that); evicts others to make room.
  void Insert(const WindowKey& key, ByteView bytes);
  /// The window does not hold what it should.
  void Drop(const WindowKey& key);
  /// Writes to the index what has changed.
  void Flush();
  /// In place of Options::bytes_max; brought down to at the next Read or Insert.
  void SetBytesMax(std::uint64_t bytes);

  [[nodiscard]] Numbers numbers() const;
  void CheckInvariants() const;

 private:
  static constexpr std::uint32_t kPageBytes = 4096;
  /// The index is given space for so many windows of this size: small ones are bounded in number.
  static constexpr std::uint64_t kBytesPerRow = 32 * 1024;
  static constexpr std::size_t kSizeClasses = kWindowBytes / kPageBytes + 1;
  enum class SlotState : std::uint8_t { kFree, kFilling, kResident };
  struct Slot {
    WindowKey key;
    std::uint32_t length = 0;
    std::uint32_t space = 0;    // bytes on disk, whole pages
    std::uint32_t version = 0;  // changes whenever the content does
    SlotState state = SlotState::kFree;
  };
  /// What is open while the cache is on. Shared, so that a call in flight may end after it.
  struct Files {
    std::unique_ptr<FileLock> lock;
    std::unique_ptr<File> frames;
    std::unique_ptr<CacheIndex> index;
    bool gives_space_back = true;  // File::Discard works
  };

  [[nodiscard]] std::string FramesPath() const { return options_.directory + "/frames"; }
  static std::uint64_t OffsetOf(std::uint32_t slot) { return std::uint64_t{slot} * kWindowBytes; }

  // Going on and off.
  Result<std::shared_ptr<Files>> OpenFiles(std::vector<IndexRow>* rows, std::uint64_t* file_bytes);
  void AdoptLocked(std::vector<IndexRow> rows, std::uint64_t file_bytes) REQUIRES_LOCK(mutex_);
  Status GiveBackUnused(Files& files);
  [[nodiscard]] std::shared_ptr<Files> FilesForInsert();
  /// REQUIRES: the caller holds files_ too, so that closing waits for the lock's end.
  void GoOffLocked(const Error& error) REQUIRES_LOCK(mutex_);
  void WarnLocked(const char* what, const Error& error) REQUIRES_LOCK(mutex_);
  void ForgetAllLocked() REQUIRES_LOCK(mutex_);

  // Space.
  void SetBoundLocked(const Files& files, std::uint64_t free_bytes) REQUIRES_LOCK(mutex_);
  void LookAgainIfDue(MutexLock& lock, const std::shared_ptr<Files>& files) REQUIRES_LOCK(mutex_);
  void LookAgain(MutexLock& lock, const std::shared_ptr<Files>& files) REQUIRES_LOCK(mutex_);
  void PauseAfter(MutexLock& lock, const std::shared_ptr<Files>& files, const Error& error)
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] static std::uint32_t SpaceFor(const Files& files, std::size_t length);
  std::optional<std::uint32_t> TakeSlot(MutexLock& lock, const std::shared_ptr<Files>& files,
                                        std::uint32_t space) REQUIRES_LOCK(mutex_);
  std::optional<std::uint32_t> PickFreeLocked(std::uint32_t space) REQUIRES_LOCK(mutex_);
  bool MakeRoom(MutexLock& lock, const std::shared_ptr<Files>& files) REQUIRES_LOCK(mutex_);
  bool GiveBack(MutexLock& lock, const std::shared_ptr<Files>& files, std::uint32_t slot,
                std::uint32_t keep) REQUIRES_LOCK(mutex_);
  bool EvictOneLocked() REQUIRES_LOCK(mutex_);
  void FreeLocked(std::uint32_t slot) REQUIRES_LOCK(mutex_);
  void PutFreeLocked(std::uint32_t slot) REQUIRES_LOCK(mutex_);

  FileSystem& fs_;
  const Clock& clock_;
  const Options options_;
  const OpenCacheIndex open_index_;

  mutable Mutex mutex_;
  std::shared_ptr<Files> files_ GUARDED_BY(mutex_);  // null: off
  bool starting_ GUARDED_BY(mutex_) = false;
  bool flushing_ GUARDED_BY(mutex_) = false;
  std::uint64_t bytes_max_ GUARDED_BY(mutex_);
  MonotonicTime try_again_ GUARDED_BY(mutex_){};  // off or paused until then
  std::uint64_t bound_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t used_bytes_ GUARDED_BY(mutex_) = 0;
  std::size_t slots_max_ GUARDED_BY(mutex_) = 0;
  std::vector<Slot> slots_ GUARDED_BY(mutex_);
  std::array<std::vector<std::uint32_t>, kSizeClasses> free_ GUARDED_BY(mutex_);  // by pages held
  std::unordered_map<WindowKey, std::uint32_t, IdHash> by_key_ GUARDED_BY(mutex_);
  S3Fifo order_ GUARDED_BY(mutex_);
  std::set<std::uint32_t> unwritten_ GUARDED_BY(mutex_);  // slots whose index row is out of date
  std::uint64_t since_look_ GUARDED_BY(mutex_) = 0;       // bytes put in since LookAgain
  MonotonicTime looked_at_ GUARDED_BY(mutex_){};
  bool look_now_ GUARDED_BY(mutex_) = false;
  std::string warned_of_ GUARDED_BY(mutex_);
  Numbers numbers_ GUARDED_BY(mutex_);
};

}  // namespace coffer::cache
