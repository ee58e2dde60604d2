// Unix sockets as server and client of the control API use them: close-on-exec, non-blocking, never
// abstract.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace coffer::control {

using coffer::UniqueFd;

/// kInvalidArgument for a path longer than the 107 bytes that the kernel takes.
Status CheckSocketPath(const std::string& path);

/// Listens at `path`, mode 0600 before the first client can connect. kConflict if something stands
/// there: whoever holds the lock of the place removes a stale socket first.
Result<UniqueFd> ListenUnix(const std::string& path);
/// kNotFound when nobody listens at `path`.
Result<UniqueFd> ConnectUnix(const std::string& path);
/// The user at the other end, as the kernel says.
Result<uid_t> PeerUid(int fd);
/// The process that listens, or listened first, at the other end.
Result<pid_t> PeerPid(int fd);

}  // namespace coffer::control
