// A mutex that clang's -Wthread-safety understands, its scoped lock and its condition variable.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define COFFER_TSA(x) __attribute__((x))
#else
#define COFFER_TSA(x)
#endif
#define CAPABILITY(x) COFFER_TSA(capability(x))
#define SCOPED_CAPABILITY COFFER_TSA(scoped_lockable)
#define GUARDED_BY(x) COFFER_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) COFFER_TSA(pt_guarded_by(x))
#define REQUIRES_LOCK(...) COFFER_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES_LOCK(...) COFFER_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE_LOCK(...) COFFER_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE_LOCK(...) COFFER_TSA(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS COFFER_TSA(no_thread_safety_analysis)

namespace coffer {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void lock() ACQUIRE_LOCK() { mutex_.lock(); }
  void unlock() RELEASE_LOCK() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope; Unlock and Lock open a window in it for I/O.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE_LOCK(mutex) : mutex_(mutex), held_(true) {
    mutex_.lock();
  }
  ~MutexLock() RELEASE_LOCK() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void Unlock() RELEASE_LOCK() {
    held_ = false;
    mutex_.unlock();
  }
  void Lock() ACQUIRE_LOCK() {
    mutex_.lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_;
};

using CondVar = std::condition_variable_any;  // waits go through Executor::Await, never directly

}  // namespace coffer
