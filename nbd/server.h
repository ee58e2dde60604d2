// Server: coffer's NBD exporter. Each export has an event loop, one named thread (coffer-nbd), and
// workers for its requests that may block: what holds one up is felt by no other. One Unix socket
// serves all exports by name, or an export has a listener of its own; a loop more (coffer-nbd)
// negotiates on the shared socket.
//
// Threads: every public call may come from any thread but the loops' and the workers'. Export waits
// for loops that nothing holds up, Withdraw for its export's, client_count for none.
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

  /// All outlive the server; `waits` is where its callers wait. An `inherited` socket listens at
  /// shared_socket_path already, made by somebody else, and its name stays at the end.
  [[nodiscard]] static Result<std::unique_ptr<Server>> Open(Options options, Executor& waits,
                                                            const Clock& clock, FileSystem& fs,
                                                            Descriptor inherited = {});
  /// Withdraws what is still exported, waits for the devices, removes the sockets.
  ~Server() override;

  [[nodiscard]] std::string kind() const override { return "nbd"; }
  Status Check(const block::ExportSpec& spec) override;
  Result<block::ExportPlace> Export(const block::ExportSpec& spec) override;
  Status Withdraw(const std::string& name) override;
  /// TLS keys and certificates.
  void RereadFiles() override;
  [[nodiscard]] std::optional<Error> Trouble(const std::string& name) const override;
  [[nodiscard]] int client_count(const std::string& name) const override;
  [[nodiscard]] std::vector<MountHolder> Clients(const std::string& name) const override;

 private:
  /// A loop on a thread of its own, with the workers of its export.
  struct Home {
    std::unique_ptr<Executor> workers;
    std::unique_ptr<Loop> loop;
    std::unique_ptr<Executor> thread;      // last: its end waits for Run's
    std::shared_ptr<ServedExport> served;  // null: the shared socket's
    std::optional<Address> own_address;
  };

  /// An export with TLS.
  struct Secured {
    block::TlsFiles files;
    Loop* loop;  // its home's; there as long as this is
    std::shared_ptr<Listener> listener;
    std::optional<Error> trouble;  // with the files, when they were read again
  };

  Server(Options options, Executor& waits, const Clock& clock, FileSystem& fs);
  Result<std::shared_ptr<Home>> MakeHome();
  [[nodiscard]] Status CheckShared(const block::ExportSpec& spec) const;
  Result<block::ExportPlace> ServeShared(Home& home);
  Result<block::ExportPlace> ServeOwn(const block::ExportSpec& spec, Home& home);
  void Shut(Home& home) EXCLUDES_LOCK(mutex_);

  Status ListenShared(Descriptor inherited);
  /// A listener for one export alone, before it is handed to the loop.
  struct Own {
    Address address;
    Descriptor socket;
    std::shared_ptr<const TlsCredentials> tls;  // null: none
    std::string uri;
  };
  Result<std::shared_ptr<const TlsCredentials>> ReadCredentials(const block::TlsFiles& files);
  void Reread(const std::string& name, const block::TlsFiles& files) EXCLUDES_LOCK(mutex_);
  Result<Own> ListenOwn(const block::ExportSpec& spec);
  [[nodiscard]] std::shared_ptr<Home> Find(const std::string& name) const EXCLUDES_LOCK(mutex_);
  void RunOn(Loop& loop, const std::function<void()>& call) EXCLUDES_LOCK(mutex_);
  void RemoveSocket(const Address& address);

  const Options options_;
  Executor& waits_;
  const Clock& clock_;
  FileSystem& fs_;
  Totals totals_;
  std::shared_ptr<Home> shared_;  // null: no shared socket
  std::shared_ptr<Listener> shared_listener_;
  std::optional<Address> shared_address_;
  bool owns_shared_name_ = false;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::shared_ptr<Home>> homes_ GUARDED_BY(mutex_);
  std::map<std::string, Secured> secured_ GUARDED_BY(mutex_);  // of those
};

}  // namespace coffer::nbd
