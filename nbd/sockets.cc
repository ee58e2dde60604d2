#include "nbd/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::nbd {
namespace {

constexpr int kBacklog = 128;
// The kernel doubles it, up to twice net.core.wmem_max. Room for a few large replies saves a tenth
// of the work of reading them; more would only be memory for clients that do not take theirs.
constexpr int kSendBufferBytes = 512 << 10;
constexpr std::size_t kEventsAtOnce = 64;

sockaddr_un SockaddrOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

template <class Sockaddr>
const sockaddr* Generic(const Sockaddr& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Result<Descriptor> NewSocket(int family) {
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.open()) return Fail(ErrorFromErrno(errno, "making a socket"));
  return socket;
}

// A socket file whose server is gone refuses connections; any other file is left alone.
bool IsStale(const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  if (info.st_uid != ::geteuid()) return false;
  const auto probe = NewSocket(AF_UNIX);
  const sockaddr_un address = SockaddrOf(path);
  return probe && ::connect(probe->fd(), Generic(address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

Error SomethingIsThere(const std::string& path) {
  return {ErrorCode::kAlreadyExists, Concat("NBD socket ", path, ": something is there"),
          "choose another path, or remove it if no server uses it"};
}

Result<Descriptor> ListenUnix(const std::string& path, StaleSocket stale) {
  ASSIGN_OR_RETURN(Descriptor socket, NewSocket(AF_UNIX));
  // bind() gives the file the socket's own mode less the umask. Setting it here instead of in the
  // umask keeps the other threads of the process out of it.
  if (::fchmod(socket.fd(), 0600) != 0) return Fail(ErrorFromErrno(errno, "chmod of " + path));
  const sockaddr_un address = SockaddrOf(path);
  int bound = ::bind(socket.fd(), Generic(address), sizeof address);
  if (bound != 0 && errno == EADDRINUSE && stale == StaleSocket::kRemove && IsStale(path)) {
    ::unlink(path.c_str());
    bound = ::bind(socket.fd(), Generic(address), sizeof address);
  }
  if (bound != 0 && errno == EADDRINUSE) {
    return Fail(SomethingIsThere(path));
  }
  if (bound != 0) return Fail(ErrorFromErrno(errno, "binding NBD socket " + path));
  struct stat info;
  const bool is_private = ::lstat(path.c_str(), &info) == 0 && (info.st_mode & 0177) == 0;
  if (!is_private || ::listen(socket.fd(), kBacklog) != 0) {
    ::unlink(path.c_str());
    if (is_private) return Fail(ErrorFromErrno(errno, "listening on NBD socket " + path));
    return Fail(ErrorCode::kUnsupported,
                Concat("NBD socket ", path, ": its file system would let other users connect"));
  }
  return socket;
}

struct TcpSockaddr {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  [[nodiscard]] in_port_t& port() {
    return storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&storage)->sin_port;
  }
};

TcpSockaddr SockaddrOf(const Address& where) {
  TcpSockaddr address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, where.host.c_str(), &v4->sin_addr) == 1) {
    address.storage.ss_family = AF_INET;
    address.length = sizeof *v4;
  } else {
    CHECK(::inet_pton(AF_INET6, where.host.c_str(), &v6->sin6_addr) == 1);
    address.storage.ss_family = AF_INET6;
    address.length = sizeof *v6;
  }
  address.port() = htons(where.port);
  return address;
}

/// errno of bind or listen, in words.
Error NotListening(const Address& where) {
  if (errno == EADDRINUSE) {
    return {ErrorCode::kAlreadyExists, Concat(where.ToString(), ": the port is in use"),
            "choose another port, or 0 for any that is free"};
  }
  if (errno == EADDRNOTAVAIL) {
    return {ErrorCode::kInvalidArgument, Concat(where.ToString(), ": no address of this machine")};
  }
  return ErrorFromErrno(errno, "listening on " + where.ToString());
}

Result<Descriptor> BindTcp(const Address& where) {
  TcpSockaddr address = SockaddrOf(where);
  ASSIGN_OR_RETURN(Descriptor socket, NewSocket(address.storage.ss_family));
  const int on = 1;
  (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.fd(), reinterpret_cast<sockaddr*>(&address.storage), address.length) != 0) {
    return Fail(NotListening(where));
  }
  return socket;
}

Result<Descriptor> ListenTcp(Address& where) {
  ASSIGN_OR_RETURN(Descriptor socket, BindTcp(where));
  TcpSockaddr address = SockaddrOf(where);
  auto* generic = reinterpret_cast<sockaddr*>(&address.storage);
  if (::listen(socket.fd(), kBacklog) != 0 ||
      ::getsockname(socket.fd(), generic, &address.length) != 0) {
    return Fail(NotListening(where));
  }
  where.port = ntohs(address.port());
  return socket;
}

std::uint32_t EventsOf(Poller::Interest interest) {
  return (interest.read ? EPOLLIN : 0u) | (interest.write ? EPOLLOUT : 0u);
}

Transfer Failed() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return {Transfer::Outcome::kLater};
  }
  return {Transfer::Outcome::kGone};
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Descriptor::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Descriptor> Listen(Address& address, StaleSocket stale) {
  return address.kind == Address::Kind::kUnix ? ListenUnix(address.path, stale)
                                              : ListenTcp(address);
}

Status CheckFree(const Address& address, StaleSocket stale) {
  if (address.kind == Address::Kind::kTcp) {
    RETURN_IF_ERROR(BindTcp(address));
    return {};
  }
  struct stat info;
  const bool taken = ::lstat(address.path.c_str(), &info) == 0;
  if (!taken || (stale == StaleSocket::kRemove && IsStale(address.path))) return {};
  return Fail(SomethingIsThere(address.path));
}

Accepted Accept(const Descriptor& listener) {
  while (true) {
    Descriptor connection(::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection.open()) {
      (void)::setsockopt(connection.fd(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes,
                         sizeof kSendBufferBytes);
      const int on = 1;  // of TCP only; a Unix socket refuses it and loses nothing
      (void)::setsockopt(connection.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      // A client whose machine is gone must not hold a connection for ever.
      (void)::setsockopt(connection.fd(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      return {Accepted::Outcome::kConnection, std::move(connection)};
    }
    switch (errno) {
      case EINTR:
      case ECONNABORTED:
        continue;
      case EAGAIN:
        return {Accepted::Outcome::kNobody, {}};
      default:
        return {Accepted::Outcome::kExhausted, {}};
    }
  }
}

Peer PeerOf(const Descriptor& connection) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(connection.fd(), reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return {};
  if (storage.ss_family == AF_UNIX) {
    ucred credentials{};
    length = sizeof credentials;
    (void)::getsockopt(connection.fd(), SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    return {credentials.pid, ""};
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return {0, Concat("[", text.data(), "]:", ntohs(v6->sin6_port))};
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  return {0, Concat(text.data(), ":", ntohs(v4->sin_port))};
}

Transfer Receive(const Descriptor& socket, MutableByteView first, MutableByteView second) {
  std::array<iovec, 2> parts{{{first.data(), first.size()}, {second.data(), second.size()}}};
  const std::size_t skipped = first.empty() ? 1 : 0;
  msghdr message{};
  message.msg_iov = parts.data() + skipped;
  message.msg_iovlen = parts.size() - skipped;
  const ssize_t received = ::recvmsg(socket.fd(), &message, 0);
  if (received < 0) return Failed();
  if (received == 0) return {Transfer::Outcome::kEnd};
  return {Transfer::Outcome::kSome, static_cast<std::size_t>(received)};
}

Transfer Send(const Descriptor& socket, std::span<const ByteView> pieces) {
  std::array<iovec, kSendPiecesMax> parts;
  const std::size_t count = std::min(pieces.size(), parts.size());
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const ssize_t sent = ::sendmsg(socket.fd(), &message, MSG_NOSIGNAL);
  if (sent < 0) return Failed();
  return {Transfer::Outcome::kSome, static_cast<std::size_t>(sent)};
}

Result<std::unique_ptr<Poller>> Poller::Open() {
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.open()) return Fail(ErrorFromErrno(errno, "making an epoll instance"));
  Descriptor wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.open()) return Fail(ErrorFromErrno(errno, "making an eventfd"));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, wake.fd(), &event) != 0) {
    return Fail(ErrorFromErrno(errno, "watching an eventfd"));
  }
  return std::unique_ptr<Poller>(new Poller(std::move(epoll), std::move(wake)));
}

Status Poller::Add(const Descriptor& socket, PollTarget& target, Interest interest) {
  epoll_event event{};
  event.events = EventsOf(interest);
  event.data.ptr = &target;
  if (::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, socket.fd(), &event) != 0) {
    return Fail(ErrorFromErrno(errno, "watching a socket"));
  }
  return {};
}

void Poller::Change(const Descriptor& socket, PollTarget& target, Interest interest) {
  epoll_event event{};
  event.events = EventsOf(interest);
  event.data.ptr = &target;
  CHECK(::epoll_ctl(epoll_.fd(), EPOLL_CTL_MOD, socket.fd(), &event) == 0);
}

void Poller::Remove(const Descriptor& socket) {
  CHECK(::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, socket.fd(), nullptr) == 0);
}

Poller::WaitResult Poller::Wait(std::span<Ready> out, std::optional<Duration> timeout) {
  int milliseconds = -1;
  if (timeout) {
    // Rounded up: waking a little late is one pass, a little early is a pass that does nothing.
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    milliseconds = static_cast<int>(std::clamp<std::int64_t>(rounded, 0, 60'000));
  }
  std::array<epoll_event, kEventsAtOnce> events;
  const auto room = static_cast<int>(std::min(out.size(), events.size()));
  const int count = ::epoll_wait(epoll_.fd(), events.data(), room, milliseconds);
  CHECK(count >= 0 || errno == EINTR);
  WaitResult result{0, false};
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      std::uint64_t ignored;
      (void)!::read(wake_.fd(), &ignored, sizeof ignored);
      result.woken = true;
      continue;
    }
    out[result.count++] = {static_cast<PollTarget*>(event.data.ptr),
                           {(event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                            (event.events & (EPOLLHUP | EPOLLERR)) != 0}};
  }
  return result;
}

void Poller::Wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.fd(), &one, sizeof one);
}

}  // namespace coffer::nbd
