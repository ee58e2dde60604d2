// Many threads on one journal: run under tsan.
#include <thread>

#include "core/base/mutex.h"
#include "tests/cache/journal_world.h"
#include "tests/support/gated_file_system.h"

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

Journal::Operation BlockAt(std::uint64_t number, std::uint64_t blocks = 1) {
  return {.kind = format::RecordKind::kWrite,
          .offset = number * 4096,
          .length = blocks * 4096,
          .buffer = std::make_shared<const Bytes>(blocks * 4096, std::byte{1})};
}

class TryAppend : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.options.segment_bytes = 256 << 10;
    ASSERT_OK_AND_ASSIGN(journal_, Journal::Open(gated_, world_.clock, world_.seeded, *executor_,
                                                 JournalWorld::kDirectory, world_.key,
                                                 world_.identity, world_.options));
    ASSERT_OK(journal_->StartStream({}, JournalWorld::kVolumeSize, 1, listener_));
    ASSERT_OK(Append(0));
  }
  Status Append(std::uint64_t number, std::uint64_t blocks = 1) {
    const Journal::Operation operation = BlockAt(number, blocks);
    return journal_->Append({&operation, 1});
  }
  /// Whether it was done.
  bool Try(std::uint64_t number, std::uint64_t blocks = 1) {
    const Journal::Operation operation = BlockAt(number, blocks);
    const auto tried = journal_->TryAppend({&operation, 1});
    if (tried.has_value()) {
      EXPECT_OK(*tried);
    }
    return tried.has_value();
  }

  JournalWorld world_;
  GatedFileSystem gated_{world_.fs};
  SharedListener listener_;
  std::unique_ptr<Executor> executor_ = NewThreadExecutor("journal", 2);
  std::unique_ptr<Journal> journal_;
};

TEST_F(TryAppend, DoesNotWaitForAWriteThatTheDiskDoesNotTake) {
  gated_.HoldNext(GatedFileSystem::Call::kWrite);
  std::thread writer([&] { EXPECT_OK(Append(1)); });
  ASSERT_TRUE(gated_.AwaitHeld());
  EXPECT_FALSE(Try(2));
  EXPECT_EQ(journal_->appended_seq(), 1U);
  EXPECT_OK(journal_->health());
  gated_.LetGo();
  writer.join();
  EXPECT_TRUE(Try(2));
  EXPECT_EQ(journal_->appended_seq(), 3U);
  journal_->CheckInvariants();
}

TEST_F(TryAppend, GoesOnWhileASyncIsUnderWayUntilItWouldHaveToWaitForIt) {
  gated_.HoldNext(GatedFileSystem::Call::kSync);
  std::thread syncer([&] { EXPECT_OK(journal_->Sync()); });
  ASSERT_TRUE(gated_.AwaitHeld());
  std::uint64_t done = 1;
  while (done < 1000 && Try(done)) ++done;
  EXPECT_GT(done, 10U);
  EXPECT_LT(done, 64U);  // what is not durable fits into one segment
  gated_.LetGo();
  syncer.join();
  EXPECT_OK(Append(done));
  EXPECT_EQ(journal_->appended_seq(), done + 1);
  journal_->CheckInvariants();
}

TEST_F(TryAppend, LeavesANewSegmentToThoseWhoMayWait) {
  ASSERT_OK(Append(1, 32));
  ASSERT_OK(journal_->Sync());
  EXPECT_FALSE(Try(40, 32));  // 4 KiB and twice 128 KiB, and tags: more than a segment holds
  EXPECT_TRUE(Try(40, 4));
  ASSERT_OK(Append(50, 32));  // a second segment
  ASSERT_OK(journal_->Sync());
  EXPECT_TRUE(Try(90, 4));
  journal_->CheckInvariants();
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
        // Half of them as an event loop does.
        const auto tried =
            thread % 2 == 0 ? journal->TryAppend({&operation, 1}) : std::optional<Status>();
        ASSERT_OK(tried.has_value() ? *tried : journal->Append({&operation, 1}));
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
