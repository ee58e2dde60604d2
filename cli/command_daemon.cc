// coffer daemon run | stop | restart | status
#include "cli/command.h"
#include "cli/common.h"
#include "cli/daemon_start.h"
#include "cli/output.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

constexpr Option kForceOption = {
    "--force", Option::Value::kNone,
    "Although programs are connected to volumes, or use what is mounted or an image"};

Result<int> RunInForeground(Session& session, const Arguments&) {
  return Fail(RunDaemonInForeground(session));
}

/// An exit code; `ended` is the daemon that has ended, without a pid if none ran. What keeps it
/// from ending is shown.
Result<int> End(Session& session, const Arguments& arguments, control::VersionInfo* ended) {
  control::StopRequest request;
  request.force = arguments.Has("--force");
  RETURN_IF_ERROR(LeaveDirectory());
  const auto running = session.RunningDaemon().Version();
  std::vector<control::HolderInfo> holders;
  const Status stopped = StopDaemonAndWait(session, request, &holders);
  if (stopped.has_value()) *ended = running.value_or(control::VersionInfo{});
  if (stopped.has_value() || stopped.error().code == ErrorCode::kNotFound) {
    return control::kExitDone;
  }
  ShowError(stopped.error(), session.json(), holders);
  return control::ExitCodeOf(stopped.error().code);
}

Result<int> Stop(Session& session, const Arguments& arguments) {
  control::VersionInfo ended;
  ASSIGN_OR_RETURN(const int code, End(session, arguments, &ended));
  if (code != control::kExitDone) return code;
  if (session.json()) {
    PrintJson(ended);
  } else if (ended.pid == 0) {
    PrintLine("cofferd is not running");
  }
  return control::kExitDone;
}

Result<int> Restart(Session& session, const Arguments& arguments) {
  control::VersionInfo ended;
  ASSIGN_OR_RETURN(const int code, End(session, arguments, &ended));
  if (code != control::kExitDone) return code;
  RETURN_IF_ERROR(EnsureDaemonRuns(session));
  if (!session.json()) return control::kExitDone;
  ASSIGN_OR_RETURN(const control::VersionInfo now, session.RunningDaemon().Version());
  PrintJson(now);
  return control::kExitDone;
}

Result<int> ShowStatus(Session& session, const Arguments&) {
  auto client = session.RunningDaemon();
  ASSIGN_OR_RETURN(const auto version, client.Version());
  if (session.json()) {
    PrintJson(version);
    return control::kExitDone;
  }
  PrintLine("cofferd " + version.version + " runs, pid " + std::to_string(version.pid) + ", at " +
            session.control_socket());
  return control::kExitDone;
}

}  // namespace

Command DaemonRunCommand() {
  return {"daemon run", "Run cofferd in the foreground, logging to stderr", {},
          {},           "  coffer daemon run --log-level=debug\n",          RunInForeground};
}

Command DaemonStopCommand() {
  return {"daemon stop",
          "End cofferd; what is not uploaded stays in the journals",
          {},
          {kForceOption},
          "  coffer daemon stop\n",
          Stop};
}

Command DaemonRestartCommand() {
  return {"daemon restart",
          "End cofferd and start this version; volumes are to be opened again",
          {},
          {kForceOption},
          "  coffer daemon restart\n",
          Restart};
}

Command DaemonStatusCommand() {
  return {"daemon status",
          "Whether cofferd runs, and which version",
          {},
          {},
          "  coffer daemon status --json\n",
          ShowStatus};
}

}  // namespace coffer::cli
