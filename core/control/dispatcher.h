// Dispatcher: one request in, one reply out. Knows paths and JSON, no socket; its routes stand in
// one table in dispatcher.cc. Thread-safe; blocks as long as the service does.
#pragma once

#include <string>

#include "core/control/http.h"
#include "core/control/service.h"

namespace coffer::control {

class Dispatcher {
 public:
  explicit Dispatcher(ControlService& service) : service_(service) {}

  [[nodiscard]] HttpReply Dispatch(HttpRequest request);

  /// GET /v1/events, which is answered by a stream instead.
  [[nodiscard]] static bool IsEventStream(const HttpRequest& request);
  enum class Takes {
    kNoTime,   // told from memory or the machine's own files, or only begun
    kAMoment,  // looks for a second whether somebody lets go
    kAWhile,   // may wait for a store, or hash a password
  };
  [[nodiscard]] static Takes HowLong(const HttpRequest& request);

 private:
  ControlService& service_;
};

/// The reply that carries `error`; `what` names the request or thing it is about.
[[nodiscard]] HttpReply ErrorReply(const Error& error, const std::string& what);
/// The reply to a request refused before it was parsed whole.
[[nodiscard]] HttpReply RefusalReply(int status, const std::string& message);

}  // namespace coffer::control
