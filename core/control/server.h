// ControlServer: the control API on a Unix socket.
//
// One I/O thread ("control") polls all sockets and never blocks in anything else; requests run on
// the executor given, which bounds how many run at once. What is answered at once (dispatcher.h)
// runs on one of its own, what looks for a moment on another: they are never behind what waits for
// a store. Of that at most `waiting_max` is taken in hand, more is refused. A peer of another user
// is dropped before a byte of it is read. At most `connections_max` clients are looked at; more
// wait in the backlog.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/result.h"
#include "core/control/service.h"
#include "core/control/unix_socket.h"

namespace coffer::control {

class ControlServer {
 public:
  struct Options {
    std::string socket_path;  // in a private directory; nothing stands there
    uid_t allowed_uid = geteuid();
    std::size_t connections_max = 64;
    std::size_t streams_max = 16;  // of them, /v1/events
    std::size_t waiting_max = 32;  // of them, requests that may wait for a store
    Duration request_time = std::chrono::seconds(10);
    Duration reply_time = std::chrono::seconds(30);
  };

  /// Service, executor and clock outlive the server. An `inherited` socket listens at socket_path
  /// already, made by somebody else, and its name stays at the end.
  static Result<std::unique_ptr<ControlServer>> Start(ControlService& service, Executor& handlers,
                                                      Clock& clock, Options options,
                                                      UniqueFd inherited = {});
  virtual ~ControlServer() = default;  // stops

  /// Refuses new clients from now on and removes the socket; requests in hand go on.
  virtual void StopAccepting() = 0;
  /// StopAccepting, ends event streams, waits for requests in hand and sends their replies.
  virtual void Stop() = 0;
};

}  // namespace coffer::control
