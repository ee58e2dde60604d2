// Many threads on one journal: run under tsan.
#include <thread>

#include "core/base/mutex.h"
#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

/// As the volume's: its own lock for what a record's location and buffer are.
class SharedListener final : public JournalListener {
 public:
  void Publish(std::span<const RecordPtr> records) override {
    MutexLock lock(mutex_);
    for (const RecordPtr& record : records) {
      EXPECT_EQ(record->seq, next_seq_++);
      records_.push_back(record);
      // The volume drops buffers when it holds too many.
      if (record->seq % 3 == 0) record->buffer.reset();
    }
  }
  void Relocate(std::span<const std::pair<RecordPtr, RecordLocation>> moves) override {
    MutexLock lock(mutex_);
    for (const auto& [record, location] : moves) record->location = location;
    moved_ += moves.size();
  }

  struct Choice {
    RecordPtr record;
    RecordLocation location;
  };
  [[nodiscard]] Choice Choose(std::uint64_t number) const {
    MutexLock lock(mutex_);
    if (records_.empty()) return {};
    const RecordPtr& record = records_[number % records_.size()];
    return {record, record->location};
  }
  [[nodiscard]] std::size_t moved() const {
    MutexLock lock(mutex_);
    return moved_;
  }

 private:
  mutable Mutex mutex_;
  std::uint64_t next_seq_ GUARDED_BY(mutex_) = 1;
  std::vector<RecordPtr> records_ GUARDED_BY(mutex_);
  std::size_t moved_ GUARDED_BY(mutex_) = 0;
};

/// Block `number` of thread `thread`: says who wrote it.
Bytes Stamped(std::uint64_t thread, std::uint64_t number) {
  Bytes data(4096, std::byte(thread + 1));
  StoreLe(data.data(), thread);
  StoreLe(data.data() + 8, number);
  return data;
}

TEST(JournalConcurrency, EightThreadsAppendSyncReadAndRelease) {
  constexpr std::uint64_t kThreads = 8;
  constexpr std::uint64_t kAppends = 150;
  JournalWorld world;
  world.options.segment_bytes = 256 << 10;
  world.options.unsynced_bytes_max = 128 << 10;
  SharedListener listener;
  StreamId stream;
  std::uint64_t released = 0;
  std::uint64_t durable = 0;
  {
    const auto executor = NewThreadExecutor("journal", 2);
    ASSERT_OK_AND_ASSIGN(auto journal, Journal::Open(world.fs, world.clock, world.seeded, *executor,
                                                     JournalWorld::kDirectory, world.key,
                                                     world.identity, world.options));
    ASSERT_OK(journal->StartStream({}, JournalWorld::kVolumeSize, 1, listener));
    stream = journal->stream();
    const auto write = [&](std::uint64_t thread) {
      for (std::uint64_t i = 0; i < kAppends; ++i) {
        const auto buffer = std::make_shared<const Bytes>(Stamped(thread, i));
        const Journal::Operation operation{.kind = format::RecordKind::kWrite,
                                           .offset = (thread * kAppends + i) * 4096,
                                           .length = 4096,
                                           .buffer = buffer};
        ASSERT_OK(journal->Append({&operation, 1}));
        if (i % 16 == thread) {
          const std::uint64_t appended = journal->appended_seq();
          ASSERT_OK(journal->Sync());
          ASSERT_GE(journal->durable_seq(), appended);
        }
        // One fault at a time: the journal gets over one, and two in a row are its end.
        if (thread == 0 && (i == kAppends / 2 || i == kAppends * 3 / 4)) {
          world.fs.AddFault({.call = FsCall::kSync});
          ASSERT_OK(journal->Sync());
        }
        const auto choice = listener.Choose(i * 7919 + thread);
        Bytes data(choice.record->header.length);
        const Status status = journal->ReadRecord(*choice.record, choice.location, 0, data);
        ASSERT_TRUE(status.has_value() || status.error().code == ErrorCode::kNotFound)
            << status.error().message;
        if (thread == 0 && i % 32 == 31 && i < kAppends / 2) {
          released = journal->durable_seq() / 2;
          journal->Release(released);
        }
      }
    };
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) threads.emplace_back(write, thread);
    for (std::thread& thread : threads) thread.join();
    journal->CheckInvariants();
    EXPECT_OK(journal->health());
    EXPECT_GT(listener.moved(), 0U);
    durable = journal->durable_seq();
    EXPECT_EQ(journal->appended_seq(), kThreads * kAppends);
  }
  world.fs.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(auto journal, Journal::Open(world.fs, world.clock, world.seeded,
                                                   world.executor, JournalWorld::kDirectory,
                                                   world.key, world.identity, world.options));
  std::uint64_t next[kThreads] = {};
  ASSERT_OK_AND_ASSIGN(
      const auto recovery,
      journal->Replay({stream, released}, [&](std::span<const RecordPtr> request) -> Status {
        const Record& record = *request.front();
        const std::uint64_t thread = record.header.offset / 4096 / kAppends;
        const std::uint64_t number = record.header.offset / 4096 % kAppends;
        const ByteView data = ByteView(*record.buffer).subspan(record.buffer_offset, 4096);
        const Bytes expected = Stamped(thread, number);
        EXPECT_TRUE(std::equal(data.begin(), data.end(), expected.begin()));
        EXPECT_TRUE(next[thread] == 0 || next[thread] == number);
        next[thread] = number + 1;
        return {};
      }));
  EXPECT_FALSE(recovery.damaged) << recovery.damage;
  EXPECT_EQ(recovery.records, recovery.last_seq - released);
  EXPECT_GE(recovery.last_seq, durable);
}

}  // namespace
}  // namespace coffer::cache
