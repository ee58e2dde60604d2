// Journal: the encrypted local log of the writes of one open volume that no head covers yet.
//
// The way of a write: Append seals a request's records into a group, writes it with one pwrite,
// tells the listener (which publishes it to readers), and returns: acknowledged bytes are in the
// file. Appends that meet are grouped: the first to arrive leads, writes for all who wait,
// publishes in sequence order and wakes them. Sync is one fdatasync for all who wait.
//
// States of a segment file: free (its header is zeros) -> active (the one appended to) -> full ->
// given up (Release has passed its last record) -> free again, once its header is durably zeros.
// Bad after a failed sync: never written or trusted again, removed when nothing in it is needed.
// Invariants: sequence numbers are consecutive over segments and streams; durable_seq <=
// appended_seq; records above durable_seq are also held in memory and fit into one segment, so that
// a failed sync can be answered by writing them again into another file (L9). When that fails too
// the journal is failed: appends and syncs return the error from then on, reads go on.
//
// A request whose write failed was not published, but replay may find it (or not), as with any
// disk: it then stands after everything acknowledged before it. What replay does and why no crash
// confuses it: journal_replay.h.
//
// Thread-safe. Replay comes before the first Append, from one thread; then StartStream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/secret_bytes.h"
#include "core/format/head.h"
#include "core/format/journal.h"

namespace coffer::cache {

/// Where a record lies in the journal's files.
struct RecordLocation {
  std::uint64_t segment = 0;
  std::uint32_t group_offset = 0;   // bytes, in the segment
  std::uint32_t record_offset = 0;  // of the sealed bytes, in the segment
  std::uint32_t number = 0;         // place in the group, the nonce
};

/// One journaled record. `data` and `location` change only inside JournalListener calls; readers
/// use the listener's own lock.
struct Record {
  std::uint64_t seq = 0;
  format::RecordHeader header;
  RecordLocation location;
  std::shared_ptr<const Bytes> buffer;  // kWrite: holds the data; null once dropped from memory
  std::size_t buffer_offset = 0;        // data = buffer[buffer_offset, +header.length)
};
using RecordPtr = std::shared_ptr<Record>;

/// Told in sequence order, one call at a time, never while a lock of the journal is held.
class JournalListener {
 public:
  virtual ~JournalListener() = default;
  /// Whole requests that are now in the file: make them visible.
  virtual void Publish(std::span<const RecordPtr> records) = 0;
  /// These records have been written again elsewhere: take over the new locations.
  virtual void Relocate(std::span<const std::pair<RecordPtr, RecordLocation>> moves) = 0;
};

class Journal {
 public:
  struct Options {
    std::uint64_t segment_bytes = 64u << 20;
    std::uint64_t unsynced_bytes_max = 32u << 20;  // then a sync starts by itself
    std::size_t group_bytes_max = 34u << 20;       // a whole 32 MiB request and its tags
    /// Kept for recycling while it is open, the rest is removed; 0: no spare. Their pages are warm.
    std::size_t free_segments_max = 2;
    std::size_t free_segments_kept = 2;  // when it is closed, and opened
    /// Syncs of a segment from which on its successor is filled with zeros ahead, and taken early
    /// if the segment still grows: each sync is cheaper then, but a bulk write would only write
    /// everything twice.
    std::uint32_t spare_syncs_min = 100;
  };
  struct Identity {
    VaultId vault;
    VolumeId volume;
    std::uint32_t key_epoch;  // of the host key
  };
  /// One request: its parts go into as many records as needed and are replayed together or not at
  /// all.
  struct Operation {
    format::RecordKind kind;
    std::uint64_t offset;                 // bytes, multiple of 4096
    std::uint64_t length;                 // bytes, multiple of 4096
    std::shared_ptr<const Bytes> buffer;  // kWrite
    std::size_t buffer_offset = 0;
  };

  struct Range {  // of the volume, bytes
    std::uint64_t offset;
    std::uint64_t length;
    bool operator==(const Range&) const = default;
  };

  /// What Replay found.
  struct Recovery {
    std::uint64_t last_seq = 0;      // of the last whole request, 0 if the journal is empty
    std::uint64_t records = 0;       // handed to the sink
    StreamId last_stream;            // null if empty
    bool cover_known = false;        // the stream of `covered` is among its segments
    format::ChainPoint base_head;    // of the newest stream that holds records beyond `covered`
    std::uint64_t volume_size = 0;   // at that stream's start, 0 if empty
    bool damaged = false;            // stopped before an end that the journal itself vouches for
    std::string damage;              // what, where and what is lost with it, for people
    std::vector<Range> lost;         // where the records beyond it write that can still be read
    std::uint64_t lost_unknown = 0;  // how many can't: they may have written anywhere
  };

  /// `directory` exists. Reads segment headers; changes nothing. `journal_key` must outlive the
  /// journal. kUnsupported if a segment is of a newer version, kCorruption if one belongs to
  /// another volume. The destructor waits for what runs on `executor`; it syncs nothing.
  static Result<std::unique_ptr<Journal>> Open(FileSystem& fs, Clock& clock, Random& random,
                                               Executor& executor, std::string directory,
                                               const SecretBytes& journal_key, Identity identity,
                                               Options options);
  virtual ~Journal() = default;

  /// Hands every whole request after `covered` to `sink`, in order, records with their data in
  /// memory. Strict prefix: stops at the first record that does not authenticate in its place. A
  /// cover position of a stream that the journal has never heard of covers nothing: then the first
  /// stream that is there must be there from its beginning, or it is damaged. (If the newest head
  /// is another writer's, pass the position of the newest own one.) Damage is reported in the
  /// result; fails only if `sink` does.
  virtual Result<Recovery> Replay(
      const format::JournalPosition& covered,
      const std::function<Status(std::span<const RecordPtr> request)>& sink) = 0;

  /// Begins a new stream after what Replay found; the next record gets `first_seq` (above every one
  /// replayed and covered). Makes durable what was replayed and not covered. Segments are made
  /// lazily, at the first Append. After damage this gives up what lies beyond it: files that hold
  /// nothing else are renamed to NNNN.seg.damaged.N.
  virtual Status StartStream(const format::ChainPoint& base_head, std::uint64_t volume_size,
                             std::uint64_t first_seq, JournalListener& listener) = 0;

  /// Each operation is one request of its own, replayed whole or not at all. Returns when all are
  /// in the file and published. kInvalidArgument for one that no group can hold. After an error
  /// some of them may have been published, the first ones. Waits for a sync when what is not
  /// durable would no longer fit into one segment.
  virtual Status Append(std::span<const Operation> requests) = 0;
  /// As Append, with one pwrite at most and without waiting for anybody: nullopt, nothing written,
  /// when somebody else is writing, a sync has to come first, or another segment is needed. For
  /// event loops.
  virtual std::optional<Status> TryAppend(std::span<const Operation> requests) = 0;
  /// Returns once everything appended before the call is durable.
  virtual Status Sync() = 0;
  /// Everything up to `seq` is committed, and nobody needs to read it here: segments wholly below
  /// are given back in the background.
  virtual void Release(std::uint64_t seq) = 0;
  /// Reads `out.size()` bytes of a record's data from byte `skip` on back from its file,
  /// authenticated. `location` is given apart since the caller copied it under its own lock.
  /// kNotFound if the record was released meanwhile; after an error `out` holds no meaning.
  /// REQUIRES: skip + out.size() <= record.header.length.
  virtual Status ReadRecord(const Record& record, const RecordLocation& location, std::size_t skip,
                            MutableByteView out) = 0;

  [[nodiscard]] virtual StreamId stream() const = 0;
  [[nodiscard]] virtual std::uint64_t appended_seq() const = 0;
  [[nodiscard]] virtual std::uint64_t durable_seq() const = 0;
  /// Bytes of data appended and not durable: what a power cut now could take.
  [[nodiscard]] virtual std::uint64_t unsynced_bytes() const = 0;
  /// Bytes of segment files that hold records not yet released (whole segments).
  [[nodiscard]] virtual std::uint64_t used_bytes() const = 0;
  /// Set once the journal has failed for good.
  [[nodiscard]] virtual Status health() const = 0;
  /// For tests, while nothing is being appended or synced.
  virtual void CheckInvariants() const = 0;
};

}  // namespace coffer::cache
