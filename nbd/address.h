// Where a listener may be: "unix:PATH" or "tcp:127.0.0.1:PORT". NBD as coffer speaks it has neither
// encryption nor a login, so it never leaves this machine; a Unix socket's directory is its lock.
#pragma once

#include <cstdint>
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
  std::uint16_t port = 0;                      // kTcp, on 127.0.0.1; 0 = any free one
  [[nodiscard]] std::string ToString() const;  // as ParseAddress takes it
};

[[nodiscard]] Result<Address> ParseAddress(std::string_view text);
/// An address of its own kind for a path that is not in "unix:" form.
[[nodiscard]] Result<Address> UnixAddress(std::string_view path);

/// The URI that clients take (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md).
[[nodiscard]] std::string UriOf(const Address& address, std::string_view export_name);

enum class DirectoryRule {
  kPrivate,      // ours, and nobody else may even look in: the runtime directory
  kNotHijacked,  // chosen by the user: nobody else can put another socket in this one's place
};
/// Checks the directory that is to hold the socket `path`.
[[nodiscard]] Status CheckSocketDirectory(FileSystem& fs, const std::string& path,
                                          DirectoryRule rule);

}  // namespace coffer::nbd
