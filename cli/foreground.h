// coffer open --nbd=stdio and --nbd=socket-activation: for programs that start their NBD server
// themselves (libnbd, nbdcopy, qemu's tests) and for systemd. The volume is open in cofferd, as
// always, behind a listener of its own; this process relays bytes and stays until the client is
// gone or a signal comes. Then it closes the volume: with everything uploaded if the client had
// gone by itself, else at once, leaving the rest in the journal.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/session.h"
#include "core/base/result.h"
#include "core/control/activation.h"

namespace coffer::cli {

class Foreground {
 public:
  /// Null for an --nbd that is no foreground one. Takes the descriptors: from here on nothing that
  /// is printed reaches the client. kInvalidArgument if there are none, or if one leads to another
  /// machine.
  static Result<std::unique_ptr<Foreground>> Take(Session& session, const std::string& nbd);

  /// The listener to open the volume with.
  [[nodiscard]] std::string address() const { return "unix:" + socket_path_; }
  /// The volume `name` is open there, at `uri`: serves, then closes it. The exit code.
  Result<int> Serve(Session& session, control::ControlClient& client, const std::string& name,
                    const std::string& uri);

 private:
  Foreground() = default;
  Status TakeStandardStreams(Session& session);
  Status TakeListeners();
  Status CheckReach(const std::string& uri) const;
  Result<bool> ServeUntilEnd(Session& session);

  std::string socket_path_;
  control::UniqueFd in_;
  control::UniqueFd out_;
  std::vector<control::InheritedSocket> listeners_;
};

}  // namespace coffer::cli
