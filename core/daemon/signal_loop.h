// SignalLoop: what the main thread of cofferd does while others work: it waits to be told to end,
// to sync, or to read its config again. And, once ending, the promise to be gone in time.
//
// The signals are blocked in the constructing thread and so in every thread started later.
#pragma once

#include <memory>
#include <utility>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/control/unix_socket.h"

namespace coffer::daemon {

class SignalLoop {
 public:
  enum class Event { kStop, kSyncAll, kReload };

  /// REQUIRES: no other thread runs yet.
  static Result<std::unique_ptr<SignalLoop>> Create();
  ~SignalLoop();

  /// TERM, INT or RequestStop; USR1; HUP.
  Event Wait();
  /// As if TERM had come. Any thread.
  void RequestStop();
  /// From now on a second TERM or INT ends the process at once, and so does the end of `limit`, of
  /// which the machine's sleep is no part: acknowledged bytes are in the journal files already.
  void ExitAtLatestAfter(Duration limit);

 private:
  SignalLoop(control::UniqueFd signals, control::UniqueFd stop)
      : signals_(std::move(signals)), stop_(std::move(stop)) {}

  const control::UniqueFd signals_;
  const control::UniqueFd stop_;  // eventfd
};

}  // namespace coffer::daemon
