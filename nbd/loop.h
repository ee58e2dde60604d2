// Loop: a thread with listeners and connections of its own; nothing of theirs is locked. Other
// threads reach it through Post.
//
// Each export has a loop, so that what holds one up (a disk that does not take its journal's
// pwrite) is felt by no other; the shared socket has one too, whose clients leave for their
// export's loop as soon as they have chosen it.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/base/patience.h"
#include "nbd/budget.h"
#include "nbd/buffer_pool.h"
#include "nbd/connection.h"
#include "nbd/jobs.h"
#include "nbd/limits.h"
#include "nbd/listener.h"
#include "nbd/sockets.h"
#include "nbd/totals.h"

namespace coffer::nbd {

class Loop {
 public:
  using Call = std::function<void()>;

  /// `totals` are of all loops of a server, and outlive them.
  Loop(const Limits& limits, Totals& totals, Executor& workers, const Clock& clock,
       std::unique_ptr<Poller> poller);
  ~Loop();

  /// Runs on the loop's thread until Stop.
  void Run();
  /// Any thread: `call` runs on the loop's thread, soon.
  void Post(Call call) EXCLUDES_LOCK(mutex_);

  // The rest on the loop's thread only, that is from a posted call.

  [[nodiscard]] Result<std::shared_ptr<Listener>> AddListener(
      Descriptor socket, Listener::EmptyName empty_name, std::shared_ptr<const TlsCredentials> tls);
  /// Goes on with a client of this loop's export.
  void Adopt(Arrival arrival);
  /// Accepts nobody any more and answers what has begun; `idle` is called when no connection is
  /// left and no request of one is in the device.
  void Shut(Call idle);
  /// REQUIRES: Shut, and its `idle` was called.
  void Stop() { stopped_ = true; }

 private:
  void AcceptFrom(Listener& listener);
  [[nodiscard]] bool HasRoomFor(const Listener& listener) const;
  void TakeFinishedJobs();
  void RunPosted() EXCLUDES_LOCK(mutex_);
  void ExpireDeadlines();
  /// Those who wait for memory, in their order, as far as there is some.
  void ServeLines();
  void ForgetConnections();
  void UpdateListeners();
  [[nodiscard]] Connection& Keep(std::unique_ptr<Connection> connection);
  [[nodiscard]] std::optional<Duration> NextTimeout() const;
  Poller::WaitResult WaitForEvents(std::span<Poller::Ready> ready);
  Poller::WaitResult Ask(std::span<Poller::Ready> ready, Duration patience);

  const Limits limits_;
  Totals& totals_;
  const Clock& clock_;
  const std::unique_ptr<Poller> poller_;
  Patience patience_;
  Mutex mutex_;
  std::vector<Call> posted_ GUARDED_BY(mutex_);
  BufferPool pool_;
  Purse payloads_;
  Purse replies_;
  JobQueue jobs_;
  Bytes scratch_;
  ConnectionContext context_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  Call shut_;
  bool stopped_ = false;
  std::vector<Job*> finished_jobs_;
};

}  // namespace coffer::nbd
