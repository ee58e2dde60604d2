// Starting cofferd: found beside the running coffer, else in libexecdir.
#pragma once

#include <string>

#include "cli/session.h"
#include "core/base/result.h"

namespace coffer::cli {

/// Returns once a daemon answers on the control socket. Starts one in the background where none
/// does, under a lock, so that two clients start one; says what kept it from starting, with the
/// exit code that it gave.
Status EnsureDaemonRuns(Session& session);

/// Becomes cofferd in the foreground; returns only if that fails.
Error RunDaemonInForeground(Session& session);

/// Asks the daemon to end and waits until its process is gone. kNotFound when none runs,
/// kConflict when it goes on because volumes are in use, kUnavailable when it is still there after
/// 15 s.
Status StopDaemonAndWait(Session& session, const control::StopRequest& request,
                         std::vector<control::HolderInfo>* holders);

}  // namespace coffer::cli
