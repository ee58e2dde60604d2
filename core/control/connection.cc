#include "core/control/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/base/check.h"
#include "core/control/dispatcher.h"
#include "core/control/version.h"

namespace coffer::control {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

bool IsTransient(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

short Connection::poll_events() const {
  switch (state_) {
    case State::kReading:
      return POLLIN;
    case State::kWriting:
      return POLLOUT;
    case State::kStreaming:
      return backlog() > 0 ? POLLIN | POLLOUT : POLLIN;
    case State::kHandling:
    case State::kDone:
      return 0;
  }
  return 0;
}

std::optional<MonotonicTime> Connection::deadline() const {
  const bool limited = state_ == State::kReading || state_ == State::kWriting ||
                       (state_ == State::kStreaming && backlog() > 0);
  if (!limited) return std::nullopt;
  return deadline_;
}

std::optional<HttpRequest> Connection::OnReadable(MonotonicTime now, Duration reply_time) {
  std::array<char, kReadBytes> buffer;
  const ssize_t count = recv(fd(), buffer.data(), buffer.size(), 0);
  if (count <= 0) {
    if (count == 0 || !IsTransient(errno)) End();
    return std::nullopt;
  }
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
  std::optional<HttpRequest> request;
  if (state_ == State::kReading) {
    const auto progress = reader_.Feed(bytes);
    if (progress == RequestReader::State::kRefused) Refuse(now + reply_time);
    if (progress == RequestReader::State::kComplete) {
      state_ = State::kHandling;
      request = reader_.Take();
    }
    // Small enough for any socket buffer; a client that does not get it sends the body anyway.
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (state_ == State::kReading && reader_.TakeContinue()) {
      send(fd(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
    }
  }
  Wipe({reinterpret_cast<std::byte*>(buffer.data()), bytes.size()});
  return request;
}

void Connection::OnWritable() {
  const ssize_t count = send(fd(), output_.data() + sent_, backlog(), MSG_NOSIGNAL);
  if (count < 0) {
    if (!IsTransient(errno)) End();
    return;
  }
  sent_ += static_cast<std::size_t>(count);
  if (backlog() > 0) return;
  output_.clear();
  sent_ = 0;
  if (state_ == State::kWriting) End();
}

void Connection::StartReply(const HttpReply& reply, const std::string& server,
                            MonotonicTime deadline) {
  CHECK(state_ == State::kHandling || state_ == State::kReading);
  output_ = FormatReply(reply, server);
  deadline_ = deadline;
  state_ = State::kWriting;
}

void Connection::StartStream(std::string head, std::unique_ptr<EventSubscription> subscription,
                             MonotonicTime deadline) {
  CHECK(state_ == State::kHandling);
  output_.assign(head.data(), head.size());
  subscription_ = std::move(subscription);
  deadline_ = deadline;
  state_ = State::kStreaming;
}

void Connection::Push(std::string_view line, MonotonicTime deadline) {
  if (state_ != State::kStreaming) return;
  if (backlog() == 0) deadline_ = deadline;
  output_.erase(0, std::exchange(sent_, 0));
  output_.append(line.data(), line.size()).append("\n");
}

void Connection::Refuse(MonotonicTime deadline) {
  const int status = reader_.Refusal().status;
  StartReply(RefusalReply(status, "the request is malformed or larger than allowed"), ServerName(),
             deadline);
}

void Connection::End() {
  subscription_.reset();
  socket_ = UniqueFd();
  state_ = State::kDone;
}

}  // namespace coffer::control
