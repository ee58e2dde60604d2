#include "tests/support/sim_executor.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer {
namespace {

std::uint64_t Mix(std::uint64_t digest, std::uint64_t value) {
  return (digest ^ value) * 1099511628211U;  // FNV-1a, a word at a time
}

}  // namespace

class SimScheduler::SimTimer final : public Executor::Timer {
 public:
  SimTimer(SimScheduler& scheduler, std::shared_ptr<Delayed> delayed)
      : scheduler_(scheduler), delayed_(std::move(delayed)) {}

  ~SimTimer() override {
    CHECK(delayed_->state != TimerState::kRunning);  // destroyed by its own task, or below it
    if (delayed_->state == TimerState::kDone) return;
    delayed_->state = TimerState::kForgotten;
    delayed_->task = nullptr;
    std::erase(scheduler_.timers_, delayed_);
  }

 private:
  SimScheduler& scheduler_;
  std::shared_ptr<Delayed> delayed_;
};

void SimScheduler::CheckThread() const { CHECK(std::this_thread::get_id() == thread_); }

void SimScheduler::Post(int level, Executor::Task task) {
  CheckThread();
  ready_.push_back({level, std::move(task)});
}

std::shared_ptr<SimScheduler::Delayed> SimScheduler::PostAfter(int level, Duration delay,
                                                               Executor::Task task) {
  CheckThread();
  auto delayed = std::make_shared<Delayed>();
  delayed->due = clock_.Now() + std::max(delay, Duration::zero());
  delayed->number = ++timers_made_;
  delayed->level = level;
  delayed->task = std::move(task);
  timers_.push_back(delayed);
  return delayed;
}

void SimScheduler::QueueDueTimers() {
  std::vector<std::shared_ptr<Delayed>> due;
  for (const auto& timer : timers_) {
    if (timer->due <= clock_.Now()) due.push_back(timer);
  }
  std::erase_if(timers_, [this](const auto& timer) { return timer->due <= clock_.Now(); });
  std::sort(due.begin(), due.end(), [](const auto& a, const auto& b) {
    return std::pair(a->due, a->number) < std::pair(b->due, b->number);
  });
  for (const auto& timer : due) {
    timer->state = TimerState::kQueued;
    ready_.push_back({timer->level, [timer] {
                        if (timer->state != TimerState::kQueued) return;
                        timer->state = TimerState::kRunning;
                        timer->task();
                        timer->task = nullptr;
                        timer->state = TimerState::kDone;
                      }});
  }
}

bool SimScheduler::RunOne(int level) {
  CheckThread();
  QueueDueTimers();
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    if (ready_[i].level < level) candidates.push_back(i);
  }
  if (candidates.empty()) return false;
  const std::size_t chosen = candidates[random_.Below(candidates.size())];
  digest_ = Mix(Mix(digest_, chosen),
                static_cast<std::uint64_t>(clock_.Now().time_since_epoch().count()));
  Ready ready = std::move(ready_[chosen]);
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(chosen));
  const int outer = std::exchange(running_level_, ready.level);
  ready.task();
  running_level_ = outer;
  return true;
}

std::shared_ptr<SimScheduler::Delayed> SimScheduler::NextTimer(int level) const {
  std::shared_ptr<Delayed> next;
  for (const auto& timer : timers_) {
    if (timer->level < level && (next == nullptr || timer->due < next->due)) next = timer;
  }
  return next;
}

void SimScheduler::RunUntilIdle() {
  while (RunOne()) {
  }
}

void SimScheduler::RunFor(Duration duration) {
  const MonotonicTime end = clock_.Now() + duration;
  while (true) {
    RunUntilIdle();
    const auto next = NextTimer(kTestLevel);
    if (next == nullptr || next->due > end) break;
    clock_.AdvanceTo(next->due);
  }
  clock_.AdvanceTo(end);
  RunUntilIdle();
}

bool SimScheduler::Wait(MutexLock& lock, const std::function<bool()>& done,
                        MonotonicTime deadline) {
  CheckThread();
  const int level = running_level_;
  while (!done()) {
    if (clock_.Now() >= deadline) return false;
    lock.Unlock();
    if (!RunOne(level)) {
      const auto next = NextTimer(level);
      if (next == nullptr && deadline == MonotonicTime::max()) {
        const std::string waiting =
            Concat("this Await never ends: nothing it may run is left (", ready_.size(),
                   " ready tasks and ", timers_.size(), " timers are of its own level or above)");
        CheckFailed(__FILE__, __LINE__, waiting.c_str());
      }
      clock_.AdvanceTo(next == nullptr ? deadline : std::min(next->due, deadline));
    }
    lock.Lock();
  }
  return true;
}

std::unique_ptr<Executor::Timer> SimExecutor::PostAfter(Duration delay, Task task) {
  return std::make_unique<SimScheduler::SimTimer>(
      scheduler_, scheduler_.PostAfter(level_, delay, std::move(task)));
}

void SimExecutor::Await(MutexLock& lock, CondVar&, const std::function<bool()>& done) {
  scheduler_.Wait(lock, done, MonotonicTime::max());
}

bool SimExecutor::AwaitFor(MutexLock& lock, CondVar&, Duration timeout,
                           const std::function<bool()>& done) {
  const MonotonicTime now = scheduler_.clock_.Now();
  // "For ever" must not overflow; it is no deadlock to be told of either, but a jump of the clock.
  const Duration longest = MonotonicTime::max() - now - Duration(1);
  return scheduler_.Wait(lock, done, now + std::clamp(timeout, Duration::zero(), longest)) ||
         done();
}

}  // namespace coffer
