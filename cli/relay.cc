#include "cli/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "cli/terminal.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;
/// How often to look whether the parent process is still there.
constexpr int kParentMilliseconds = 2'000;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

Status SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Fail(ErrorFromErrno(errno, "preparing a descriptor"));
  }
  return {};
}

bool IsSocket(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

/// One direction.
class Flow {
 public:
  /// `to` is closed at the end if it is the only way to say so.
  Flow(int from, control::UniqueFd& to) : from_(from), to_(to), socket_(IsSocket(to.get())) {}

  [[nodiscard]] bool ended() const { return ended_; }
  /// It will not go on: the receiver is gone.
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool wants_input() const { return !ended_ && !eof_ && begin_ == end_; }
  [[nodiscard]] bool wants_output() const { return !ended_ && begin_ < end_; }
  [[nodiscard]] int from() const { return from_; }
  [[nodiscard]] int to() const { return to_.get(); }

  void Move() {
    if (wants_input()) Fill();
    if (wants_output()) Drain();
    if (eof_ && begin_ == end_ && !ended_) End();
  }

 private:
  void Fill() {
    const ssize_t got = read(from_, buffer_.data(), buffer_.size());
    if (got < 0 && WouldBlock()) return;
    if (got <= 0) {
      eof_ = true;
      return;
    }
    begin_ = 0;
    end_ = static_cast<std::size_t>(got);
  }
  void Drain() {
    // A pipe without a reader would end the process with SIGPIPE, which main has blocked.
    const ssize_t sent = socket_
                             ? send(to_.get(), buffer_.data() + begin_, end_ - begin_, MSG_NOSIGNAL)
                             : write(to_.get(), buffer_.data() + begin_, end_ - begin_);
    if (sent < 0 && WouldBlock()) return;
    if (sent <= 0) {
      broken_ = true;
      ended_ = true;
      return;
    }
    begin_ += static_cast<std::size_t>(sent);
  }
  void End() {
    ended_ = true;
    if (socket_) {
      shutdown(to_.get(), SHUT_WR);
    } else {
      to_ = control::UniqueFd();
    }
  }

  const int from_;
  control::UniqueFd& to_;
  const bool socket_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool eof_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace

class Relay::Pair {
 public:
  Pair(control::UniqueFd in, control::UniqueFd out, control::UniqueFd server)
      : in_(std::move(in)), out_(std::move(out)), server_(std::move(server)) {}

  /// cofferd has said all it has to say, or one of the two is gone.
  [[nodiscard]] bool done() const { return down_.ended() || up_.broken(); }
  void Watch(std::vector<pollfd>& entries) const {
    const auto watch = [&entries](int fd, short events) {
      if (events != 0) entries.push_back({fd, events, 0});
    };
    watch(up_.from(), up_.wants_input() ? POLLIN : 0);
    watch(up_.to(), up_.wants_output() ? POLLOUT : 0);
    watch(down_.from(), down_.wants_input() ? POLLIN : 0);
    watch(down_.to(), down_.wants_output() ? POLLOUT : 0);
  }
  void Move() {
    up_.Move();
    down_.Move();
  }

 private:
  control::UniqueFd in_;
  control::UniqueFd out_;
  control::UniqueFd server_;
  Flow up_{in_.get(), server_};
  Flow down_{server_.get(), out_};
};

Relay::Relay(std::string server_path, int cancel_fd)
    : server_path_(std::move(server_path)), cancel_fd_(cancel_fd) {}
Relay::~Relay() = default;

Status Relay::Add(control::UniqueFd in, control::UniqueFd out) {
  RETURN_IF_ERROR(SetNonBlocking(in.get()));
  RETURN_IF_ERROR(SetNonBlocking(out.get()));
  ASSIGN_OR_RETURN(control::UniqueFd server, control::ConnectUnix(server_path_));
  pairs_.push_back(std::make_unique<Pair>(std::move(in), std::move(out), std::move(server)));
  return {};
}

void Relay::Accept(int listener) {
  control::UniqueFd client(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!client.valid()) return;
  control::UniqueFd same(fcntl(client.get(), F_DUPFD_CLOEXEC, 0));
  const Status added = same.valid() ? Add(std::move(client), std::move(same))
                                    : Status(Fail(ErrorFromErrno(errno, "taking a client")));
  if (!added) TellUser("a client was dropped: " + added.error().message);
}

// True: the user wants an end.
Result<bool> Relay::Turn(const std::vector<control::UniqueFd>& listeners) {
  std::vector<pollfd> entries = {{cancel_fd_, POLLIN, 0}};
  if (pairs_.size() < kRelayedClientsMax) {
    for (const control::UniqueFd& listener : listeners) {
      entries.push_back({listener.get(), POLLIN, 0});
    }
  }
  const std::size_t accepting = entries.size();
  for (const auto& pair : pairs_) pair->Watch(entries);
  const int timeout = listeners.empty() ? -1 : kParentMilliseconds;
  if (poll(entries.data(), entries.size(), timeout) < 0 && errno != EINTR) {
    return Fail(ErrorFromErrno(errno, "waiting for clients"));
  }
  if (entries[0].revents != 0) return true;
  for (std::size_t i = 1; i < accepting; ++i) {
    if (entries[i].revents != 0) Accept(entries[i].fd);
  }
  for (const auto& pair : pairs_) pair->Move();
  std::erase_if(pairs_, [](const auto& pair) { return pair->done(); });
  return false;
}

Result<Relay::End> Relay::ServePair(control::UniqueFd in, control::UniqueFd out) {
  RETURN_IF_ERROR(Add(std::move(in), std::move(out)));
  while (!pairs_.empty()) {
    ASSIGN_OR_RETURN(const bool asked, Turn({}));
    if (asked) return End::kSignal;
  }
  return End::kClientsGone;
}

Result<Relay::End> Relay::ServeListeners(std::vector<control::UniqueFd> listeners) {
  const pid_t parent = getppid();
  while (true) {
    ASSIGN_OR_RETURN(const bool asked, Turn(listeners));
    if (asked) return End::kSignal;
    if (getppid() != parent) return End::kOrphaned;
  }
}

}  // namespace coffer::cli
