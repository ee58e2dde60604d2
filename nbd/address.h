// Where a listener may be: "unix:PATH" or "tcp:ADDRESS:PORT", the address in numbers. NBD by itself
// has neither encryption nor a login: beyond this machine the server listens with TLS only, and a
// Unix socket's directory is its lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/file_system.h"
#include "core/base/result.h"

namespace coffer::nbd {

/// sun_path holds 108 bytes with its terminating zero.
inline constexpr std::size_t kSocketPathBytesMax = 107;

struct Address {
  enum class Kind { kUnix, kTcp };
  Kind kind;
  std::string path;                            // kUnix
  std::string host = "127.0.0.1";              // kTcp: IPv4 or, without brackets, IPv6
  std::uint16_t port = 0;                      // kTcp; 0 = any free one
  [[nodiscard]] std::string ToString() const;  // as ParseAddress takes it
  /// Nobody on another machine can connect.
  [[nodiscard]] bool IsLocal() const;
};

[[nodiscard]] Result<Address> ParseAddress(std::string_view text);
/// An address of its own kind for a path that is not in "unix:" form.
[[nodiscard]] Result<Address> UnixAddress(std::string_view path);

/// What a client has to know of a listener's TLS.
struct TlsInUri {
  std::string user;      // of PSK; "" if any of several
  std::string psk_file;  // "" if it is not PSK, or no file of the client's
};
/// The URI that clients take (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md).
/// `host_name` stands for an address that means all of this machine's.
[[nodiscard]] std::string UriOf(const Address& address, std::string_view export_name,
                                const std::optional<TlsInUri>& tls = std::nullopt,
                                std::string_view host_name = {});

enum class DirectoryRule {
  kPrivate,      // ours, and nobody else may even look in: the runtime directory
  kNotHijacked,  // chosen by the user: nobody else can put another socket in this one's place
};
/// Checks the directory that is to hold the socket `path`.
[[nodiscard]] Status CheckSocketDirectory(FileSystem& fs, const std::string& path,
                                          DirectoryRule rule);

}  // namespace coffer::nbd
