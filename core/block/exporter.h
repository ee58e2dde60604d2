// Exporter: makes an open volume reachable through some protocol. nbd/ and fuse/ each hold one; the
// daemon is given them and knows no protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/block/block_device.h"

namespace coffer::block {

/// One thing to export. `device` outlives the export: Withdraw returns before it goes.
struct ExportSpec {
  std::string name;         // what clients ask for
  std::string description;  // free text for a listing
  BlockDevice* device;
  /// Exporter-specific place: a socket address for NBD ("" = the shared socket, "unix:PATH",
  /// "tcp:127.0.0.1:PORT"), a directory for FUSE.
  std::string address;
  bool read_only;
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
  virtual Result<ExportPlace> Export(const ExportSpec& spec) = 0;
  /// Stops serving `name`: new clients are refused, connected ones are cut after their requests in
  /// flight are answered. Returns when no call into the device is left.
  virtual Status Withdraw(const std::string& name) = 0;
  /// Clients connected to `name` now.
  [[nodiscard]] virtual int client_count(const std::string& name) const = 0;
};

}  // namespace coffer::block
