#include "core/store/deadline_store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/store/memory_store.h"
#include "core/store/retrying_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Shared with a store that may be stuck for longer than the test's other things live.
struct Gate {
  Mutex mutex;
  CondVar changed;
  bool shut GUARDED_BY(mutex) = false;
  int inside GUARDED_BY(mutex) = 0;   // calls that wait
  Duration step GUARDED_BY(mutex){};  // of the fake clock, again and again while a call is stuck

  void Pass() {
    MutexLock lock(mutex);
    ++inside;
    changed.notify_all();
    AwaitLocked(lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return !shut; });
    --inside;
    changed.notify_all();
  }
  void Set(bool now_shut) {
    MutexLock lock(mutex);
    shut = now_shut;
    changed.notify_all();
  }
  void AwaitInside(int count) {
    MutexLock lock(mutex);
    AwaitLocked(lock, [this, count]() NO_THREAD_SAFETY_ANALYSIS { return inside == count; });
  }

 private:
  struct Waitable {
    Mutex& held;
    void lock() NO_THREAD_SAFETY_ANALYSIS { held.lock(); }
    void unlock() NO_THREAD_SAFETY_ANALYSIS { held.unlock(); }
  };
  void AwaitLocked(MutexLock&, const std::function<bool()>& done) NO_THREAD_SAFETY_ANALYSIS {
    Waitable waitable{mutex};
    while (!done()) changed.wait(waitable);
  }
};

/// Waits until the fake clock says that it is time, however busy the machine; time passes while a
/// call is stuck, if it shall.
class FakeTimeExecutor final : public Executor {
 public:
  FakeTimeExecutor(FakeClock& clock, Gate& gate) : clock_(clock), gate_(gate) {}
  void Post(Task task) override { threads_->Post(std::move(task)); }
  std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override {
    return threads_->PostAfter(delay, std::move(task));
  }
  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override {
    threads_->Await(lock, changed, done);
  }
  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override {
    const MonotonicTime end = clock_.Now() + timeout;
    const auto over = [&] { return done() || clock_.Now() >= end; };
    while (!threads_->AwaitFor(lock, changed, milliseconds(1), over)) {
      MutexLock gate_lock(gate_.mutex);
      if (gate_.shut && gate_.inside > 0) clock_.Advance(gate_.step);
    }
    return done();
  }
  [[nodiscard]] int parallelism() const override { return threads_->parallelism(); }

 private:
  FakeClock& clock_;
  Gate& gate_;
  const std::unique_ptr<Executor> threads_ = NewThreadExecutor("test", 1);
};

/// Every call stays in the gate while it is shut, as in a file system that is stopped.
class GatedStore final : public ObjectStore {
 public:
  explicit GatedStore(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override {
    gate_->Pass();
    return inner_.Create(context, name, data, object_class);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    gate_->Pass();
    return inner_.Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    gate_->Pass();
    return inner_.GetRange(context, name, offset, length);
  }
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override {
    gate_->Pass();
    return inner_.List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    gate_->Pass();
    return inner_.Delete(context, name);
  }
  [[nodiscard]] StoreCapabilities capabilities() const override { return inner_.capabilities(); }
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return "gated"; }

 private:
  const std::shared_ptr<Gate> gate_;
  MemoryStore inner_;
};

/// One whose calls end when they are told to, as those of a network can.
class ObedientStore final : public ObjectStore {
 public:
  struct Seen {
    Mutex mutex;
    CondVar changed;
    RequestContext context GUARDED_BY(mutex);
    bool asked GUARDED_BY(mutex) = false;
    bool stopped GUARDED_BY(mutex) = false;
  };
  explicit ObedientStore(std::shared_ptr<Seen> seen) : seen_(std::move(seen)) {}
  Status Create(const RequestContext& context, const std::string& /*name*/, ByteView /*data*/,
                ObjectClass /*object_class*/) override {
    return AwaitStop(context);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& /*name*/,
                    std::uint64_t /*size_max*/) override {
    return Fail(AwaitStop(context).error());
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& /*name*/,
                         std::uint64_t /*offset*/, std::uint64_t /*length*/) override {
    return Fail(AwaitStop(context).error());
  }
  Result<ListPage> List(const RequestContext& context, const std::string& /*prefix*/,
                        const std::string& /*start_after*/, std::size_t /*limit*/) override {
    return Fail(AwaitStop(context).error());
  }
  Status Delete(const RequestContext& context, const std::string& /*name*/) override {
    return AwaitStop(context);
  }
  [[nodiscard]] StoreCapabilities capabilities() const override { return {}; }
  [[nodiscard]] std::string identity() const override { return "obedient"; }
  [[nodiscard]] std::string description() const override { return "obedient"; }

 private:
  Status AwaitStop(const RequestContext& context) NO_THREAD_SAFETY_ANALYSIS {
    Seen& seen = *seen_;
    const std::stop_callback wake(context.cancel, [&seen] {
      const MutexLock lock(seen.mutex);
      seen.stopped = true;
      seen.changed.notify_all();
    });
    MutexLock lock(seen.mutex);
    seen.context = context;
    seen.asked = true;
    seen.changed.notify_all();
    const std::unique_ptr<Executor> waiting = NewThreadExecutor("wait", 1);
    waiting->Await(lock, seen.changed, [&]() NO_THREAD_SAFETY_ANALYSIS { return seen.stopped; });
    return Fail(ErrorCode::kCancelled, "told to stop");
  }

  const std::shared_ptr<Seen> seen_;
};

class DeadlineStoreTest : public testing::Test {
 protected:
  // No thread of the store may be inside for longer than what it stands on.
  ~DeadlineStoreTest() override {
    gate_->Set(false);
    gate_->AwaitInside(0);
  }

  void Open(DeadlineOptions options) {
    ASSERT_OK_AND_ASSIGN(store_, DeadlineStore::Open(
                                     "gated",
                                     [gate = gate_]() -> Result<std::unique_ptr<ObjectStore>> {
                                       gate->Pass();
                                       return std::make_unique<GatedStore>(gate);
                                     },
                                     clock_, executor_, control_, options));
  }
  void PassTime(Duration step) {
    MutexLock lock(gate_->mutex);
    gate_->step = step;
  }
  Status Put(const std::string& name, std::string_view text) {
    return store_->Create({}, name, AsBytes(text), ObjectClass::kData);
  }

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  FakeClock clock_;
  FakeTimeExecutor executor_{clock_, *gate_};
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  std::unique_ptr<DeadlineStore> store_;
};

TEST_F(DeadlineStoreTest, WhatIsAnsweredPassesThrough) {
  Open({});
  ASSERT_OK(Put("packs/a", "bytes"));
  EXPECT_FAILS(Put("packs/a", "other"), kAlreadyExists);
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store_->Get({}, "packs/a", 100));
  EXPECT_EQ(AsText(whole), "bytes");
  ASSERT_OK_AND_ASSIGN(const Bytes part, store_->GetRange({}, "packs/a", 1, 2));
  EXPECT_EQ(AsText(part), "yt");
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "packs/", "", 10));
  EXPECT_EQ(page.names(), std::vector<std::string>{"packs/a"});
  ASSERT_OK(store_->Delete({}, "packs/a"));
  EXPECT_FAILS(store_->Delete({}, "packs/a"), kNotFound);
}

TEST_F(DeadlineStoreTest, WhoStopsARequestIsLetGoAndTheStoreBelowIsToldToStop) {
  const auto seen = std::make_shared<ObedientStore::Seen>();
  ASSERT_OK_AND_ASSIGN(const auto store,
                       DeadlineStore::Open("obedient",
                                           [seen]() -> Result<std::unique_ptr<ObjectStore>> {
                                             return std::make_unique<ObedientStore>(seen);
                                           },
                                           clock_, executor_, control_, {.call_max = seconds(20)}));
  std::stop_source stop;
  const MonotonicTime deadline = clock_.Now() + seconds(7);
  std::thread stopper([&]() NO_THREAD_SAFETY_ANALYSIS {
    MutexLock lock(seen->mutex);
    executor_.Await(lock, seen->changed, [&]() NO_THREAD_SAFETY_ANALYSIS { return seen->asked; });
    lock.Unlock();
    stop.request_stop();
  });
  EXPECT_FAILS(
      store->Get({.priority = Priority::kRead, .deadline = deadline, .cancel = stop.get_token()},
                 "packs/a", 10),
      kCancelled);
  stopper.join();
  MutexLock lock(seen->mutex);
  executor_.Await(lock, seen->changed, [&]() NO_THREAD_SAFETY_ANALYSIS { return seen->stopped; });
  EXPECT_EQ(seen->context.priority, Priority::kRead);
  EXPECT_EQ(seen->context.deadline, deadline);
}

TEST_F(DeadlineStoreTest, ARequestsOwnDeadlineCountsWhereItIsSooner) {
  Open({.call_max = seconds(20)});
  gate_->Set(true);
  PassTime(seconds(1));
  const MonotonicTime begin = clock_.Now();
  EXPECT_FAILS(store_->Get({.deadline = begin + seconds(3)}, "packs/a", 10), kUnavailable);
  EXPECT_LE(clock_.Now() - begin, seconds(5));
}

TEST_F(DeadlineStoreTest, ACallThatDoesNotReturnIsLeftAtItsDeadline) {
  Open({.call_max = seconds(20)});
  ASSERT_OK(Put("packs/a", "bytes"));
  gate_->Set(true);
  PassTime(seconds(20));
  EXPECT_FAILS(store_->Get({}, "packs/a", 100), kUnavailable);
  EXPECT_FAILS(Put("packs/b", "late"), kUnavailable);
  gate_->Set(false);
  gate_->AwaitInside(0);
  // The store answers again, and what was given up has happened all the same.
  ASSERT_OK(store_->Get({}, "packs/a", 100));
  EXPECT_FAILS(Put("packs/b", "late"), kAlreadyExists);
}

TEST_F(DeadlineStoreTest, AStoreThatHangsCostsSoManyThreadsAndNoMore) {
  Open({.call_max = seconds(5), .stuck_max = 3});
  gate_->Set(true);
  PassTime(seconds(5));
  for (int i = 0; i < 20; ++i) EXPECT_FAILS(store_->Delete({}, "packs/a"), kUnavailable);
  gate_->AwaitInside(3);
}

TEST_F(DeadlineStoreTest, WhoWaitsIsLetGoWhenCancelledAndNothingIsBegunThen) {
  Open({.call_max = hours(1)});
  gate_->Set(true);
  std::thread caller([this] { EXPECT_FAILS(store_->Get({}, "packs/a", 100), kCancelled); });
  gate_->AwaitInside(1);
  control_->Cancel();
  caller.join();
  EXPECT_FAILS(store_->List({}, "", "", 1), kCancelled);
}

TEST_F(DeadlineStoreTest, WhileSomebodyHurriesNobodyWaitsForLong) {
  Open({.call_max = hours(1), .hurried_max = seconds(5)});
  ASSERT_OK(Put("packs/a", "bytes"));
  gate_->Set(true);
  std::thread caller([this] { EXPECT_FAILS(store_->Get({}, "packs/a", 100), kUnavailable); });
  gate_->AwaitInside(1);
  {
    const Hurry hurry(control_);
    PassTime(seconds(5));
    caller.join();
    EXPECT_FAILS(store_->Get({}, "packs/a", 100), kUnavailable);
  }
  gate_->Set(false);
  ASSERT_OK(store_->Get({}, "packs/a", 100));
}

TEST_F(DeadlineStoreTest, NothingIsRepeatedWhileSomebodyHurries) {
  Open({.call_max = seconds(5)});
  PassTime(seconds(5));
  SystemRandom random;
  RetryingStore retrying(std::move(store_), clock_, executor_, random,
                         {.wait_first_max = hours(1), .wait_max = hours(1), .total_max = hours(9)},
                         control_);
  gate_->Set(true);
  std::thread caller([&] { EXPECT_FAILS(retrying.Get({}, "packs/a", 100), kUnavailable); });
  gate_->AwaitInside(1);
  const Hurry hurry(control_);
  caller.join();
}

TEST_F(DeadlineStoreTest, OpeningIsACallToo) {
  gate_->Set(true);
  PassTime(seconds(5));
  const auto opened = DeadlineStore::Open("gated",
                                          [gate = gate_]() -> Result<std::unique_ptr<ObjectStore>> {
                                            gate->Pass();
                                            return std::make_unique<GatedStore>(gate);
                                          },
                                          clock_, executor_, control_, {.call_max = seconds(5)});
  EXPECT_FAILS(opened, kUnavailable);
  gate_->AwaitInside(1);
}

TEST_F(DeadlineStoreTest, AStuckCallOutlivesItsStore) {
  Open({.call_max = seconds(5)});
  gate_->Set(true);
  PassTime(seconds(5));
  EXPECT_FAILS(Put("packs/a", "bytes"), kUnavailable);
  store_.reset();  // the sanitizers tell if the thread still uses it
  gate_->Set(false);
  gate_->AwaitInside(0);
}

}  // namespace
}  // namespace coffer::store
