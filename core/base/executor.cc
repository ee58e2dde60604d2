#include "core/base/executor.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/check.h"

namespace coffer {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What CondVar asks of a lock. The analysis cannot see that wait() gives the lock back.
struct WaitableLock {
  MutexLock& lock_held;
  void lock() NO_THREAD_SAFETY_ANALYSIS { lock_held.Lock(); }
  void unlock() NO_THREAD_SAFETY_ANALYSIS { lock_held.Unlock(); }
};

/// A delayed task. Pending → running → done, or pending → cancelled; only Run enters running, only
/// Cancel enters cancelled, and Cancel returns in done or cancelled.
class DelayedTask {
 public:
  explicit DelayedTask(Executor::Task task) : task_(std::move(task)) {}

  void Run() EXCLUDES_LOCK(mutex_) {
    {
      MutexLock lock(mutex_);
      if (state_ != State::kPending) return;
      state_ = State::kRunning;
      runner_ = std::this_thread::get_id();
    }
    task_();
    task_ = nullptr;
    MutexLock lock(mutex_);
    state_ = State::kDone;
    changed_.notify_all();
  }

  void Cancel() EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    if (state_ == State::kPending) state_ = State::kCancelled;
    // A timer destroyed by its own task would wait for itself.
    CHECK(state_ != State::kRunning || runner_ != std::this_thread::get_id());
    WaitableLock waitable{lock};
    while (state_ == State::kRunning) changed_.wait(waitable);
  }

 private:
  enum class State { kPending, kRunning, kDone, kCancelled };

  Mutex mutex_;
  CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::kPending;
  std::thread::id runner_ GUARDED_BY(mutex_);
  Executor::Task task_;  // of the runner alone once running
};

/// Of the calling thread alone: that is what Linux makes of it (setpriority(2), "C library/kernel
/// differences"). Not being allowed to is no harm.
void GiveWay() {
  constexpr int kNicer = 10;
  (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNicer);
}

class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor(const char* name, int threads, ThreadPriority priority) {
    CHECK(threads > 0);
    threads_.reserve(static_cast<std::size_t>(threads));
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, priority] {
        if (priority == ThreadPriority::kBackground) GiveWay();
        RunTasks();
      });
      Name(threads_.back(), std::string(name) + "/" + std::to_string(i));
    }
    timer_thread_ = std::thread([this] { RunTimers(); });
    Name(timer_thread_, std::string(name) + "/timer");
  }

  ~ThreadExecutor() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      ready_.notify_all();
      timers_changed_.notify_all();
    }
    timer_thread_.join();
    for (std::thread& thread : threads_) thread.join();
  }

  void Post(Task task) override EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(task));
    ready_.notify_one();
  }

  std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override EXCLUDES_LOCK(mutex_) {
    auto delayed = std::make_shared<DelayedTask>(std::move(task));
    MutexLock lock(mutex_);
    const auto entry = timers_.emplace(Deadline(delay), delayed);
    if (entry == timers_.begin()) timers_changed_.notify_one();
    return std::make_unique<ThreadTimer>(*this, std::move(delayed));
  }

  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override {
    WaitableLock waitable{lock};
    while (!done()) changed.wait(waitable);
  }

  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override {
    WaitableLock waitable{lock};
    const SteadyTime deadline = Deadline(timeout);
    while (!done()) {
      if (changed.wait_until(waitable, deadline) == std::cv_status::timeout) return done();
    }
    return true;
  }

  [[nodiscard]] int parallelism() const override { return static_cast<int>(threads_.size()); }

 private:
  class ThreadTimer final : public Timer {
   public:
    ThreadTimer(ThreadExecutor& executor, std::shared_ptr<DelayedTask> task)
        : executor_(executor), task_(std::move(task)) {}
    ~ThreadTimer() override {
      executor_.Forget(*task_);
      task_->Cancel();
    }

   private:
    ThreadExecutor& executor_;
    std::shared_ptr<DelayedTask> task_;
  };

  static void Name(std::thread& thread, const std::string& name) {
    pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());  // the kernel's limit
  }

  static SteadyTime Deadline(Duration delay) {
    // Far enough for any wait, near enough that adding never overflows.
    constexpr Duration kLongest = std::chrono::hours(24 * 365);
    return std::chrono::steady_clock::now() + std::clamp(delay, Duration::zero(), kLongest);
  }

  void Forget(const DelayedTask& task) EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    const auto found = std::find_if(timers_.begin(), timers_.end(), [&task](const auto& entry) {
      return entry.second.get() == &task;
    });
    if (found != timers_.end()) timers_.erase(found);
  }

  void RunTasks() EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    WaitableLock waitable{lock};
    while (true) {
      while (queue_.empty() && !stopping_) ready_.wait(waitable);
      if (queue_.empty()) return;
      Task task = std::move(queue_.front());
      queue_.pop_front();
      lock.Unlock();
      task();
      task = nullptr;  // what it captured may post or lock in its destructor
      lock.Lock();
    }
  }

  void RunTimers() EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    WaitableLock waitable{lock};
    while (!stopping_) {
      if (timers_.empty()) {
        timers_changed_.wait(waitable);
        continue;
      }
      const auto first = timers_.begin();
      const SteadyTime due = first->first;
      if (due > std::chrono::steady_clock::now()) {
        timers_changed_.wait_until(waitable, due);
        continue;
      }
      queue_.push_back([task = first->second] { task->Run(); });
      timers_.erase(first);
      ready_.notify_one();
    }
  }

  Mutex mutex_;
  CondVar ready_;
  CondVar timers_changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::deque<Task> queue_ GUARDED_BY(mutex_);
  std::multimap<SteadyTime, std::shared_ptr<DelayedTask>> timers_ GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
  std::thread timer_thread_;
};

/// Shared by the caller of ParallelFor and its helpers; a helper that starts late finds no index
/// left and never touches `body`, which may be gone by then.
struct ParallelRun {
  std::size_t count;
  const std::function<void(std::size_t)>* body;
  std::atomic<std::size_t> next{0};
  Mutex mutex;
  CondVar changed;
  std::size_t done GUARDED_BY(mutex) = 0;

  void Work() EXCLUDES_LOCK(mutex) {
    std::size_t finished = 0;
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      (*body)(i);
      ++finished;
    }
    if (finished == 0) return;
    MutexLock lock(mutex);
    done += finished;
    changed.notify_all();
  }
};

}  // namespace

std::unique_ptr<Executor> NewThreadExecutor(const char* name, int threads,
                                            ThreadPriority priority) {
  return std::make_unique<ThreadExecutor>(name, threads, priority);
}

void ParallelFor(Executor& executor, std::size_t count,
                 const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  auto run = std::make_shared<ParallelRun>();
  run->count = count;
  run->body = &body;
  const std::size_t helpers = std::min(count - 1, static_cast<std::size_t>(executor.parallelism()));
  for (std::size_t i = 0; i < helpers; ++i) executor.Post([run] { run->Work(); });
  run->Work();
  MutexLock lock(run->mutex);
  executor.Await(lock, run->changed,
                 [&run]() NO_THREAD_SAFETY_ANALYSIS { return run->done == run->count; });
}

}  // namespace coffer
