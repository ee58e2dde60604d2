// Server: coffer's NBD exporter. One named thread runs the event loop (coffer-nbd); requests that
// may block go to the workers it is given. One Unix socket serves all exports by name; an export
// may have a listener of its own besides.
//
// Threads: every public call may come from any thread but the loop's and the workers', and waits
// for the loop to have done it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/block/exporter.h"
#include "nbd/address.h"
#include "nbd/limits.h"
#include "nbd/loop.h"

namespace coffer::nbd {

class Server final : public block::Exporter {
 public:
  struct Options {
    /// The shared socket, in a directory that is ours and 0700. The caller has removed a stale one
    /// under its lock. Empty: every export needs an address of its own.
    std::string shared_socket_path;
    Limits limits;
    /// What URIs say for a listener on all addresses of this machine.
    std::string host_name = {};
  };

  /// All outlive the server. An `inherited` socket listens at shared_socket_path already, made by
  /// somebody else, and its name stays at the end.
  [[nodiscard]] static Result<std::unique_ptr<Server>> Open(Options options, Executor& workers,
                                                            const Clock& clock, FileSystem& fs,
                                                            Descriptor inherited = {});
  /// Withdraws what is still exported, waits for the devices, removes the sockets.
  ~Server() override;

  [[nodiscard]] std::string kind() const override { return "nbd"; }
  Status Check(const block::ExportSpec& spec) override;
  Result<block::ExportPlace> Export(const block::ExportSpec& spec) override;
  Status Withdraw(const std::string& name) override;
  [[nodiscard]] int client_count(const std::string& name) const override;
  [[nodiscard]] std::vector<MountHolder> Clients(const std::string& name) const override;

 private:
  Server(Options options, Executor& workers, const Clock& clock, FileSystem& fs,
         std::unique_ptr<Poller> poller);

  Status ListenShared(Descriptor inherited);
  /// A listener for one export alone, before it is handed to the loop.
  struct Own {
    Address address;
    Descriptor socket;
    std::shared_ptr<const TlsCredentials> tls;  // null: none
    std::string uri;
  };
  Result<Own> ListenOwn(const block::ExportSpec& spec);
  void RunOnLoop(const std::function<void()>& call) const EXCLUDES_LOCK(mutex_);
  /// Runs `call` on the loop and waits until the Call it is handed has been called, or until it
  /// returns false.
  bool RunUntilIdle(const std::function<bool(Loop::Call)>& call) EXCLUDES_LOCK(mutex_);
  void RemoveSocket(const Address& address);

  const Options options_;
  Executor& workers_;
  const Clock& clock_;
  FileSystem& fs_;
  std::optional<Address> shared_address_;
  bool owns_shared_name_ = false;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::map<std::string, Address> own_addresses_ GUARDED_BY(mutex_);
  const std::unique_ptr<Loop> loop_;
  std::unique_ptr<Executor> loop_thread_;  // last: its end waits for Run's
};

}  // namespace coffer::nbd
