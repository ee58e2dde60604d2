// The files that TLS of a listener comes from, read and checked before GnuTLS sees a byte of them:
// whose they are, who else may read or write them, how long they are. Secrets go straight into
// locked memory. Any thread.
//
//   X.509  a directory as qemu, nbdkit and libnbd share it: ca-cert.pem, server-cert.pem,
//          server-key.pem, and ca-crl.pem if there is one
//   PSK    a file of lines username:hexkey, as psktool writes them
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/block/exporter.h"

namespace coffer::nbd {

inline constexpr std::uint64_t kTlsFileBytesMax = 1u << 20;
/// Shorter keys are somebody's mistake; GnuTLS takes no longer ones.
inline constexpr std::size_t kPskBytesMin = 16;
inline constexpr std::size_t kPskBytesMax = 64;
inline constexpr std::size_t kPskUserBytesMax = 128;

/// PEM texts.
struct X509Material {
  std::string directory;
  Bytes ca;
  Bytes certificate;
  SecretBytes key;
  std::optional<Bytes> crl;
  bool verify_peer;
};

struct PskUser {
  std::string name;
  SecretBytes key;
};
struct PskMaterial {
  std::string path;
  std::vector<PskUser> users;  // at least one
};

using TlsMaterial = std::variant<X509Material, PskMaterial>;

/// Messages name the file and what is wrong with it; none holds a byte of it.
[[nodiscard]] Result<TlsMaterial> ReadTlsFiles(FileSystem& fs, const block::TlsFiles& files);

}  // namespace coffer::nbd
