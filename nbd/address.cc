#include "nbd/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include "core/base/log.h"

namespace coffer::nbd {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kTcpPrefix = "tcp:";

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

bool IsIpv6(std::string_view host) { return host.find(':') != std::string_view::npos; }

// "127.0.0.1", "[::1]": without the brackets, if it is an address in numbers.
std::optional<std::string> NumericHost(std::string_view text) {
  const bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
  const std::string host(bracketed ? text.substr(1, text.size() - 2) : text);
  std::array<std::byte, sizeof(in6_addr)> parsed;
  if (::inet_pton(bracketed ? AF_INET6 : AF_INET, host.c_str(), parsed.data()) != 1) {
    return std::nullopt;
  }
  return host;
}

Result<Address> TcpAddress(std::string_view host_and_port) {
  const auto refused = [host_and_port](std::string_view why, std::string hint = {}) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("tcp:", EscapeForTerminal(host_and_port), ": ", why), std::move(hint));
  };
  const std::size_t colon = host_and_port.rfind(':');
  const auto host = NumericHost(host_and_port.substr(0, colon));
  if (colon == std::string_view::npos || !host) {
    return refused("expected an address in numbers and a port",
                   "tcp:127.0.0.1:10809, or tcp:[::1]:10809");
  }
  const std::string_view digits = host_and_port.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return refused("not a port number");
  }
  return Address{Address::Kind::kTcp, {}, *host, port};
}

std::string HostInUri(const Address& address, std::string_view host_name) {
  const bool any = address.host == "0.0.0.0" || address.host == "::";
  if (any && !host_name.empty()) return PercentEncoded(host_name, "");
  return IsIpv6(address.host) ? Concat("[", address.host, "]") : address.host;
}

}  // namespace

std::string Address::ToString() const {
  if (kind == Kind::kUnix) return Concat(kUnixPrefix, path);
  return Concat(kTcpPrefix, HostInUri(*this, {}), ":", port);
}

bool Address::IsLocal() const {
  constexpr std::string_view kLoopback = "127.";
  return kind == Kind::kUnix || host == "::1" ||
         std::string_view(host).substr(0, kLoopback.size()) == kLoopback;
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
                                                  ": neither unix:PATH nor tcp:ADDRESS:PORT"));
}

std::string UriOf(const Address& address, std::string_view export_name,
                  const std::optional<TlsInUri>& tls, std::string_view host_name) {
  std::string uri = tls ? "nbds" : "nbd";
  uri += address.kind == Address::Kind::kUnix ? "+unix://" : "://";
  if (tls && !tls->user.empty()) uri += PercentEncoded(tls->user, "") + "@";
  if (address.kind == Address::Kind::kTcp) {
    uri += Concat(HostInUri(address, host_name), ":", address.port);
  }
  uri += "/" + PercentEncoded(export_name, "@");
  char separator = '?';
  const auto parameter = [&](std::string_view name, std::string_view path) {
    uri += Concat(std::string(1, separator), name, "=", PercentEncoded(path, "/"));
    separator = '&';
  };
  if (address.kind == Address::Kind::kUnix) parameter("socket", address.path);
  if (tls && !tls->psk_file.empty()) parameter("tls-psk-file", tls->psk_file);
  return uri;
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
