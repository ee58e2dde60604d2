// The Journal there is. See journal.h for what it promises.
#pragma once

#include <deque>
#include <set>

#include "core/base/mutex.h"
#include "core/cache/journal.h"
#include "core/crypto/sealer.h"

namespace coffer::cache {

class JournalImpl final : public Journal {
 public:
  JournalImpl(FileSystem& fs, Clock& clock, Random& random, Executor& executor,
              std::string directory, const SecretBytes& journal_key, Identity identity,
              Options options);

  Status Scan();
  Result<Recovery> Replay(
      const format::JournalPosition& covered,
      const std::function<Status(std::span<const RecordPtr> request)>& sink) override;
  Status StartStream(const format::ChainPoint& base_head, std::uint64_t volume_size,
                     std::uint64_t first_seq, JournalListener& listener) override;
  Status Append(std::span<const Operation> requests) override;
  Status Sync() override;
  void Release(std::uint64_t seq) override;
  Result<Bytes> ReadRecord(const Record& record, const RecordLocation& location) override;
  [[nodiscard]] StreamId stream() const override;
  [[nodiscard]] std::uint64_t appended_seq() const override;
  [[nodiscard]] std::uint64_t durable_seq() const override;
  [[nodiscard]] std::uint64_t used_bytes() const override;
  [[nodiscard]] Status health() const override;
  void CheckInvariants() const override;

 private:
  struct Reader;  // replay
  /// One segment file. Its number and range change only while it is free or active.
  struct Slot {
    std::string path;
    std::shared_ptr<File> file;  // shared with readers that outlive its release
    std::uint64_t segment = 0;   // 0: free
    format::SegmentHeader header;
    std::array<std::byte, 32> salt{};
    std::uint64_t last_seq = 0;  // of its last record; 0: none yet
    bool written = false;        // since its last sync
    bool fresh = false;          // its directory entry is not durable yet
    bool bad = false;            // a sync of it failed
  };
  struct Pending {
    std::vector<std::vector<RecordPtr>> requests;
    std::size_t bytes = 0;
    bool done = false;
    Status status;
  };
  /// A durable-to-be record, kept whole in memory until it is.
  struct Unsynced {
    RecordPtr record;
    std::shared_ptr<const Bytes> buffer;
    format::ChainTag tag;
  };
  /// What WriteGroup needs to know of the stream's end. Owned by the leader.
  struct Tip {
    std::size_t slot = kNoSlot;
    std::uint64_t offset = 0;
    std::uint64_t next_seq = 1;
    format::ChainTag chain_tag{};
  };
  static constexpr std::size_t kNoSlot = ~std::size_t{0};

  // The leader: one thread at a time, no lock held.
  void Lead(MutexLock& lock) REQUIRES_LOCK(mutex_);
  void WriteBatch(std::vector<Pending*>& batch);
  Status WriteRecords(std::span<const RecordPtr> records,
                      std::span<const std::shared_ptr<const Bytes>> buffers,
                      std::vector<RecordLocation>* locations, std::vector<format::ChainTag>* tags);
  Status OpenSegment(std::uint64_t first_seq, const format::ChainTag& chain_tag);
  Result<std::size_t> TakeFreeSlot();
  Status Rewrite();  // after a failed sync
  Status SyncFiles();

  FileSystem& fs_;
  Clock& clock_;
  Random& random_;
  Executor& executor_;
  const std::string directory_;
  const SecretBytes& key_;
  const Identity identity_;
  const Options options_;

  // Set once by StartStream.
  StreamId stream_;
  format::ChainPoint base_head_;
  std::uint64_t volume_size_ = 0;
  std::uint64_t stream_first_seq_ = 0;
  JournalListener* listener_ = nullptr;

  Tip tip_;                         // the leader's
  Bytes group_;                     // the leader's buffer
  std::uint64_t segment_next_ = 1;  // the leader's

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::unique_ptr<Slot>> slots_ GUARDED_BY(mutex_);
  std::deque<Pending*> queue_ GUARDED_BY(mutex_);
  bool leading_ GUARDED_BY(mutex_) = false;
  bool syncing_ GUARDED_BY(mutex_) = false;
  std::uint64_t appended_seq_ GUARDED_BY(mutex_) = 0;
  std::uint64_t durable_seq_ GUARDED_BY(mutex_) = 0;
  format::ChainTag durable_tag_ GUARDED_BY(mutex_){};
  std::uint64_t released_seq_ GUARDED_BY(mutex_) = 0;
  std::deque<Unsynced> unsynced_ GUARDED_BY(mutex_);
  std::uint64_t unsynced_bytes_ GUARDED_BY(mutex_) = 0;
  Status failed_ GUARDED_BY(mutex_);
};

}  // namespace coffer::cache
