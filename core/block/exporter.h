// Exporter: makes an open volume reachable through some protocol. nbd/ and fuse/ each hold one; the
// daemon is given them and knows no protocol.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mount_holders.h"
#include "core/base/result.h"
#include "core/block/block_device.h"

namespace coffer::block {

/// Where an exporter that talks to other machines finds its keys: one of the two, or none for no
/// encryption.
struct TlsFiles {
  std::string x509_directory;
  std::string psk_file;
  /// X.509: a client has to show a certificate of the same CA.
  bool verify_peer = true;
  [[nodiscard]] bool empty() const { return x509_directory.empty() && psk_file.empty(); }
};

/// What a protocol with a cache on its clients' side (FUSE: the kernel's pages) may keep there.
enum class ClientCache {
  kAuto,       // reads, while no other export could change the bytes behind it
  kNone,       // nothing: each request reaches the device
  kWriteBack,  // writes too: acknowledged before the device has them, durable after a flush only
};

/// One thing to export. `device` outlives the export: Withdraw returns before it goes.
struct ExportSpec {
  std::string name;         // what clients ask for
  std::string description;  // free text for a listing
  BlockDevice* device;
  /// Exporter-specific place: a socket address for NBD ("" = the shared socket, "unix:PATH",
  /// "tcp:ADDRESS:PORT"), a directory for FUSE.
  std::string address;
  bool read_only;
  TlsFiles tls = {};
  ClientCache cache = ClientCache::kAuto;
  bool sole = false;  // no other export changes this device
};

/// Where a client finds the export: a URI or a path.
struct ExportPlace {
  std::string uri;
};

class Exporter {
 public:
  virtual ~Exporter() = default;
  /// "nbd" or "fuse": the field name in status and API.
  [[nodiscard]] virtual std::string kind() const = 0;
  /// Whether `spec` says something that Export would refuse whatever the device; it is not looked
  /// at.
  virtual Status Check(const ExportSpec& spec) {
    static_cast<void>(spec);
    return {};
  }
  virtual Result<ExportPlace> Export(const ExportSpec& spec) = 0;
  /// Stops serving `name`: new clients are refused, connected ones are cut after their requests in
  /// flight are answered. Returns when no call into the device is left.
  virtual Status Withdraw(const std::string& name) = 0;
  /// `name` can be reached again at all its places, where somebody else has taken one away, such as
  /// an unmounted directory. Nothing for what is well.
  virtual Status Restore(const std::string& name) {
    static_cast<void>(name);
    return {};
  }
  /// Keys and the like that were read from files are read again: who comes from now on meets the
  /// new ones, who is there stays. Where they are no good, those from before stay in use (Trouble).
  virtual void RereadFiles() {}
  /// What is wrong with the export of `name`, though it works: a text and a hint for a person.
  [[nodiscard]] virtual std::optional<Error> Trouble(const std::string& name) const {
    static_cast<void>(name);
    return std::nullopt;
  }
  /// The device of `name` has another size from now on; whoever keeps the old one is told. Nothing
  /// for a name that is not exported.
  virtual void Resized(const std::string& name) { static_cast<void>(name); }
  /// Clients connected to `name` now.
  [[nodiscard]] virtual int client_count(const std::string& name) const = 0;
  /// Who they are, as far as the protocol knows; nobody where the kernel alone does (who has a file
  /// open).
  [[nodiscard]] virtual std::vector<MountHolder> Clients(const std::string& name) const {
    static_cast<void>(name);
    return {};
  }
};

}  // namespace coffer::block
