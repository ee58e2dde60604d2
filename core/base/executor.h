// Runs tasks now or later, and is the only way to wait. ThreadExecutor has threads; the SimExecutor
// of the tests has one thread and virtual time, so that a whole run replays from its seed.
//
// Rules that keep both free of deadlock: a task waits only for tasks of an executor *below* its own
// (sync above work, see core/README.md); nobody holds a Mutex across Await except the one given to
// it.
#pragma once

#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace coffer {

class Executor {
 public:
  using Task = std::function<void()>;

  /// Forgets the delayed task when destroyed, and waits for it if it is just running.
  class Timer {
   public:
    virtual ~Timer() = default;
  };

  virtual ~Executor() = default;
  /// Runs `task` soon, on some thread of this executor. Never runs it before returning.
  virtual void Post(Task task) = 0;
  /// Runs `task` once after `delay`. The timer must not outlive the executor, nor be destroyed by
  /// its own task.
  [[nodiscard]] virtual std::unique_ptr<Timer> PostAfter(Duration delay, Task task) = 0;
  /// Waits on `changed` until `done()` holds. `lock` is held when done() is called and on return;
  /// whoever changes what done() reads notifies `changed`.
  virtual void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) = 0;
  /// As Await, at most `timeout`; returns done()'s last value.
  virtual bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                        const std::function<bool()>& done) = 0;
  /// Number of tasks that can run at once (1 in simulation).
  [[nodiscard]] virtual int parallelism() const = 0;
};

enum class ThreadPriority {
  kNormal,
  kBackground,  // gives way to whoever is waited for when processors are short: ten nicer
};
/// At most so many named threads, which come with tasks and go when idle, but for one (lane.h:
/// all). The destructor runs what is queued, then joins.
[[nodiscard]] std::unique_ptr<Executor> NewThreadExecutor(
    const char* name, int threads, ThreadPriority priority = ThreadPriority::kNormal);

/// Runs body(0) … body(count-1) on `executor` and on the calling thread, returns when all are done.
/// The caller takes part and waits for no helper that has not begun: a task of `executor` may call.
void ParallelFor(Executor& executor, std::size_t count,
                 const std::function<void(std::size_t)>& body);

}  // namespace coffer
