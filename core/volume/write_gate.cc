#include "core/volume/write_gate.h"

namespace coffer::volume {

void WriteGate::EnterShared() {
  MutexLock lock(mutex_);
  if (alone_ || waiting_ > 0) {
    executor_.Await(lock, changed_,
                    [this]() NO_THREAD_SAFETY_ANALYSIS { return !alone_ && waiting_ == 0; });
  }
  ++inside_;
}

bool WriteGate::TryEnterShared() {
  MutexLock lock(mutex_);
  if (alone_ || waiting_ > 0) return false;
  ++inside_;
  return true;
}

void WriteGate::LeaveShared() {
  MutexLock lock(mutex_);
  if (--inside_ == 0 && waiting_ > 0) changed_.notify_all();
}

void WriteGate::EnterAlone() {
  MutexLock lock(mutex_);
  ++waiting_;
  executor_.Await(lock, changed_,
                  [this]() NO_THREAD_SAFETY_ANALYSIS { return !alone_ && inside_ == 0; });
  --waiting_;
  alone_ = true;
}

void WriteGate::LeaveAlone() {
  MutexLock lock(mutex_);
  alone_ = false;
  changed_.notify_all();
}

}  // namespace coffer::volume
