// What can be set of the HTTP engine. Each is a limit of docs/LIMITS.md or core/README.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "core/http/request_queue.h"

namespace coffer::http {

struct HttpOptions {
  Duration connect_max = std::chrono::seconds(10);  // DNS, TCP, proxy and TLS together
  Duration stall_max = std::chrono::seconds(30);    // no byte either way: then the attempt ends
  /// Before a body of more than 1 MiB the server is asked whether it wants it, for so long.
  Duration continue_max = std::chrono::seconds(1);
  std::uint64_t header_bytes_max = 64 << 10;  // of a response, interim ones included
  std::size_t headers_max = 256;
  std::size_t idle_connections_max = 64;
  RequestSlots slots = {};
  /// Certificates (PEM) that are trusted, and no others. Empty: as curl's users know it,
  /// CURL_CA_BUNDLE, else SSL_CERT_FILE and SSL_CERT_DIR, else the system's.
  std::string ca_file = {};
  std::string user_agent = "coffer";
};

}  // namespace coffer::http
