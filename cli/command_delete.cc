// coffer delete NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

std::string Question(const control::VolumeStatus& status) {
  std::string text = "Volume " + status.volume + " of vault " + status.vault +
                     " and everything in it will be gone for good";
  if (status.waiting_bytes > 0) {
    text.append(", ").append(status.waiting_exact ? "" : "at most ");
    text.append(control::FormatBytes(status.waiting_bytes)).append(" that were never uploaded too");
  }
  return text + ".\nType its name to delete it: ";
}

Result<std::string> Confirmation(Session& session, const Arguments& arguments,
                                 const control::VolumeStatus& status) {
  if (arguments.Has("--confirm")) return arguments.Get("--confirm");
  auto answer = AskOpenly(Question(status), session.cancel_fd());
  if (!answer.has_value() && answer.error().code == ErrorCode::kInvalidArgument) {
    return Fail(ErrorCode::kInvalidArgument,
                "delete asks for the volume's name, and there is no terminal to ask at",
                "say it with --confirm=" + status.volume);
  }
  return answer;
}

std::string WaitingText(const control::Deleted& deleted) {
  if (!deleted.gc_bytes) return "what it has stored waits for gc; it could not be counted";
  std::string text = control::FormatBytes(*deleted.gc_bytes) + " in the store wait for gc";
  if (deleted.gc_bytes_shared) text.append(", less what other volumes of the vault share");
  return text;
}

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  control::DeleteRequest request;
  ASSIGN_OR_RETURN(request.confirm, Confirmation(session, arguments, status));
  if (request.confirm != status.volume) {
    return Fail(ErrorCode::kInvalidArgument,
                control::Quoted(request.confirm) + " is not " + status.volume,
                "nothing was deleted");
  }
  ASSIGN_OR_RETURN(auto job, session.WithPassword("vault " + status.vault,
                                                  Session::Needs::kPassword, &request.password,
                                                  [&] { return client.Delete(name, request); }));
  ASSIGN_OR_RETURN(job, AwaitJob(client, std::move(job)));
  if (job.error) return Fail(*job.error);
  if (!job.deleted) return Fail(ErrorCode::kIoError, "cofferd does not say what it has deleted");
  if (session.json()) {
    PrintJson(*job.deleted);
    return control::kExitDone;
  }
  PrintLine("deleted volume " + job.deleted->volume + " of vault " + job.deleted->vault);
  PrintLine(WaitingText(*job.deleted));
  return control::kExitDone;
}

}  // namespace

Command DeleteCommand() {
  using Value = Option::Value;
  return {"delete",
          "Delete a volume for good; asks for its name and the vault's password",
          {{"NAME", "VOLUME or VAULT/VOLUME"}},
          {{"--confirm", Value::kRequired, "NAME: the volume's name once more, for scripts"}},
          "  coffer delete old-photos\n"
          "  coffer delete old-photos --confirm=old-photos --password-file ~/.config/password\n",
          Run};
}

}  // namespace coffer::cli
