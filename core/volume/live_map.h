// LiveMap: everything a read must know of a volume, under one lock: the dirty generations, youngest
// first, the changes of unfolded deltas, and the tree. One lock, so that a generation leaves the
// queue in the same instant in which its delta joins the map: no read falls between.
//
// States of a generation: open (the youngest, takes writes) -> cut (waits) -> building (the oldest,
// being committed) -> gone. Neighbours that wait may merge. Invariants: sequence ranges are
// consecutive and end where a request ends, only the last generation is open, only the first is
// building. Thread-safe.
//
// Each generation fits into one commit, however it came to be: a request that would take the open
// one beyond Settings::generation_bytes_max or generation_parts_max, written or replayed, finds it
// cut; neighbours merge only if both together fit. So where more than generations_max wait, any two
// neighbours are more than one commit holds, and how many they are is bounded by what the journal
// may hold (docs/LIMITS.md): writers wait for room there, never for a place in this queue.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/cache/dirty_map.h"
#include "core/cache/journal.h"
#include "core/map/block_map.h"
#include "core/volume/settings.h"

namespace coffer::volume {

struct Generation {
  explicit Generation(std::uint32_t chunk_size) : dirty(chunk_size) {}

  cache::DirtyMap dirty;
  StreamId stream;
  std::uint64_t last_seq = 0;
  std::uint64_t size = 0;       // of the volume at its end
  MonotonicTime first_write{};  // of its oldest
  bool changed = false;         // holds anything, if only a resize
  bool building = false;
};

/// A dirty byte range as it was at one moment. `buffer` null and `record` set: read it from the
/// journal.
struct DirtyPart {
  std::uint64_t offset;
  std::uint64_t length;
  cache::RecordPtr record;  // null: zeros
  cache::RecordLocation location;
  std::shared_ptr<const Bytes> buffer;
  std::size_t buffer_offset;  // of `offset`
};

/// Fills `out`, of the part's length, from memory or else from the journal.
Status ReadDirty(cache::Journal& journal, const DirtyPart& part, MutableByteView out);

/// A byte range of one chunk that no generation holds.
struct CleanPart {
  std::uint64_t offset;
  std::uint64_t length;
  std::uint64_t chunk;
  std::optional<map::Overlay::Change> change;
};

struct Look {
  std::uint64_t size = 0;  // of the volume at that moment
  std::vector<DirtyPart> dirty;
  std::vector<CleanPart> clean;
  map::Tree tree;
};

struct Ahead {
  map::Tree tree;
  std::uint64_t hole_until;   // from `offset` to here nothing is stored; `offset` if it is not so
  std::uint64_t next_change;  // up to here the tree alone decides; `offset` if more than it does
};

class LiveMap final : public cache::JournalListener {
 public:
  LiveMap(Clock& clock, const Settings& settings, map::Tree tree, std::uint64_t size);

  // Readers.
  [[nodiscard]] std::uint64_t size() const;
  /// What [offset, offset + length) is made of.
  [[nodiscard]] Look At(std::uint64_t offset, std::uint64_t length) const;
  /// What is known of [offset, end) without asking the tree. One look, so that no fold comes
  /// between what the deltas say and the tree that is asked for the rest.
  [[nodiscard]] Ahead LookAhead(std::uint64_t offset, std::uint64_t end) const;

  // Writers: called by the journal, in sequence order.
  void Publish(std::span<const cache::RecordPtr> records) override;
  void Relocate(std::span<const std::pair<cache::RecordPtr, cache::RecordLocation>> moves) override;
  /// One that was published in an earlier life.
  void PublishReplayed(std::span<const cache::RecordPtr> request);
  /// Records published from now on belong to `stream`; those replayed until now, to `replayed`.
  /// Cuts.
  void BeginStream(const StreamId& replayed, const StreamId& stream);

  // The syncer, one thread.
  /// Closes the open generation, if it holds anything. Returns the sequence of the last request
  /// published: all up to it is in generations that are cut, or committed.
  std::uint64_t Cut();
  /// The oldest generation that is cut, now building; null if there is none.
  [[nodiscard]] const Generation* BeginBuild();
  /// What the building generation holds of [offset, end), with copies of locations and buffers.
  [[nodiscard]] std::vector<DirtyPart> Gather(const Generation& generation, std::uint64_t offset,
                                              std::uint64_t end) const;
  /// All of `chunk` as it is committed, beneath every generation.
  [[nodiscard]] CleanPart Committed(std::uint64_t chunk) const;
  /// The building generation is committed: its delta joins the map, it leaves the queue.
  void Commit(const format::Delta& delta);
  /// A fold is committed: `tree` shows all deltas but those of `residual`.
  void Folded(const map::Tree& tree, std::span<const map::ResidualDelta> residual);
  /// A delta of the head that the volume was opened at, in order.
  void LoadDelta(const format::Delta& delta);
  /// The next one of them cannot be read: what it may have changed is unknown from here on.
  void LoadLostDelta(const Error& why);
  /// Only the syncer changes it, so only the syncer may read it without the lock.
  [[nodiscard]] const map::Overlay& overlay() const NO_THREAD_SAFETY_ANALYSIS { return overlay_; }
  [[nodiscard]] map::Tree tree() const;

  struct Numbers {
    std::uint64_t dirty_bytes;
    std::uint64_t open_bytes;  // of the open generation
    std::size_t generations;   // that hold anything
    std::size_t waiting;       // cut, not building
    std::optional<MonotonicTime> oldest_write;
  };
  [[nodiscard]] Numbers numbers() const;
  [[nodiscard]] bool has_waiting() const;
  /// Ranges of zeros in all generations.
  [[nodiscard]] std::uint64_t zero_ranges() const { return zero_ranges_; }

 private:
  void CutLocked() REQUIRES_LOCK(mutex_);
  void MergeWaitingLocked() REQUIRES_LOCK(mutex_);
  void DropBuffersLocked() REQUIRES_LOCK(mutex_);
  void PublishLocked(std::span<const cache::RecordPtr> request, Duration age) REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool HasRoomForLocked(std::span<const cache::RecordPtr> request) const
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool FitsOneCommit(std::uint64_t data_bytes, std::uint64_t parts) const;
  void CountZerosLocked() REQUIRES_LOCK(mutex_);
  void ApplyLocked(const cache::RecordPtr& record) REQUIRES_LOCK(mutex_);
  [[nodiscard]] std::uint64_t HoleUntilLocked(std::uint64_t offset, std::uint64_t end) const
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] static DirtyPart PartOf(const cache::DirtyMap::Extent& extent);

  Clock& clock_;
  const Settings& settings_;
  mutable Mutex mutex_;
  std::deque<std::unique_ptr<Generation>> generations_ GUARDED_BY(mutex_);  // oldest first
  std::deque<cache::RecordPtr> in_memory_ GUARDED_BY(mutex_);  // records with buffers, oldest first
  std::uint64_t in_memory_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t published_seq_ GUARDED_BY(mutex_) = 0;
  std::atomic<std::uint64_t> zero_ranges_ = 0;  // changed under mutex_
  StreamId stream_ GUARDED_BY(mutex_);
  std::uint64_t size_ GUARDED_BY(mutex_);
  map::Overlay overlay_ GUARDED_BY(mutex_);
  map::Tree tree_ GUARDED_BY(mutex_);
};

}  // namespace coffer::volume
