// WriteGate: keeps a write of part of a block apart from every other write. A partial write reads
// its blocks, changes them in memory and writes them whole; a write acknowledged between the two
// would be lost. So writers of whole blocks pass the gate together, a partial writer passes alone.
// It is held over the journal append only: the partial writer has its blocks in memory before it
// enters.
#pragma once

#include "core/base/executor.h"
#include "core/base/mutex.h"

namespace coffer::volume {

class WriteGate {
 public:
  explicit WriteGate(Executor& executor) : executor_(executor) {}

  void EnterShared();
  /// False instead of waiting.
  [[nodiscard]] bool TryEnterShared();
  void LeaveShared();
  void EnterAlone();
  void LeaveAlone();

 private:
  Executor& executor_;
  Mutex mutex_;
  CondVar changed_;
  int inside_ GUARDED_BY(mutex_) = 0;   // whole-block writers
  int waiting_ GUARDED_BY(mutex_) = 0;  // partial writers, who go first
  bool alone_ GUARDED_BY(mutex_) = false;
};

}  // namespace coffer::volume
