// Segment files: how they are made, marked as used, marked as free, and removed.
//
// A slot is a file NNNN.seg; the name says nothing. A slot whose header is zeros is free. A segment
// is a slot with a header, which gives it its number. Numbers ascend and are never used again in
// one run, so a recycled file needs no change to its directory.
//
// A slot goes from full to free in two steps, in this order: its header is overwritten with zeros
// and that is made durable; only then may it be written again, or removed. So whatever a power cut
// leaves, a header is that of its whole segment or none at all: no half overwritten segment passes
// for a damaged one. Segments are given back one at a time, oldest first, so that those that remain
// always follow each other without a gap.
//
// A header fills less than a sector and a write is all or nothing within 512 bytes: a header that
// is neither zeros nor authentic is damage, never a torn write.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/secret_bytes.h"
#include "core/format/journal.h"

namespace coffer::cache {

struct Slot {
  std::string path;
  std::shared_ptr<File> file;  // shared with readers that came before it was recycled
  std::uint64_t size = 0;
  bool name_durable = false;
  /// Bytes from the front that are known to have been written once: a sync of what overwrites them
  /// need not wait for the file system's own journal, as one of what grows into the rest does.
  std::uint64_t written = 0;
};

/// A slot in use. The fields below `header` belong to the journal: `end` to whoever has the
/// writer's role, the others to its lock.
struct Segment {
  Slot slot;
  format::SegmentHeader header;
  std::uint64_t last_seq = 0;    // of the records here, 0 if there are none
  std::uint64_t synced_seq = 0;  // how far it was synced
  std::uint32_t syncs = 0;       // how often
  bool bad = false;              // a sync failed: only what was durable before counts
  bool spare_wanted = false;     // its successor was asked for
  std::uint32_t end = 0;         // of its last group

  [[nodiscard]] std::uint64_t number() const { return header.segment; }
};

/// What lies at the beginning of a slot.
struct SlotContent {
  enum class Kind { kFree, kSegment, kUnreadable };
  Kind kind = Kind::kFree;
  format::SegmentHeader header;  // kSegment
  std::string reason;            // kUnreadable
};

/// What the segments in a journal's directory take on its disk; files of others do not count. 0
/// where there is none.
[[nodiscard]] std::uint64_t SegmentBytesOnDisk(FileSystem& fs, const std::string& directory);

/// Makes, marks and removes slots in one directory. Thread-safe.
class SegmentFiles {
 public:
  SegmentFiles(FileSystem& fs, std::string directory, std::uint64_t segment_bytes)
      : fs_(fs), directory_(std::move(directory)), segment_bytes_(segment_bytes) {}

  /// Opens every slot that there is. Called once, first.
  Result<std::vector<Slot>> OpenAll();
  /// A new file with its space reserved; its name is not durable.
  Result<Slot> Create();
  /// A new file of no bytes; its name is not durable.
  Result<Slot> CreateEmpty();
  /// Fills a free slot with zeros, durably, its name too. kCancelled once `stop` is set.
  Status FillWithZeros(Slot* slot, const std::atomic<bool>& stop);
  /// Makes a free slot as long as a segment.
  Status Extend(Slot* slot);
  /// Marks a slot as free, durably.
  Status Wipe(const Slot& slot);
  /// REQUIRES: the slot is free, or `SyncDirectory` follows before any other slot is given back.
  Status Remove(const Slot& slot);
  Status SyncDirectory() { return fs_.SyncDirectory(directory_); }
  /// Renames a slot that is damaged, so that it is in nobody's way and a person can look at it.
  Status SetAside(const Slot& slot);

 private:
  std::uint64_t ReserveName() EXCLUDES_LOCK(mutex_);
  void ForgetName(const std::string& path) EXCLUDES_LOCK(mutex_);

  FileSystem& fs_;
  const std::string directory_;
  const std::uint64_t segment_bytes_;
  Mutex mutex_;
  std::set<std::uint64_t> names_ GUARDED_BY(mutex_);  // in use
};

/// kUnsupported if the slot is of a newer version.
Result<SlotContent> ReadSlot(const Slot& slot, const SecretBytes& journal_key,
                             std::uint32_t key_epoch);

/// Writes `header` to the beginning of `slot`.
Status WriteHeader(const Slot& slot, const SecretBytes& journal_key, std::uint32_t key_epoch,
                   Random& random, const format::SegmentHeader& header);

}  // namespace coffer::cache
