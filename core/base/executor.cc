#include "core/base/executor.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/lane.h"
#include "core/base/log.h"

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

/// Threads come as tasks do, and go when idle. One idle thread, the keeper, wakes for the next
/// timer; while timers are set there is one, unless all threads work: then the first to be done
/// looks. Idle threads are a stack: the one that worked last works next, those below it come to
/// their end.
///
/// A thread works <-> is idle -> ended (joined by the next one to end, or by the destructor).
/// Invariants: who is on `idle_` waits and is not woken; `keeper_` is null or on `idle_`; a task on
/// `queue_` has a thread woken or started for it, or all work, or `retries_` has a timer set.
class ThreadExecutor final : public Executor {
 public:
  /// With a `starter` no thread stays.
  ThreadExecutor(std::string name, int threads, ThreadPriority priority, Executor* starter)
      : name_(std::move(name)),
        threads_max_(static_cast<std::size_t>(threads)),
        threads_kept_(starter == nullptr ? 1 : 0),
        priority_(priority),
        starter_(starter) {
    CHECK(threads > 0);
    MutexLock lock(mutex_);
    if (threads_kept_ > 0) CHECK(StartThreadLocked());
  }

  ~ThreadExecutor() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      while (!idle_.empty()) WakeLocked();
    }
    for (auto& retry : retries_) retry.reset();
    while (JoinOne()) {
    }
    RunTasks(std::nullopt);  // what is left where no thread could be had
  }

  void Post(Task task) override EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    for (std::size_t due = QueueDueTimersLocked(); due > 0; --due) SummonLocked();
    queue_.push_back(std::move(task));
    SummonLocked();
  }

  std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override EXCLUDES_LOCK(mutex_) {
    auto delayed = std::make_shared<DelayedTask>(std::move(task));
    MutexLock lock(mutex_);
    const auto entry = timers_.emplace(Deadline(delay), delayed);
    if (keeper_ != nullptr && entry == timers_.begin()) keeper_->changed.notify_one();
    EnsureKeeperLocked();
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

  [[nodiscard]] int parallelism() const override { return static_cast<int>(threads_max_); }

 private:
  static constexpr Duration kStartAgainAfter = std::chrono::milliseconds(100);

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

  struct Idle {
    CondVar changed;
    bool woken = false;
  };
  using Threads = std::list<std::thread>;

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
    if (found == timers_.end()) return;
    timers_.erase(found);
    if (timers_.empty() && keeper_ != nullptr) keeper_->changed.notify_one();  // it may end
  }

  /// How many became tasks. Before what is posted later, though no thread had time to look.
  std::size_t QueueDueTimersLocked() REQUIRES_LOCK(mutex_) {
    if (timers_.empty() || stopping_) return 0;
    const SteadyTime now = std::chrono::steady_clock::now();
    std::size_t due = 0;
    for (; !timers_.empty() && timers_.begin()->first <= now; ++due) {
      queue_.push_back([task = timers_.begin()->second] { task->Run(); });
      timers_.erase(timers_.begin());
    }
    return due;
  }

  /// A thread for one more task, if there is one to be had.
  void SummonLocked() REQUIRES_LOCK(mutex_) {
    if (!idle_.empty()) {
      WakeLocked();
    } else if (!stopping_ && !StartThreadLocked() && threads_.empty()) {
      StartAgainLaterLocked();
    }
  }

  void WakeLocked() REQUIRES_LOCK(mutex_) {
    Idle* const idle = idle_.back();
    idle_.pop_back();
    if (keeper_ == idle) keeper_ = nullptr;
    idle->woken = true;
    idle->changed.notify_one();
  }

  void EnsureKeeperLocked() REQUIRES_LOCK(mutex_) {
    if (timers_.empty() || keeper_ != nullptr || stopping_) return;
    if (idle_.empty()) return SummonLocked();  // it finds nothing to do, and keeps
    keeper_ = idle_.front();                   // disturbed last
    keeper_->changed.notify_one();
  }

  /// False if the system has none to give; true as well where enough work already.
  bool StartThreadLocked() REQUIRES_LOCK(mutex_) {
    if (threads_.size() >= threads_max_) return true;
    const auto thread = threads_.emplace(threads_.end());
    try {
      *thread = std::thread([this, thread, name = name_ + "/" + std::to_string(started_)] {
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the kernel's limit
        if (priority_ == ThreadPriority::kBackground) GiveWay();
        RunTasks(thread);
      });
    } catch (const std::system_error& error) {
      threads_.erase(thread);
      if (!short_of_threads_) {
        LOG(kWarning, name_, ": no thread is to be had beside ", threads_.size(), ": ",
            error.code().message());
      }
      short_of_threads_ = true;
      return false;
    }
    ++started_;
    short_of_threads_ = false;
    return true;
  }

  /// REQUIRES: no thread is left to do it.
  void StartAgainLaterLocked() REQUIRES_LOCK(mutex_) {
    if (retry_is_set_) return;
    CHECK(starter_ != nullptr);  // otherwise one thread stays
    retry_is_set_ = true;
    // In turn: the timer that runs, and arms the next one, is not the one replaced.
    next_retry_ = 1 - next_retry_;
    retries_.at(next_retry_) = starter_->PostAfter(kStartAgainAfter, [this] {
      MutexLock lock(mutex_);
      retry_is_set_ = false;
      SummonLocked();
    });
  }

  bool JoinOne() EXCLUDES_LOCK(mutex_) {
    std::thread thread;
    {
      MutexLock lock(mutex_);
      Threads& from = threads_.empty() ? ended_ : threads_;
      if (from.empty()) return false;
      thread = std::move(from.front());
      from.pop_front();
    }
    thread.join();
    return true;
  }

  /// `self` is nullopt on a thread that is not ours, when stopping.
  void RunTasks(std::optional<Threads::iterator> self) EXCLUDES_LOCK(mutex_) {
    Threads ended_before;
    {
      MutexLock lock(mutex_);
      WaitableLock waitable{lock};
      while (true) {
        for (std::size_t due = QueueDueTimersLocked(); due > 1; --due) SummonLocked();
        if (!queue_.empty()) {
          RunOne(lock);
        } else if (stopping_) {
          return;
        } else if (!BeIdleLocked(waitable)) {
          break;
        }
      }
      ended_before.swap(ended_);
      ended_.splice(ended_.end(), threads_, *self);
    }
    for (std::thread& thread : ended_before) thread.join();
  }

  /// The analysis does not follow a lock that is passed on.
  void RunOne(MutexLock& lock) NO_THREAD_SAFETY_ANALYSIS {
    Task task = std::move(queue_.front());
    queue_.pop_front();
    EnsureKeeperLocked();
    lock.Unlock();
    task();
    task = nullptr;  // what it captured may post or lock in its destructor
    lock.Lock();
  }

  /// Returns when there may be something to do; false if nothing came and this thread may end.
  bool BeIdleLocked(WaitableLock& waitable) REQUIRES_LOCK(mutex_) {
    Idle idle;
    idle_.push_back(&idle);
    const SteadyTime end = Deadline(kIdleThreadStays);
    bool timed_out = false;
    while (!idle.woken && !timed_out) {
      if (keeper_ == &idle && timers_.empty()) keeper_ = nullptr;
      EnsureKeeperLocked();
      if (keeper_ == &idle) {
        const SteadyTime due = timers_.begin()->first;  // a copy: the entry may be forgotten
        timed_out = idle.changed.wait_until(waitable, due) == std::cv_status::timeout;
      } else if (threads_.size() > threads_kept_) {
        timed_out = idle.changed.wait_until(waitable, end) == std::cv_status::timeout &&
                    threads_.size() > threads_kept_;
      } else {
        idle.changed.wait(waitable);
      }
    }
    if (idle.woken) return true;
    std::erase(idle_, &idle);
    return std::exchange(keeper_, keeper_ == &idle ? nullptr : keeper_) == &idle;
  }

  const std::string name_;
  const std::size_t threads_max_;
  const std::size_t threads_kept_;
  const ThreadPriority priority_;
  Executor* const starter_;

  Mutex mutex_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::deque<Task> queue_ GUARDED_BY(mutex_);
  std::multimap<SteadyTime, std::shared_ptr<DelayedTask>> timers_ GUARDED_BY(mutex_);
  std::vector<Idle*> idle_ GUARDED_BY(mutex_);
  Idle* keeper_ GUARDED_BY(mutex_) = nullptr;
  Threads threads_ GUARDED_BY(mutex_);
  Threads ended_ GUARDED_BY(mutex_);
  std::uint64_t started_ GUARDED_BY(mutex_) = 0;
  bool short_of_threads_ GUARDED_BY(mutex_) = false;
  bool retry_is_set_ GUARDED_BY(mutex_) = false;
  std::size_t next_retry_ GUARDED_BY(mutex_) = 0;
  std::array<std::unique_ptr<Timer>, 2> retries_;  // guarded; the destructor's once stopping
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
  return std::make_unique<ThreadExecutor>(name, threads, priority, nullptr);
}

std::unique_ptr<Executor> NewLane(const char* name, int threads, Executor& starter,
                                  ThreadPriority priority) {
  return std::make_unique<ThreadExecutor>(name, threads, priority, &starter);
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
