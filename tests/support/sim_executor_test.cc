// What only the simulated executor does; what all executors do is in tests/base/executor_test.cc.
#include "tests/support/sim_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace coffer {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// A flag that one sets and others wait for.
class Event {
 public:
  void Set() {
    MutexLock lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  void Await(Executor& executor) {
    MutexLock lock(mutex_);
    executor.Await(lock, changed_, [this]() REQUIRES_LOCK(mutex_) { return set_; });
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ GUARDED_BY(mutex_) = false;
};

std::string OrderOf(std::uint64_t seed, std::uint64_t* digest) {
  FakeClock clock;
  SimExecutor executor(clock, seed);
  std::string order;
  for (char c = 'a'; c <= 'h'; ++c) executor.Post([&order, c] { order.push_back(c); });
  executor.scheduler().RunUntilIdle();
  *digest = executor.scheduler().digest();
  return order;
}

TEST(SimExecutor, TheSeedDecidesTheOrder) {
  std::uint64_t digest = 0;
  std::uint64_t other = 0;
  const std::string order = OrderOf(3, &digest);
  EXPECT_EQ(order, OrderOf(3, &other));
  EXPECT_EQ(digest, other);
  EXPECT_EQ(order.size(), 8U);
  EXPECT_NE(order, OrderOf(4, &other));
  EXPECT_NE(digest, other);
}

TEST(SimExecutor, PostNeverRunsTheTaskAtOnce) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  bool ran = false;
  executor.Post([&ran] { ran = true; });
  EXPECT_FALSE(ran);
  executor.scheduler().RunUntilIdle();
  EXPECT_TRUE(ran);
}

TEST(SimExecutor, WaitingMovesTheClockToTheNextTimer) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  const MonotonicTime start = clock.Now();
  Event rang;
  const auto late = executor.PostAfter(hours(2), [&rang] { rang.Set(); });
  Duration at{};
  const auto early = executor.PostAfter(seconds(5), [&] { at = clock.Now() - start; });
  rang.Await(executor);
  EXPECT_EQ(at, Duration(seconds(5)));
  EXPECT_EQ(clock.Now() - start, Duration(hours(2)));
}

TEST(SimExecutor, TimersComeWithTheClockOfTheTest) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  int rings = 0;
  const auto timer = executor.PostAfter(seconds(10), [&rings] { ++rings; });
  executor.scheduler().RunUntilIdle();
  EXPECT_EQ(rings, 0);
  clock.Advance(seconds(10));
  executor.scheduler().RunUntilIdle();
  EXPECT_EQ(rings, 1);
}

TEST(SimExecutor, RunForStopsAtItsEnd) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  const MonotonicTime start = clock.Now();
  int rings = 0;
  std::unique_ptr<Executor::Timer> next;
  const auto first = executor.PostAfter(seconds(1), [&] {
    ++rings;
    next = executor.PostAfter(seconds(1), [&rings] { ++rings; });
  });
  const auto never = executor.PostAfter(seconds(11), [&rings] { rings += 100; });
  executor.scheduler().RunFor(seconds(10));
  EXPECT_EQ(rings, 2);
  EXPECT_EQ(clock.Now() - start, Duration(seconds(10)));
  EXPECT_EQ(executor.scheduler().timer_count(), 1U);
}

TEST(SimExecutor, AQueuedTimerCanStillBeForgotten) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  int rings = 0;
  std::unique_ptr<Executor::Timer> a;
  std::unique_ptr<Executor::Timer> b;
  a = executor.PostAfter(seconds(1), [&] {
    ++rings;
    b.reset();
  });
  b = executor.PostAfter(seconds(1), [&] {
    ++rings;
    a.reset();
  });
  executor.scheduler().RunFor(seconds(2));
  EXPECT_EQ(rings, 1);  // whichever came first forgot the other
}

TEST(SimExecutor, TasksOfTheSameLevelWaitTheirTurn) {
  FakeClock clock;
  SimScheduler scheduler(clock, 1);
  SimExecutor sync(scheduler, 2);
  SimExecutor work(scheduler, 1);
  int depth = 0;
  int deepest = 0;
  int done = 0;
  for (int i = 0; i < 10; ++i) {
    sync.Post([&] {
      deepest = std::max(deepest, ++depth);
      Event worked;
      work.Post([&worked] { worked.Set(); });
      worked.Await(work);
      --depth;
      ++done;
    });
  }
  scheduler.RunUntilIdle();
  EXPECT_EQ(done, 10);
  EXPECT_EQ(deepest, 1);
}

TEST(SimExecutorDeathTest, AWaitWithoutEndSaysSo) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  Event never;
  EXPECT_DEATH(never.Await(executor), "this Await never ends");
}

TEST(SimExecutorDeathTest, WaitingForOnesOwnLevelIsFound) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  executor.Post([&executor] {
    Event set_by_equal;
    executor.Post([&set_by_equal] { set_by_equal.Set(); });
    set_by_equal.Await(executor);
  });
  EXPECT_DEATH(executor.scheduler().RunUntilIdle(), "1 ready tasks .* of its own level");
}

}  // namespace
}  // namespace coffer
