// Relay: carries bytes between a client that this process was given, on a socket or two pipes, and
// a Unix socket of cofferd. It knows nothing of NBD, so TLS goes through it as it is.
//
// A connection's two directions end separately: where one side says no more, the other is told so
// (a half-closed socket, a closed pipe), and what still comes back goes on. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {

/// Clients at once; more wait in the backlog.
inline constexpr std::size_t kRelayedClientsMax = 64;

class Relay {
 public:
  enum class End {
    kClientsGone,  // the client of stdin and stdout has gone
    kSignal,       // `cancel_fd` became readable
    kOrphaned,     // whoever started this process is gone
    kServerGone,   // nobody listens at `server_path` any more
  };

  /// Bytes go to and from the socket at `server_path`.
  Relay(std::string server_path, int cancel_fd);
  ~Relay();

  /// `in` and `out` may be two ends of one socket, two descriptors of the same one, or two pipes.
  Result<End> ServePair(control::UniqueFd in, control::UniqueFd out);
  /// Everybody who connects to `listeners`, until a signal or until the parent process has gone.
  Result<End> ServeListeners(std::vector<control::UniqueFd> listeners);

  [[nodiscard]] std::size_t clients() const { return pairs_.size(); }

 private:
  class Pair;

  Status Add(control::UniqueFd in, control::UniqueFd out);
  void Accept(int listener);
  /// nullopt: go on.
  Result<bool> Turn(const std::vector<control::UniqueFd>& listeners);

  const std::string server_path_;
  const int cancel_fd_;
  std::vector<std::unique_ptr<Pair>> pairs_;
};

}  // namespace coffer::cli
