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
  ASSIGN_OR_RETURN(request.password, session.Password("vault " + status.vault));
  ASSIGN_OR_RETURN(const auto reply, client.Delete(name, request));
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  PrintLine("deleted volume " + reply.volume + " of vault " + reply.vault);
  PrintLine("what it has stored waits for gc");
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
