// Loop: the one thread that owns listeners, connections and exports; nothing of theirs is locked.
// Other threads reach it through Post.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/base/patience.h"
#include "core/block/exporter.h"
#include "nbd/buffer_pool.h"
#include "nbd/connection.h"
#include "nbd/jobs.h"
#include "nbd/limits.h"
#include "nbd/listener.h"
#include "nbd/sockets.h"

namespace coffer::nbd {

class Loop {
 public:
  using Call = std::function<void()>;

  Loop(const Limits& limits, Executor& workers, const Clock& clock, std::unique_ptr<Poller> poller);
  ~Loop();

  /// Runs on the loop's thread until Stop.
  void Run();
  /// Any thread: `call` runs on the loop's thread, soon.
  void Post(Call call) EXCLUDES_LOCK(mutex_);

  // The rest on the loop's thread only, that is from a posted call.

  /// The socket of all exports that have none of their own.
  [[nodiscard]] Status AddSharedListener(Descriptor socket);
  /// `own_socket` not open: on the shared one, which has no TLS.
  [[nodiscard]] Status Add(const block::ExportSpec& spec, Descriptor own_socket,
                           std::shared_ptr<const TlsCredentials> tls = nullptr);
  /// False: no such export. Else it is refused to new clients at once, and `idle` is called when no
  /// connection of it is left and no request of one is in the device.
  [[nodiscard]] bool Withdraw(const std::string& name, Call idle);
  /// Withdraws everything and cuts every connection.
  void Shut(Call idle);
  [[nodiscard]] int ClientCount(const std::string& name) const;
  struct Client {
    Peer peer;
    bool has_written;
  };
  [[nodiscard]] std::vector<Client> Clients(const std::string& name) const;
  /// REQUIRES: Shut, and its `idle` was called.
  void Stop() { stopped_ = true; }

 private:
  struct Entry {
    std::shared_ptr<ServedExport> served;
    std::shared_ptr<Listener> own_listener;  // null: behind the shared one
  };
  struct Withdrawal {
    std::shared_ptr<ServedExport> served;
    Call idle;
  };

  [[nodiscard]] std::shared_ptr<Listener> NewListener(Descriptor socket,
                                                      Listener::EmptyName empty_name,
                                                      std::shared_ptr<const TlsCredentials> tls);
  void Withdraw(Entry entry, Call idle);
  void AcceptFrom(Listener& listener);
  [[nodiscard]] bool HasRoomFor(const Listener& listener) const;
  void TakeFinishedJobs();
  void RunPosted() EXCLUDES_LOCK(mutex_);
  void ExpireDeadlines();
  void ForgetConnections();
  void SettleWithdrawals();
  void UpdateListeners();
  void ShareBytes();
  [[nodiscard]] std::optional<Duration> NextTimeout() const;
  Poller::WaitResult WaitForEvents(std::span<Poller::Ready> ready);
  Poller::WaitResult Ask(std::span<Poller::Ready> ready, Duration patience);

  const Limits limits_;
  const Clock& clock_;
  const std::unique_ptr<Poller> poller_;
  Patience patience_;
  BufferPool pool_;
  JobQueue jobs_;
  Bytes scratch_;
  ConnectionContext context_;
  std::shared_ptr<Listener> shared_listener_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::map<std::string, Entry> exports_;
  std::vector<Withdrawal> withdrawals_;
  Call shut_;
  bool stopped_ = false;
  std::vector<Job*> finished_jobs_;

  Mutex mutex_;
  std::vector<Call> posted_ GUARDED_BY(mutex_);
};

}  // namespace coffer::nbd
