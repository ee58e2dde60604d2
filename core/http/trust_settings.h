// Which certificates are trusted, as curl's users know it.
#pragma once

#include <string>

namespace coffer::http {

/// Empty: none of that kind.
struct TrustSettings {
  std::string ca_file;
  std::string ca_directory;
};

/// `ca_file` alone if it is not empty, else the environment's, else the system's.
[[nodiscard]] TrustSettings TrustFrom(const std::string& ca_file);

}  // namespace coffer::http
