// The Journal there is. One class in four files, one question each: journal.cc (its life, reads),
// journal_append.cc (how writes get into the file), journal_sync.cc (how they become durable),
// journal_recycle.cc (how segments are given back and prepared).
//
// Two roles, each held by one thread at a time, taken and given back under the lock and kept
// through I/O without it:
//   writer  (writing_) puts groups into the active segment, opens segments, tells the listener;
//   syncer  (syncing_) makes segments durable; takes the writer's role too to write again what a
//           failed sync has lost. Nobody who has the writer's role waits for the syncer.
// Beside them one background task at a time gives segments back and prepares them.
//
// What is not durable always fits into one segment: an append that would break that waits for a
// sync. So writing it again takes one file, which counts from the moment its header is there. Nor
// is it more than kUnsyncedRecordsMax records and a group, since each is kept in memory: those
// without data are small in a segment and not there.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <optional>

#include "core/base/mutex.h"
#include "core/cache/journal_group.h"
#include "core/cache/journal_segment.h"

namespace coffer::cache {

class JournalImpl final : public Journal {
 public:
  JournalImpl(FileSystem& fs, Clock& clock, Random& random, Executor& executor,
              const std::string& directory, const SecretBytes& journal_key,
              const Identity& identity, const Options& options);
  ~JournalImpl() override;

  /// Reads the headers of what is there.
  Status Load() EXCLUDES_LOCK(mutex_);

  Result<Recovery> Replay(const format::JournalPosition& covered,
                          const std::function<Status(std::span<const RecordPtr> request)>& sink)
      override EXCLUDES_LOCK(mutex_);
  Status StartStream(const format::ChainPoint& base_head, std::uint64_t volume_size,
                     std::uint64_t first_seq, JournalListener& listener) override
      EXCLUDES_LOCK(mutex_);
  Status Append(std::span<const Operation> requests) override EXCLUDES_LOCK(mutex_);
  std::optional<Status> TryAppend(std::span<const Operation> requests) override
      EXCLUDES_LOCK(mutex_);
  Status Sync() override EXCLUDES_LOCK(mutex_);
  void Release(std::uint64_t seq) override EXCLUDES_LOCK(mutex_);
  Status ReadRecord(const Record& record, const RecordLocation& location, std::size_t skip,
                    MutableByteView out) override EXCLUDES_LOCK(mutex_);

  [[nodiscard]] StreamId stream() const override { return stream_; }
  [[nodiscard]] std::uint64_t appended_seq() const override EXCLUDES_LOCK(mutex_);
  [[nodiscard]] std::uint64_t durable_seq() const override EXCLUDES_LOCK(mutex_);
  [[nodiscard]] std::uint64_t unsynced_bytes() const override EXCLUDES_LOCK(mutex_);
  [[nodiscard]] std::uint64_t used_bytes() const override EXCLUDES_LOCK(mutex_);
  [[nodiscard]] Status health() const override EXCLUDES_LOCK(mutex_);
  void CheckInvariants() const override EXCLUDES_LOCK(mutex_);

 private:
  using SegmentPtr = std::shared_ptr<Segment>;
  enum class Phase { kLoaded, kReplayed, kStreaming };
  static constexpr std::size_t kUnsyncedRecordsMax = 1 << 17;  // at half of it a sync starts

  /// One call of Append, on its caller's stack.
  struct Waiter {
    std::span<const Operation> requests;
    std::size_t taken = 0;  // into groups
    Status status;
    bool done = false;
  };
  /// An appended record that is not durable yet. The listener may drop the record's own buffer.
  struct Unsynced {
    RecordPtr record;
    std::shared_ptr<const Bytes> buffer;
  };
  /// The end of what was appended at one moment.
  struct Point {
    std::uint64_t seq = 0;
    format::ChainTag tag{};
  };
  struct SyncPlan {
    struct Part {
      SegmentPtr segment;
      std::uint64_t seq;  // of its last record
    };
    std::vector<Part> parts;
    Point point;
    bool sync_directory = false;
  };

  // journal.cc
  void AwaitLocked(MutexLock& lock, const std::function<bool()>& done) REQUIRES_LOCK(mutex_);
  void NotifyLocked() REQUIRES_LOCK(mutex_);
  [[nodiscard]] StreamId NewStreamId(const format::ChainPoint& base_head, std::uint64_t first_seq);
  [[nodiscard]] std::uint64_t capacity() const {
    return options_.segment_bytes - format::kSegmentHeaderBytes;
  }
  Status SetDamagedAside() EXCLUDES_LOCK(mutex_);
  Status MakeReplayedDurable() EXCLUDES_LOCK(mutex_);
  static Status RewriteInPlace(const Segment& segment);
  [[nodiscard]] SegmentPtr FindSegment(std::uint64_t number) const EXCLUDES_LOCK(mutex_);
  Status ReadFrom(const Segment& segment, const Record& record, const RecordLocation& location,
                  std::size_t skip, MutableByteView out) const;

  // journal_append.cc
  [[nodiscard]] Status Check(const Operation& operation) const;
  [[nodiscard]] static std::uint64_t BytesOf(const Operation& operation);
  [[nodiscard]] static std::size_t RecordsOf(const Operation& operation);
  [[nodiscard]] bool HasRoomLocked() const REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool CanWriteNowLocked(std::span<const Operation> requests) const
      REQUIRES_LOCK(mutex_);
  void GatherLocked() REQUIRES_LOCK(mutex_);
  void WriteGroup() EXCLUDES_LOCK(mutex_);
  Status WriteGathered() EXCLUDES_LOCK(mutex_);
  void MakeRecords();
  Result<SegmentPtr> SegmentWithRoom(std::uint64_t bytes) EXCLUDES_LOCK(mutex_);
  void NoteWritten(Segment& segment, const GroupSealer::Sealed& sealed) EXCLUDES_LOCK(mutex_);
  void CloseAfterFailedWrite(const SegmentPtr& segment) EXCLUDES_LOCK(mutex_);
  [[nodiscard]] bool MovesOnLocked() const REQUIRES_LOCK(mutex_);
  /// A slot for a new segment: a free one, or a new file.
  Result<Slot> TakeSlot() EXCLUDES_LOCK(mutex_);
  [[nodiscard]] SegmentPtr NewSegment(Slot slot, const Point& after);
  void FailQueueLocked(const Error& error) REQUIRES_LOCK(mutex_);

  // journal_sync.cc
  Status SyncThrough(std::uint64_t target) EXCLUDES_LOCK(mutex_);
  [[nodiscard]] SyncPlan PlanSyncLocked() REQUIRES_LOCK(mutex_);
  Status RunPlan(const SyncPlan& plan);
  void RunSync(const SyncPlan& plan) EXCLUDES_LOCK(mutex_);
  /// Has the syncer's role and gives it back.
  void WriteAgain(const Error& cause) EXCLUDES_LOCK(mutex_);
  struct Copy {
    SegmentPtr segment;
    Point last;
    std::vector<std::pair<RecordPtr, RecordLocation>> moves;
  };
  Result<Copy> CopyElsewhere(std::span<const Unsynced> records, const Point& after)
      EXCLUDES_LOCK(mutex_);
  Status SealInto(Segment& segment, std::span<const Unsynced> records, Copy* copy);
  void PostSyncLocked() REQUIRES_LOCK(mutex_);

  // journal_recycle.cc
  void RetireLocked() REQUIRES_LOCK(mutex_);
  void WantSpareLocked() REQUIRES_LOCK(mutex_);
  void PostHousekeepingLocked() REQUIRES_LOCK(mutex_);
  void KeepHouse() EXCLUDES_LOCK(mutex_);
  /// False once giving segments back must stop, since the order could not be kept.
  bool GiveBack(const SegmentPtr& segment) EXCLUDES_LOCK(mutex_);
  /// The free slot that was written least, or a new file.
  Result<Slot> TakeSlotToFill() EXCLUDES_LOCK(mutex_);
  void MakeSpare() EXCLUDES_LOCK(mutex_);
  [[nodiscard]] bool SpareReadyLocked() const REQUIRES_LOCK(mutex_);
  void AddFreeLocked(Slot slot) REQUIRES_LOCK(mutex_);
  Status MakeFreeSlotsDurable() EXCLUDES_LOCK(mutex_);
  void DropSurplusSlots() EXCLUDES_LOCK(mutex_);

  Clock& clock_;
  Random& random_;
  Executor& executor_;
  const std::string directory_;
  const SecretBytes& journal_key_;
  const Identity identity_;
  const Options options_;
  SegmentFiles files_;
  std::atomic<bool> stopping_{false};

  mutable Mutex mutex_;
  CondVar changed_;
  int waiting_ GUARDED_BY(mutex_) = 0;  // threads on changed_

  Phase phase_ GUARDED_BY(mutex_) = Phase::kLoaded;
  std::map<std::uint64_t, SegmentPtr> segments_ GUARDED_BY(mutex_);  // by number
  SegmentPtr active_ GUARDED_BY(mutex_);                             // null: none yet, or full
  std::vector<Slot> free_ GUARDED_BY(mutex_);           // the one to take next comes last
  std::deque<SegmentPtr> retiring_ GUARDED_BY(mutex_);  // oldest first
  Point appended_ GUARDED_BY(mutex_);
  Point durable_ GUARDED_BY(mutex_);
  std::uint64_t released_seq_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);

  std::deque<Waiter*> queue_ GUARDED_BY(mutex_);
  bool writing_ GUARDED_BY(mutex_) = false;
  bool syncing_ GUARDED_BY(mutex_) = false;
  std::vector<Unsynced> unsynced_ GUARDED_BY(mutex_);    // records above durable, in order:
  std::vector<Unsynced> in_sync_ GUARDED_BY(mutex_);     // those of the running sync come first
  std::uint64_t unsynced_bytes_ GUARDED_BY(mutex_) = 0;  // of their groups, whole
  std::uint64_t in_sync_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t not_durable_data_ GUARDED_BY(mutex_) = 0;  // bytes of data above durable

  int background_tasks_ GUARDED_BY(mutex_) = 0;
  bool housekeeping_ GUARDED_BY(mutex_) = false;
  bool sync_posted_ GUARDED_BY(mutex_) = false;
  bool spare_wanted_ GUARDED_BY(mutex_) = false;
  bool stuck_ GUARDED_BY(mutex_) = false;  // a segment could not be given back

  // Set by Load and Replay, used by StartStream; one thread.
  std::vector<Slot> unreadable_;
  std::string unreadable_text_;
  std::vector<SegmentPtr> unreachable_;
  std::uint64_t covered_seq_ = 0;
  bool damaged_ = false;

  // Of the stream; constant from StartStream on.
  StreamId stream_;
  JournalListener* listener_ = nullptr;
  format::ChainPoint base_head_;
  std::uint64_t volume_size_ = 0;
  std::uint64_t stream_first_seq_ = 0;

  // Of the writer's role.
  std::uint64_t next_number_ = 1;
  GroupSealer sealer_;
  std::vector<const Operation*> gathered_;  // for the group being written
  SegmentPtr gathered_active_;
  Point gathered_after_;
  std::uint32_t gathered_not_durable_ = 0;
  std::vector<Waiter*> gathered_waiters_;
  std::vector<RecordPtr> records_;
  std::vector<GroupItem> items_;
};

}  // namespace coffer::cache
