#include "core/base/executor.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/lane.h"
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

struct Lane {
  std::unique_ptr<Executor> starter = NewThreadExecutor("starter", 1);
  std::unique_ptr<Executor> executor = NewLane("lane", 3, *starter);
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

using Worlds = testing::Types<Threads, Lane, Simulated>;
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

/// Of this process, by the name that the executor gave them.
int ThreadsNamed(const std::string& name) {
  int count = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string its;
    std::getline(std::ifstream(thread.path() / "comm"), its);
    if (its.starts_with(name + "/")) ++count;
  }
  return count;
}

void AwaitThreadsNamed(const std::string& name, int count) {
  while (ThreadsNamed(name) != count) std::this_thread::yield();
}

TEST(ThreadExecutor, ThreadsComeWithTasksAndGoWhenIdle) {
  Counter come;
  Counter again;
  const auto kept = NewThreadExecutor("kept", 8);
  const auto lane = NewLane("lane", 8, *kept);
  AwaitThreadsNamed("kept", 1);
  EXPECT_EQ(ThreadsNamed("lane"), 0);
  for (Executor* const executor : {kept.get(), lane.get()}) {
    const int before = come.count();
    for (int i = 0; i < 8; ++i) {
      executor->Post([&come, executor, before] {
        come.Add();
        come.AwaitCount(*executor, before + 8);  // all at once, or none gets through
      });
    }
    come.AwaitCount(*executor, before + 8);
  }
  EXPECT_EQ(ThreadsNamed("lane"), 8);
  // Their time is the system's: what is tested is that it ends.
  AwaitThreadsNamed("lane", 0);
  AwaitThreadsNamed("kept", 1);
  for (Executor* const executor : {kept.get(), lane.get()}) {
    executor->Post([&again] { again.Add(); });
  }
  again.AwaitCount(*kept, 2);
}

TEST(ThreadExecutor, ATimerHasAThreadWhileItIsSetAlone) {
  const auto starter = NewThreadExecutor("starter", 1);
  const auto lane = NewLane("timed", 4, *starter);
  auto timer = lane->PostAfter(hours(1), [] {});
  AwaitThreadsNamed("timed", 1);
  timer.reset();
  AwaitThreadsNamed("timed", 0);
}

TEST(ThreadExecutor, ATimerThatIsDueWhileAllThreadsWorkComesBeforeWhatIsPostedLater) {
  const auto executor = NewThreadExecutor("test", 1);
  Counter begun;
  Counter may_end;
  std::vector<std::string> order;
  executor->Post([&] {
    begun.Add();
    may_end.AwaitCount(*executor, 1);
  });
  begun.AwaitCount(*executor, 1);
  const auto timer = executor->PostAfter(Duration::zero(), [&] { order.emplace_back("timer"); });
  executor->Post([&] {
    order.emplace_back("task");
    begun.Add();
  });
  may_end.Add();
  begun.AwaitCount(*executor, 2);
  EXPECT_EQ(order, (std::vector<std::string>{"timer", "task"}));
}

/// Runs `body` in a process of its own that can be without threads; its exit code.
int InProcessThatMayLackThreads(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;  // root is not held to the limit
    if (geteuid() == 0 && setresuid(kNobody, kNobody, kNobody) != 0) _exit(100);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void SetThreadsMax(rlim_t threads) {
  rlimit limit{};
  getrlimit(RLIMIT_NPROC, &limit);
  limit.rlim_cur = std::min(threads, limit.rlim_max);
  setrlimit(RLIMIT_NPROC, &limit);
}

TEST(ThreadExecutor, WithoutAThreadToBeHadItGoesOnWithThoseThereAre) {
  EXPECT_EQ(InProcessThatMayLackThreads([] {
              const auto executor = NewThreadExecutor("test", 4);
              SetThreadsMax(0);
              Counter counter;
              for (int i = 0; i < 100; ++i) executor->Post([&counter] { counter.Add(); });
              counter.AwaitCount(*executor, 100);
              return 0;
            }),
            0);
}

TEST(ThreadExecutor, ALaneWithoutAThreadStartsOneWhenThereIsOneToBeHad) {
  EXPECT_EQ(InProcessThatMayLackThreads([] {
              const auto starter = NewThreadExecutor("starter", 1);
              // Tries again by a timer: its one thread keeps it, and runs it.
              Counter counter;
              const auto lane = NewLane("test", 4, *starter);
              SetThreadsMax(0);
              for (int i = 0; i < 100; ++i) lane->Post([&counter] { counter.Add(); });
              const auto timer = starter->PostAfter(milliseconds(150), [&] {
                if (counter.count() == 0) SetThreadsMax(RLIM_INFINITY);
              });
              counter.AwaitCount(*starter, 100);
              return 0;
            }),
            0);
}

TEST(ThreadExecutor, ALaneThatNeverHadAThreadRunsWhatIsQueuedAtItsEnd) {
  EXPECT_EQ(InProcessThatMayLackThreads([] {
              const auto starter = NewThreadExecutor("starter", 1);
              int runs = 0;
              auto lane = NewLane("test", 4, *starter);
              SetThreadsMax(0);
              for (int i = 0; i < 100; ++i) lane->Post([&runs] { ++runs; });
              lane.reset();
              return runs == 100 ? 0 : 1;
            }),
            0);
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
