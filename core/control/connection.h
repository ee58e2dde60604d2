// One client of the control server: its socket and where it stands. Only the server's I/O thread
// touches it.
//
// States: reading (a request comes in) -> handling (some thread works on it; the socket is left
// alone) -> writing (the reply goes out) -> done; reading -> streaming (events go out until the
// client leaves) -> done; reading -> writing when the request is refused. Reading and writing have
// a deadline, streaming one whenever output waits: a client that stalls is cut off.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/control/http.h"
#include "core/control/service.h"
#include "core/control/unix_socket.h"

namespace coffer::control {

class Connection {
 public:
  enum class State { kReading, kHandling, kWriting, kStreaming, kDone };

  Connection(UniqueFd socket, MonotonicTime deadline)
      : socket_(std::move(socket)), deadline_(deadline) {}

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  /// poll() events to wait for, 0 for none.
  [[nodiscard]] short poll_events() const;
  /// When it is to be cut off, if the state has a limit.
  [[nodiscard]] std::optional<MonotonicTime> deadline() const;

  /// The socket can be read. Returns the request once it is whole; the state is then handling.
  std::optional<HttpRequest> OnReadable(MonotonicTime now, Duration reply_time);
  /// The socket can be written.
  void OnWritable();
  /// From handling: sends `reply` and ends.
  void StartReply(const HttpReply& reply, const std::string& server, MonotonicTime deadline);
  /// From handling: sends the head of a stream; Push adds to it.
  void StartStream(std::string head, std::unique_ptr<EventSubscription> subscription,
                   MonotonicTime deadline);
  void Push(std::string_view line, MonotonicTime deadline);
  /// Bytes that wait to be sent.
  [[nodiscard]] std::size_t backlog() const { return output_.size() - sent_; }
  void End();

 private:
  void Refuse(MonotonicTime deadline);

  UniqueFd socket_;
  State state_ = State::kReading;
  MonotonicTime deadline_;
  RequestReader reader_;
  WipedString output_;
  std::size_t sent_ = 0;
  std::unique_ptr<EventSubscription> subscription_;
};

}  // namespace coffer::control
