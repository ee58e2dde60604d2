// Listener: one listening socket and the exports that clients find behind it. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/block/block_device.h"
#include "nbd/client_list.h"
#include "nbd/export.h"
#include "nbd/sockets.h"
#include "nbd/tls.h"

namespace coffer::nbd {

class Loop;

/// An export as the server keeps it.
struct ServedExport {
  ServedExport(std::string its_name, std::string its_description, block::BlockDevice* its_device,
               bool refuses_writes, Loop* its_home)
      : name(std::move(its_name)),
        description(std::move(its_description)),
        device(its_device),
        read_only(refuses_writes),
        home(its_home) {}

  std::string name;
  std::string description;
  block::BlockDevice* device;
  bool read_only;
  Loop* home;  // whose connections alone ask the device; outlives the listeners
  ClientList clients;
};

class Listener final : public PollTarget,
                       public ExportDirectory,
                       public std::enable_shared_from_this<Listener> {
 public:
  enum class EmptyName {
    kRefused,
    kMeansTheExport,  // of a listener with a single export
  };

  /// `on_waiting` is called whenever somebody waits to be accepted.
  /// `tls`: null for none.
  Listener(Descriptor socket, Poller& poller, EmptyName empty_name,
           std::shared_ptr<const TlsCredentials> tls, std::function<void(Listener&)> on_waiting)
      : socket_(std::move(socket)),
        poller_(poller),
        empty_name_(empty_name),
        tls_(std::move(tls)),
        on_waiting_(std::move(on_waiting)) {}
  ~Listener() override { Close(); }

  [[nodiscard]] Status Start();
  /// Accepts nobody any more and forgets its exports.
  void Close();
  /// Whether to ask the kernel for waiting clients: idle while there is no room for them.
  void SetAccepting(bool accepting);

  void Add(std::shared_ptr<ServedExport> served);
  void Drop(const std::string& name) { exports_.erase(name); }
  [[nodiscard]] std::shared_ptr<ServedExport> Lookup(std::string_view name) const;

  [[nodiscard]] std::optional<Export> Find(std::string_view name) const override;
  [[nodiscard]] std::vector<Export> List() const override;
  [[nodiscard]] bool needs_tls() const override { return tls_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<const TlsCredentials>& tls() const { return tls_; }
  /// Others, for whoever begins a handshake from now on. REQUIRES: it has some.
  void set_tls(std::shared_ptr<const TlsCredentials> tls) { tls_ = std::move(tls); }
  void OnReady(Readiness) override { on_waiting_(*this); }

  [[nodiscard]] const Descriptor& socket() const { return socket_; }

  int negotiating = 0;                        // connections that have chosen no export yet
  std::optional<MonotonicTime> paused_until;  // set while descriptors are exhausted

 private:
  Descriptor socket_;
  Poller& poller_;
  const EmptyName empty_name_;
  std::shared_ptr<const TlsCredentials> tls_;
  const std::function<void(Listener&)> on_waiting_;
  bool watched_ = false;
  bool accepting_ = false;
  std::map<std::string, std::shared_ptr<ServedExport>, std::less<>> exports_;
};

}  // namespace coffer::nbd
