// Listening sockets handed over by whoever started this process, as systemd does it and as
// sd_listen_fds(3) describes: LISTEN_PID is this process, LISTEN_FDS counts the descriptors from 3
// on, LISTEN_FDNAMES names them, separated by colons.
//
// Before the process has threads; the variables are gone afterwards, so that no child takes them.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/control/unix_socket.h"

namespace coffer::control {

inline constexpr int kInheritedSocketsMax = 16;

struct InheritedSocket {
  std::string name;  // "unknown" where LISTEN_FDNAMES has none
  UniqueFd fd;       // listening, stream; close-on-exec and non-blocking from here on
  /// Where it is bound: a Unix socket's path; "" for any other family.
  std::string path;
  /// A peer on another machine could connect.
  bool reachable_from_outside;
};

/// None where nothing was handed over to this process. kInvalidArgument for what is no listening
/// stream socket: whoever made it meant something else.
Result<std::vector<InheritedSocket>> TakeInheritedSockets();

/// A socket whose peers, or whose only peer, may be on another machine: TCP, unless bound to this
/// one's own addresses.
[[nodiscard]] bool IsReachableFromOutside(int fd);

}  // namespace coffer::control
