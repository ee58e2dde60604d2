#include "core/base/executor.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/sim_executor.h"

namespace coffer {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// Counts, and lets a test wait for a count.
class Counter {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void AwaitCount(Executor& executor, int count) {
    MutexLock lock(mutex_);
    executor.Await(lock, changed_,
                   [this, count]() REQUIRES_LOCK(mutex_) { return count_ >= count; });
  }
  bool AwaitCountFor(Executor& executor, Duration timeout, int count) {
    MutexLock lock(mutex_);
    return executor.AwaitFor(lock, changed_, timeout,
                             [this, count]() REQUIRES_LOCK(mutex_) { return count_ >= count; });
  }
  int count() {
    MutexLock lock(mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ GUARDED_BY(mutex_) = 0;
};

struct Threads {
  std::unique_ptr<Executor> executor = NewThreadExecutor("test", 3);
};

struct Simulated {
  FakeClock clock;
  std::unique_ptr<Executor> executor = std::make_unique<SimExecutor>(clock, 5);
};

/// What both executors do.
template <class World>
class ExecutorConformance : public testing::Test {
 protected:
  Executor& executor() { return *world_.executor; }

 private:
  World world_;
};

using Worlds = testing::Types<Threads, Simulated>;
TYPED_TEST_SUITE(ExecutorConformance, Worlds);

TYPED_TEST(ExecutorConformance, AwaitSeesEveryPostedTask) {
  Counter counter;
  for (int i = 0; i < 1000; ++i) this->executor().Post([&counter] { counter.Add(); });
  counter.AwaitCount(this->executor(), 1000);
  EXPECT_EQ(counter.count(), 1000);
}

TYPED_TEST(ExecutorConformance, TasksPostTasks) {
  Counter counter;
  Executor& executor = this->executor();
  executor.Post([&] {
    counter.Add();
    executor.Post([&counter] { counter.Add(); });
  });
  counter.AwaitCount(executor, 2);
}

TYPED_TEST(ExecutorConformance, TimersRunOnce) {
  Counter counter;
  const auto timer = this->executor().PostAfter(milliseconds(2), [&counter] { counter.Add(); });
  const auto later = this->executor().PostAfter(milliseconds(5), [&counter] { counter.Add(); });
  counter.AwaitCount(this->executor(), 2);
  EXPECT_EQ(counter.count(), 2);
}

TYPED_TEST(ExecutorConformance, AForgottenTimerNeverRuns) {
  Counter counter;
  {
    const auto timer = this->executor().PostAfter(hours(1), [&counter] { counter.Add(); });
    const auto soon = this->executor().PostAfter(Duration::zero(), [] {});
  }
  EXPECT_FALSE(counter.AwaitCountFor(this->executor(), milliseconds(5), 1));
}

TYPED_TEST(ExecutorConformance, AwaitForGivesUp) {
  Counter counter;
  EXPECT_FALSE(counter.AwaitCountFor(this->executor(), milliseconds(1), 1));
  EXPECT_FALSE(counter.AwaitCountFor(this->executor(), Duration::zero(), 1));
  counter.Add();
  EXPECT_TRUE(counter.AwaitCountFor(this->executor(), Duration::zero(), 1));
  this->executor().Post([&counter] { counter.Add(); });
  EXPECT_TRUE(counter.AwaitCountFor(this->executor(), Duration::max(), 2));
}

TYPED_TEST(ExecutorConformance, ParallelForRunsEachIndexOnce) {
  for (const std::size_t count : {0U, 1U, 2U, 100U}) {
    std::vector<std::atomic<int>> runs(count);
    ParallelFor(this->executor(), count, [&runs](std::size_t i) { ++runs[i]; });
    for (const auto& run : runs) EXPECT_EQ(run, 1);
  }
}

// Threads only.

TEST(ThreadExecutor, RunsWhatIsQueuedBeforeItGoes) {
  Counter counter;
  {
    const auto executor = NewThreadExecutor("test", 2);
    for (int i = 0; i < 100; ++i) executor->Post([&counter] { counter.Add(); });
  }
  EXPECT_EQ(counter.count(), 100);
}

TEST(ThreadExecutor, BackgroundThreadsGiveWay) {
  const int mine = getpriority(PRIO_PROCESS, 0);
  int normal = -100;
  int background = -100;
  // Their ends wait for what is queued.
  NewThreadExecutor("test", 1)->Post([&] { normal = getpriority(PRIO_PROCESS, 0); });
  NewThreadExecutor("test", 1, ThreadPriority::kBackground)->Post([&] {
    background = getpriority(PRIO_PROCESS, 0);
  });
  EXPECT_EQ(normal, mine);
  EXPECT_EQ(background, std::min(19, mine + 10));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), mine);
}

TEST(ThreadExecutor, ForgettingATimerWaitsForItsTask) {
  const auto executor = NewThreadExecutor("test", 2);
  for (int i = 0; i < 50; ++i) {
    std::atomic<int> running{0};
    Counter started;
    {
      const auto timer = executor->PostAfter(Duration::zero(), [&] {
        running = 1;
        started.Add();
        std::this_thread::yield();
        running = 2;
      });
      started.AwaitCount(*executor, 1);
    }
    EXPECT_EQ(running, 2);
  }
}

TEST(ThreadExecutor, TimersMayBeForgottenAtAnyMoment) {
  const auto executor = NewThreadExecutor("test", 2);
  for (int i = 0; i < 500; ++i) {
    auto value = std::make_unique<int>(0);
    auto timer = executor->PostAfter(std::chrono::microseconds(i % 50), [&value] { ++*value; });
    if (i % 3 == 0) std::this_thread::yield();
    timer.reset();
    value.reset();  // used by nobody any more: the sanitizers would tell
  }
}

TEST(ThreadExecutor, ParallelForUsesItsThreads) {
  const auto executor = NewThreadExecutor("test", 3);
  // Each body waits for all four to have come: only four threads at once get through.
  Counter come;
  ParallelFor(*executor, 4, [&](std::size_t) {
    come.Add();
    come.AwaitCount(*executor, 4);
  });
  EXPECT_EQ(come.count(), 4);
  EXPECT_EQ(executor->parallelism(), 3);
}

TEST(ThreadExecutor, ParallelForNestsInItsOwnTasks) {
  const auto executor = NewThreadExecutor("test", 2);
  std::atomic<int> runs{0};
  ParallelFor(*executor, 8,
              [&](std::size_t) { ParallelFor(*executor, 8, [&runs](std::size_t) { ++runs; }); });
  EXPECT_EQ(runs, 64);
}

TEST(ThreadExecutor, PostIsSafeFromManyThreads) {
  const auto executor = NewThreadExecutor("test", 2);
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) executor->Post([&counter] { counter.Add(); });
    });
  }
  counter.AwaitCount(*executor, 1000);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace coffer
