#include "nbd/address.h"

#include <unistd.h>

#include <charconv>

#include "core/base/log.h"

namespace coffer::nbd {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kTcpPrefix = "tcp:";
constexpr std::string_view kLoopback = "127.0.0.1:";

// RFC 3986 section 2: everything but unreserved characters (and "/" in a path) is escaped.
std::string PercentEncoded(std::string_view text, std::string_view also_plain) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos || also_plain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto value = static_cast<unsigned char>(c);
      encoded += {'%', kHex[value >> 4], kHex[value & 15]};
    }
  }
  return encoded;
}

Result<Address> TcpAddress(std::string_view host_and_port) {
  if (host_and_port.substr(0, kLoopback.size()) != kLoopback) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("tcp:", EscapeForTerminal(host_and_port),
                       ": only 127.0.0.1:PORT is listened on, since NBD has no encryption and no "
                       "password"),
                "to reach it from another machine, forward the port with ssh -L");
  }
  const std::string_view digits = host_and_port.substr(kLoopback.size());
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("tcp:", EscapeForTerminal(host_and_port), ": not a port number"));
  }
  return Address{Address::Kind::kTcp, {}, port};
}

}  // namespace

std::string Address::ToString() const {
  if (kind == Kind::kUnix) return Concat(kUnixPrefix, path);
  return Concat(kTcpPrefix, kLoopback, port);
}

Result<Address> UnixAddress(std::string_view path) {
  const auto refused = [path](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("socket path ", EscapeForTerminal(path), ": ", why));
  };
  if (path.empty() || path.front() != '/') return refused("must be absolute");
  if (path.back() == '/') return refused("names a directory");
  if (path.find('\0') != std::string_view::npos) return refused("holds a zero byte");
  if (path.size() > kSocketPathBytesMax) {
    return refused(Concat(path.size(), " bytes, a Unix socket's path can have ",
                          kSocketPathBytesMax, " at most"));
  }
  return Address{Address::Kind::kUnix, std::string(path)};
}

Result<Address> ParseAddress(std::string_view text) {
  if (text.substr(0, kUnixPrefix.size()) == kUnixPrefix) {
    return UnixAddress(text.substr(kUnixPrefix.size()));
  }
  if (text.substr(0, kTcpPrefix.size()) == kTcpPrefix) {
    return TcpAddress(text.substr(kTcpPrefix.size()));
  }
  return Fail(ErrorCode::kInvalidArgument, Concat("NBD address ", EscapeForTerminal(text),
                                                  ": neither unix:PATH nor tcp:127.0.0.1:PORT"));
}

std::string UriOf(const Address& address, std::string_view export_name) {
  const std::string name = PercentEncoded(export_name, "@");
  if (address.kind == Address::Kind::kTcp) {
    return Concat("nbd://", kLoopback, address.port, "/", name);
  }
  return Concat("nbd+unix:///", name, "?socket=", PercentEncoded(address.path, "/"));
}

Status CheckSocketDirectory(FileSystem& fs, const std::string& path, DirectoryRule rule) {
  constexpr std::uint32_t kOthersMayWrite = 0022;
  constexpr std::uint32_t kSticky = 01000;  // only its owner may remove or rename an entry
  const std::string directory = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  // "DIR/." reaches the directory itself where DIR is a symlink to it.
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(directory + "/."));
  const auto refused = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("directory ", directory, " of NBD socket ", path, ": ", why));
  };
  const bool ours = info.owner_uid == ::geteuid();
  if (rule == DirectoryRule::kPrivate) {
    if (!ours) return refused("belongs to another user");
    if (info.mode & 0077) return refused("other users may enter it (chmod 700 it)");
    return {};
  }
  if (!ours && info.owner_uid != 0) return refused("belongs to another user");
  if ((info.mode & kOthersMayWrite) && !(info.mode & kSticky)) {
    return refused("other users could put a socket of theirs in its place");
  }
  return {};
}

}  // namespace coffer::nbd
