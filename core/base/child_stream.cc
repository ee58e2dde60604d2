#include "core/base/child_stream.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace coffer {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
/// After the end of its output a program still says why, and ends by itself.
constexpr std::chrono::milliseconds kEndsByItselfWithin{2000};
constexpr std::chrono::milliseconds kEndsWhenAskedWithin{1000};

}  // namespace

ChildStream::ChildStream(ConnectedChild child, UniqueFd wake, Listener& listener,
                         std::chrono::milliseconds idle_max)
    : child_(child.child),
      pid_(child.child.pid()),
      stream_(std::move(child.stream)),
      errors_(std::move(child.errors)),
      wake_(std::move(wake)),
      listener_(listener),
      idle_max_(idle_max) {}

Result<std::unique_ptr<ChildStream>> ChildStream::Start(const std::vector<std::string>& words,
                                                        const Options& options,
                                                        Listener& listener) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Fail(ErrorFromErrno(errno, "making an eventfd"));
  ASSIGN_OR_RETURN(ConnectedChild child, Child::StartConnected(words, options.environment));
  std::unique_ptr<ChildStream> stream(
      new ChildStream(std::move(child), std::move(wake), listener, options.idle_max));
  try {
    stream->thread_ = std::thread([raw = stream.get(), name = options.thread_name] {
      pthread_setname_np(pthread_self(), name);
      raw->Run();
    });
  } catch (const std::system_error&) {
    stream->EndProgram();
    return Fail(ErrorCode::kUnavailable, "no thread is to be had for " + words.front());
  }
  return stream;
}

ChildStream::~ChildStream() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

void ChildStream::Send(Bytes bytes) {
  const MutexLock lock(mutex_);
  if (ended_ || stopped_) return;
  const bool first = queue_.empty();
  queue_.push_back(std::move(bytes));
  // In place, as far as it goes: the thread need not wake for it.
  if (first) (void)SendQueuedLocked();
  if (first && !queue_.empty()) eventfd_write(wake_.get(), 1);
}

void ChildStream::Stop() {
  const MutexLock lock(mutex_);
  stopped_ = true;
  eventfd_write(wake_.get(), 1);
}

bool ChildStream::SendQueuedLocked() {
  while (!queue_.empty()) {
    const ByteView left = ByteView(queue_.front()).subspan(sent_);
    const ssize_t count = send(stream_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    sent_ += static_cast<std::size_t>(count);
    if (sent_ < queue_.front().size()) continue;
    queue_.pop_front();
    sent_ = 0;
  }
  return true;
}

bool ChildStream::Receive() {
  std::array<std::byte, kReadBytes> buffer;
  const ssize_t count = recv(stream_.get(), buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (count == 0) return false;
  listener_.OnBytes(ByteView(buffer).first(static_cast<std::size_t>(count)));
  return true;
}

void ChildStream::ReadErrors() {
  std::array<char, 1024> buffer;
  while (errors_open_) {
    const ssize_t count = read(errors_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;
    if (count == 0) errors_open_ = false;
    said_.append(buffer.data(), static_cast<std::size_t>(count));
    if (said_.size() > kSaidMax) said_.erase(0, said_.size() - kSaidMax);
  }
}

bool ChildStream::Move() {
  short wanted = POLLIN;
  {
    const MutexLock lock(mutex_);
    if (stopped_) return false;
    if (!queue_.empty()) wanted |= POLLOUT;
  }
  std::array<pollfd, 3> fds{{{stream_.get(), wanted, 0},
                             {errors_open_ ? errors_.get() : -1, POLLIN, 0},
                             {wake_.get(), POLLIN, 0}}};
  const int ready = poll(fds.data(), fds.size(), static_cast<int>(idle_max_.count()));
  if (ready < 0) return errno == EINTR;
  if (ready == 0) return false;  // idle
  if (fds[1].revents != 0) ReadErrors();
  if (fds[2].revents != 0) {
    eventfd_t count = 0;
    eventfd_read(wake_.get(), &count);
  }
  if ((fds[0].revents & POLLOUT) != 0) {
    const MutexLock lock(mutex_);
    if (!SendQueuedLocked()) queue_.clear();  // its end is about to be read
  }
  if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) return Receive();
  return true;
}

void ChildStream::EndProgram() {
  const bool stopped = [this] {
    const MutexLock lock(mutex_);
    ended_ = true;
    queue_.clear();
    return stopped_;
  }();
  shutdown(stream_.get(), SHUT_RDWR);
  if (!stopped && child_.AwaitEnd(kEndsByItselfWithin)) return;
  child_.Signal(SIGTERM);
  if (child_.AwaitEnd(kEndsWhenAskedWithin)) return;
  child_.Signal(SIGKILL);
  (void)child_.AwaitEnd(kEndsWhenAskedWithin);
}

void ChildStream::Run() {
  while (Move()) {
  }
  EndProgram();
  ReadErrors();
  {
    const MutexLock lock(mutex_);
    if (stopped_) return;
  }
  listener_.OnEnd({child_.exit_code(), said_});
}

}  // namespace coffer
