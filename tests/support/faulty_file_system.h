// A FileSystem in memory that loses what was not synced, fails when told, and counts.
//
//   FaultyFileSystem fs(seed);
//   fs.HaltAt(7);                       // the machine stops at the 7th change from now
//   … run the component, which fails; destroy it: what it does now changes nothing …
//   fs.PowerCut(CutMode::kRandomSubset);  // up again; see fake_disk.h for what is left
//   … open the component again …
//
// Enumeration: run a script once, read change_count(), then for n = 1 … that, HaltAt(n). Halting at
// a write leaves a random part of it in the page cache, so that a killed process tears it too. Sync
// failures forget, as Linux does: the bytes stay readable until the cut, and no later sync stores
// them. Thread-safe. Outlives its files and locks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "tests/support/fake_disk.h"
#include "tests/support/seeded_random.h"

namespace coffer {

enum class FsCall {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kAllocate,
  kDiscard,
  kInfo,  // File::Info and File::Size
  kCreateDirectory,
  kSyncDirectory,
  kRename,
  kLink,
  kRenameNoReplace,
  kRemove,
  kRemoveDirectory,
  kList,
  kStat,
  kSpace,
  kLock,
};

enum class FaultRepeat { kOnce, kSticky };

/// What a faulty read gives instead of an error.
enum class ReadDamage {
  kNone,
  kBitFlip,
  kZeros,
  kWrongSector,   // the bytes of another place in the file
  kOlderVersion,  // what was there before the un-synced writes
};

/// The nth call from now that matches fails with `error_number`; with `damage`, a read succeeds and
/// lies.
struct FsFault {
  std::optional<FsCall> call = std::nullopt;  // any
  std::string path_contains = {};
  std::uint64_t nth = 1;
  FaultRepeat repeat = FaultRepeat::kOnce;
  int error_number = 5;  // EIO
  ReadDamage damage = ReadDamage::kNone;
  bool goes_read_only = false;  // and every change fails from then on, as after SetReadOnly
};

class FaultyFileSystem final : public FileSystem {
 public:
  /// Everything that is visible at one moment, to go back to (a virtual machine's snapshot).
  struct Image;

  explicit FaultyFileSystem(std::uint64_t seed = 1);
  ~FaultyFileSystem() override;

  // FileSystem.
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status RenameNoReplace(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<SpaceInfo> Space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // The world's events.
  /// From now on every call fails and changes nothing, until PowerCut or Crash.
  void Halt();
  /// Halts at the nth change from now: that one does not happen any more.
  void HaltAt(std::uint64_t nth);
  /// The machine goes down and comes up: handles and locks are gone, un-synced operations are kept
  /// or lost by `mode`. Faults set before are forgotten.
  void PowerCut(CutMode mode);
  /// The process is killed and another starts: handles and locks are gone, un-synced operations
  /// stay visible and un-synced.
  void Crash();
  /// What is random from now on (torn writes, what a cut keeps) follows from `seed` alone.
  void Reseed(std::uint64_t seed);

  // Faults.
  void AddFault(FsFault fault);
  void ClearFaults();
  /// Every change fails with EROFS, as after the kernel's remount.
  void SetReadOnly();
  /// The disk's size; beyond it, ENOSPC. 1 TiB at first.
  void SetTotalBytes(std::uint64_t total_bytes);

  // Set-up and inspection: never fail, are not counted.
  void AddDirectories(const std::string& path);          // durable at once
  void AddFile(const std::string& path, ByteView data);  // durable at once
  void SetOwnerAndMode(const std::string& path, std::uint32_t owner_uid, std::uint32_t mode);
  /// XORs the stored byte at `offset`, on the disk and in the page cache.
  void Damage(const std::string& path, std::uint64_t offset, std::byte flip = std::byte{1});
  /// Paths of all visible files, ascending.
  [[nodiscard]] std::vector<std::string> Files() const;
  [[nodiscard]] std::optional<Bytes> Contents(const std::string& path) const;
  [[nodiscard]] std::shared_ptr<const Image> Save() const;
  /// Handles and locks are gone, everything else is as it was then, durably.
  void Load(const Image& image);

  // Counts, since the start.
  [[nodiscard]] std::uint64_t call_count(FsCall call) const;
  [[nodiscard]] std::uint64_t call_count() const;
  /// Calls that change something or make it durable: the places where a halt makes a difference.
  [[nodiscard]] std::uint64_t change_count() const;
  [[nodiscard]] bool halted() const;
  /// The last calls, for a failed test's output ("write /j/0 4096+512").
  [[nodiscard]] std::vector<std::string> RecentCalls() const;
  /// Changes with every call: equal runs have equal digests.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  class OpenFile;
  class HeldLock;
  enum class Effect { kReads, kChanges };
  enum class Replace { kYes, kNo };

  struct Place {
    std::shared_ptr<FakeDirectory> parent;
    std::string name;
    std::shared_ptr<FakeNode> node;  // null if there is none
  };
  /// What a call is about to do, for counting, faults and the trace.
  struct Call {
    FsCall kind;
    Effect effect;
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  Status BeginLocked(const Call& call, ReadDamage* damage = nullptr) REQUIRES_LOCK(mutex_);
  void RecordLocked(const Call& call) REQUIRES_LOCK(mutex_);
  Result<Place> FindLocked(const std::string& path, const char* action) const REQUIRES_LOCK(mutex_);
  Result<std::shared_ptr<FakeDirectory>> FindDirectoryLocked(const std::string& path,
                                                             const char* action) const
      REQUIRES_LOCK(mutex_);
  Result<std::shared_ptr<FakeFile>> OpenOrCreateLocked(const std::string& path, FsCall kind,
                                                       OpenMode mode) REQUIRES_LOCK(mutex_);
  Status RenameLocked(FsCall kind, const std::string& from, const std::string& to, Replace replace)
      REQUIRES_LOCK(mutex_);
  Status WriteLocked(FakeFile& file, const std::string& path, std::uint64_t offset, ByteView data)
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] std::uint64_t UsedBytesLocked() const REQUIRES_LOCK(mutex_) {
    return *used_pages_ * kFakePageBytes;
  }
  void AddImage(const std::string& path, const FakeImage& data);
  std::shared_ptr<FakeFile> NewFileLocked() REQUIRES_LOCK(mutex_);
  std::shared_ptr<FakeDirectory> NewDirectoryLocked() REQUIRES_LOCK(mutex_);
  void KeepTrackLocked(std::weak_ptr<FakeNode> node) REQUIRES_LOCK(mutex_);
  [[nodiscard]] std::vector<std::shared_ptr<FakeNode>> LiveNodesLocked() const
      REQUIRES_LOCK(mutex_);
  void RestartLocked() REQUIRES_LOCK(mutex_);
  std::uint64_t NextNumberLocked() REQUIRES_LOCK(mutex_) { return next_number_ += 2; }

  mutable Mutex mutex_;
  SeededRandom random_;
  std::shared_ptr<FakeDirectory> root_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<FakeNode>> nodes_ GUARDED_BY(mutex_);  // every one that lives
  const std::shared_ptr<std::uint64_t> used_pages_ = std::make_shared<std::uint64_t>(0);
  std::uint64_t next_number_ GUARDED_BY(mutex_) = 0;  // of un-synced operations
  std::uint64_t epoch_ GUARDED_BY(mutex_) = 0;        // handles of an older one are dead
  bool halted_ GUARDED_BY(mutex_) = false;
  bool read_only_ GUARDED_BY(mutex_) = false;
  std::optional<std::uint64_t> halt_in_ GUARDED_BY(mutex_);
  std::vector<FsFault> faults_ GUARDED_BY(mutex_);
  std::uint64_t total_bytes_ GUARDED_BY(mutex_) = std::uint64_t{1} << 40;
  std::map<FsCall, std::uint64_t> calls_ GUARDED_BY(mutex_);
  std::uint64_t changes_ GUARDED_BY(mutex_) = 0;
  std::deque<std::string> recent_ GUARDED_BY(mutex_);
  std::uint64_t digest_ GUARDED_BY(mutex_) = 14695981039346656037U;
};

struct FaultyFileSystem::Image {
  struct Entry {
    bool is_directory;
    std::uint32_t mode;
    std::uint32_t owner_uid;
    FakeImage data;
  };
  std::map<std::string, Entry> entries;  // by path; parents sort before their children
};

}  // namespace coffer
