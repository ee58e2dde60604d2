#include "core/control/activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/base/log.h"

namespace coffer::control {
namespace {

constexpr int kFirst = 3;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::optional<int> Number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> Names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(':'));
    names.emplace_back(name);
    text.remove_prefix(std::min(text.size(), name.size() + 1));
  }
  return names;
}

std::optional<int> OptionOf(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0) return std::nullopt;
  return value;
}

struct BoundAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
};

std::optional<BoundAddress> BoundTo(int fd) {
  BoundAddress address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    return std::nullopt;
  }
  return address;
}

std::string PathOf(const BoundAddress& address) {
  const auto* unix_address = reinterpret_cast<const sockaddr_un*>(&address.storage);
  if (address.storage.ss_family != AF_UNIX) return {};
  const std::size_t offset = offsetof(sockaddr_un, sun_path);
  if (address.length <= offset) return {};
  return std::string(unix_address->sun_path,
                     strnlen(unix_address->sun_path, address.length - offset));
}

Result<InheritedSocket> Take(int number, std::string name) {
  const auto refused = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, Concat("socket activation: descriptor ", number, " (",
                                                    EscapeForTerminal(name), ") ", why));
  };
  UniqueFd fd(number);
  if (OptionOf(number, SO_TYPE) != SOCK_STREAM) return refused("is no stream socket");
  if (OptionOf(number, SO_ACCEPTCONN) != 1) return refused("does not listen");
  const int flags = fcntl(number, F_GETFL);
  if (flags < 0 || fcntl(number, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(number, F_SETFD, FD_CLOEXEC) != 0) {
    return Fail(ErrorFromErrno(errno, Concat("socket activation: descriptor ", number)));
  }
  const auto address = BoundTo(number);
  if (!address) return refused("has no address");
  return InheritedSocket{std::move(name), std::move(fd), PathOf(*address),
                         IsReachableFromOutside(number)};
}

}  // namespace

Result<std::vector<InheritedSocket>> TakeInheritedSockets() {
  const std::string pid = Variable("LISTEN_PID");
  const std::string count_text = Variable("LISTEN_FDS");
  const std::vector<std::string> names = Names(Variable("LISTEN_FDNAMES"));
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(variable);
  std::vector<InheritedSocket> sockets;
  // Meant for another process, of which this is a child.
  if (Number(pid) != getpid()) return sockets;
  const auto count = Number(count_text);
  if (!count || *count < 0 || *count > kInheritedSocketsMax) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("socket activation: LISTEN_FDS is ", EscapeForTerminal(count_text),
                       ", expected 1 to ", kInheritedSocketsMax));
  }
  for (int i = 0; i < *count; ++i) {
    const auto place = static_cast<std::size_t>(i);
    ASSIGN_OR_RETURN(InheritedSocket socket,
                     Take(kFirst + i, place < names.size() ? names[place] : "unknown"));
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

bool IsReachableFromOutside(int fd) {
  const auto address = BoundTo(fd);
  if (!address) return false;
  if (address->storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address->storage);
    return (ntohl(v4->sin_addr.s_addr) >> 24) != IN_LOOPBACKNET;
  }
  if (address->storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address->storage);
    return !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  }
  return address->storage.ss_family != AF_UNIX;
}

}  // namespace coffer::control
