// coffer close NAME | --all
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  if (name.empty() != arguments.Has("--all")) {
    return Fail(ErrorCode::kInvalidArgument, "name one volume, or say --all");
  }
  control::CloseRequest request;
  request.no_wait = arguments.Has("--no-wait");
  request.force = arguments.Has("--force");
  RETURN_IF_ERROR(LeaveDirectory());
  auto client = session.RunningDaemon();
  const auto daemon = client.Version();
  if (name.empty() && !daemon.has_value() && daemon.error().code == ErrorCode::kNotFound) {
    if (session.json()) PrintJson(control::Empty{});
    return control::kExitDone;  // without a daemon nothing is open
  }
  ASSIGN_OR_RETURN(const auto job, client.Close(name, request));
  return FinishJob(session, client, job);
}

}  // namespace

Command CloseCommand() {
  using Value = Option::Value;
  return {"close",
          "Unmount a volume, upload what is new and close it",
          {{"NAME", "VOLUME or VAULT/VOLUME", false}},
          {{"--all", Value::kNone, "Every open volume"},
           {"--no-wait", Value::kNone,
            "Leave what is not uploaded in this machine's journal, and say how much"},
           {"--force", Value::kNone,
            "Although programs are connected, or use what is mounted or the image: what can be "
            "flushed is, then they lose it; an upload that stands still for 60 s is left in the "
            "journal"}},
          "  coffer close photos\n"
          "  coffer close --all --no-wait\n",
          Run};
}

}  // namespace coffer::cli
