// CallControl: how whoever owns a store's layers has calls under way let go. Shared by the layers
// that wait (RetryingStore, DeadlineStore) and their owner, who may outlive them.
//
// Cancelled is final: a daemon ends. Hurried lasts while a Hurry lives: somebody closes a volume
// and must not wait for a store that does not answer; then nothing is repeated and nothing waited
// for longer than a moment. What fails is tried again by whoever still needs it. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/base/mutex.h"

namespace coffer::store {

struct CallControl {
  Mutex mutex;
  CondVar changed;  // also by calls that end
  bool cancelled GUARDED_BY(mutex) = false;
  std::size_t hurries GUARDED_BY(mutex) = 0;

  void Cancel() EXCLUDES_LOCK(mutex) {
    const MutexLock lock(mutex);
    cancelled = true;
    changed.notify_all();
  }
  /// Has those who wait look again, at what a request of theirs says too.
  void Notify() EXCLUDES_LOCK(mutex) {
    const MutexLock lock(mutex);
    changed.notify_all();
  }
};

class Hurry {
 public:
  explicit Hurry(std::shared_ptr<CallControl> control) : control_(std::move(control)) {
    const MutexLock lock(control_->mutex);
    ++control_->hurries;
    control_->changed.notify_all();
  }
  ~Hurry() {
    const MutexLock lock(control_->mutex);
    --control_->hurries;
  }
  Hurry(const Hurry&) = delete;
  Hurry& operator=(const Hurry&) = delete;

 private:
  const std::shared_ptr<CallControl> control_;
};

}  // namespace coffer::store
