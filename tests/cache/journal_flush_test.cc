// What a flush stands for while another one is under way.
#include <future>
#include <thread>

#include "tests/cache/journal_world.h"
#include "tests/support/forwarding_file_system.h"

namespace coffer::cache {
namespace {

/// Calls back when a file has been synced, before whoever asked for it knows.
class SyncWatch final : public ForwardingFileSystem {
 public:
  SyncWatch(FileSystem& inner, std::function<void()> synced)
      : ForwardingFileSystem(inner), synced_(std::move(synced)) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, ForwardingFileSystem::Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<WatchedFile>(std::move(file), synced_));
  }

 private:
  class WatchedFile final : public ForwardingFile {
   public:
    WatchedFile(std::unique_ptr<File> inner, const std::function<void()>& synced)
        : ForwardingFile(std::move(inner)), synced_(synced) {}
    Status SyncData() override {
      Status status = ForwardingFile::SyncData();
      synced_();
      return status;
    }

   private:
    const std::function<void()>& synced_;
  };

  const std::function<void()> synced_;
};

/// Says when somebody begins to wait.
class WaitWatch final : public Executor {
 public:
  WaitWatch(std::unique_ptr<Executor> inner, std::function<void()> waits)
      : inner_(std::move(inner)), waits_(std::move(waits)) {}
  void Post(Task task) override { inner_->Post(std::move(task)); }
  std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override {
    return inner_->PostAfter(delay, std::move(task));
  }
  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override {
    waits_();
    inner_->Await(lock, changed, done);
  }
  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override {
    return inner_->AwaitFor(lock, changed, timeout, done);
  }
  [[nodiscard]] int parallelism() const override { return inner_->parallelism(); }

 private:
  const std::unique_ptr<Executor> inner_;
  const std::function<void()> waits_;
};

/// An event that happens once, though it may be said more often.
class Once {
 public:
  void Happen() {
    if (!happened_.exchange(true)) promise_.set_value();
  }
  void Await() { future_.wait(); }

 private:
  std::atomic<bool> happened_{false};
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

TEST(JournalFlush, WaitsForASyncOfItsOwnWritesWhenAnotherBeganBeforeThem) {
  Once synced;  // the first flush, on the disk
  Once joined;  // the second flush waits, or is through
  std::atomic<bool> first{true};
  JournalWorld world;
  SyncWatch fs(world.fs, [&] {
    if (!first.exchange(false)) return;
    synced.Happen();
    joined.Await();
  });
  WaitWatch executor(NewThreadExecutor("journal", 2), [&] { joined.Happen(); });
  RecordingListener listener;
  ASSERT_OK_AND_ASSIGN(const auto journal, Journal::Open(fs, world.clock, world.seeded, executor,
                                                         JournalWorld::kDirectory, world.key,
                                                         world.identity, world.options));
  ASSERT_OK(journal->StartStream({}, JournalWorld::kVolumeSize, 1, listener));
  const auto append = [&] {
    const auto buffer = std::make_shared<const Bytes>(world.seeded.NewBytes(4096));
    const Journal::Operation operation{
        .kind = format::RecordKind::kWrite, .offset = 0, .length = 4096, .buffer = buffer};
    ASSERT_OK(journal->Append({&operation, 1}));
  };
  append();
  std::thread earlier([&] { EXPECT_OK(journal->Sync()); });
  synced.Await();
  append();
  std::uint64_t durable = 0;
  std::thread later([&] {
    EXPECT_OK(journal->Sync());
    durable = journal->durable_seq();
    joined.Happen();
  });
  earlier.join();
  later.join();
  EXPECT_EQ(durable, 2U);
}

}  // namespace
}  // namespace coffer::cache
