// The whole program on one thread, in virtual time, in an order that a seed decides: a run replays
// from its seed.
//
// A SimScheduler holds ready tasks and timers of all its executors. Whoever waits (Await) runs
// them, one at a time, until what he waits for holds; when none is ready the FakeClock jumps to the
// next timer. Waiting tasks stand on each other's stack, so one must not wait for what lies below
// it: executors have a level, and a waiting task runs only tasks of lower levels ("sync above
// work", core/README.md); the test itself stands above all. A wait that can never end aborts and
// says so.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/executor.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace coffer {

/// Used by one thread only (checked).
class SimScheduler {
 public:
  SimScheduler(FakeClock& clock, std::uint64_t seed) : clock_(clock), random_(seed) {}

  /// Runs one ready task of a level below `level`; false if there is none.
  bool RunOne(int level = kTestLevel);
  /// Runs until nothing is ready; time stands still.
  void RunUntilIdle();
  /// Runs everything that happens in the next `duration`, then leaves the clock there.
  void RunFor(Duration duration);

  [[nodiscard]] std::size_t ready_count() const { return ready_.size(); }
  [[nodiscard]] std::size_t timer_count() const { return timers_.size(); }
  /// Changes with every choice made and the virtual time of it: equal runs have equal digests.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  static constexpr int kTestLevel = std::numeric_limits<int>::max();

 private:
  friend class SimExecutor;
  class SimTimer;
  enum class TimerState { kPending, kQueued, kRunning, kDone, kForgotten };

  struct Ready {
    int level;
    Executor::Task task;
  };
  /// A delayed task; the executor's Timer and the queues share it.
  struct Delayed {
    MonotonicTime due;
    std::uint64_t number;  // of its making: equal times keep that order until the seed mixes them
    int level;
    Executor::Task task;
    TimerState state = TimerState::kPending;
  };

  void Post(int level, Executor::Task task);
  std::shared_ptr<Delayed> PostAfter(int level, Duration delay, Executor::Task task);
  /// The analysis cannot know which mutex `lock` holds.
  bool Wait(MutexLock& lock, const std::function<bool()>& done,
            MonotonicTime deadline) NO_THREAD_SAFETY_ANALYSIS;
  void QueueDueTimers();
  [[nodiscard]] std::shared_ptr<Delayed> NextTimer(int level) const;
  void CheckThread() const;

  FakeClock& clock_;
  SeededRandom random_;
  const std::thread::id thread_ = std::this_thread::get_id();
  std::vector<Ready> ready_;
  std::vector<std::shared_ptr<Delayed>> timers_;
  int running_level_ = kTestLevel;
  std::uint64_t timers_made_ = 0;
  std::uint64_t digest_ = 14695981039346656037U;
};

class SimExecutor final : public Executor {
 public:
  /// One of several: give those that wait for others the higher level.
  SimExecutor(SimScheduler& scheduler, int level) : scheduler_(scheduler), level_(level) {}
  /// The only one: with a scheduler of its own.
  SimExecutor(FakeClock& clock, std::uint64_t seed)
      : own_(std::make_unique<SimScheduler>(clock, seed)), scheduler_(*own_), level_(0) {}

  void Post(Task task) override { scheduler_.Post(level_, std::move(task)); }
  [[nodiscard]] std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override;
  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override;
  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override;
  [[nodiscard]] int parallelism() const override { return 1; }

  [[nodiscard]] SimScheduler& scheduler() { return scheduler_; }

 private:
  std::unique_ptr<SimScheduler> own_;
  SimScheduler& scheduler_;
  const int level_;
};

}  // namespace coffer
