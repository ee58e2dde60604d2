// coffer passwd NAME
#include <utility>
#include <variant>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Result<PasswordSource> NewPasswordSource(const Arguments& arguments) {
  const bool from_fd = arguments.Has("--new-password-fd");
  if (from_fd && arguments.Has("--new-password-file")) {
    return Fail(ErrorCode::kInvalidArgument,
                "--new-password-fd and --new-password-file exclude each other");
  }
  if (from_fd) {
    ASSIGN_OR_RETURN(const FromDescriptor source,
                     ParsePasswordDescriptor(arguments.Get("--new-password-fd")));
    return PasswordSource(source);
  }
  if (arguments.Has("--new-password-file")) {
    return PasswordSource(FromFile{arguments.Get("--new-password-file")});
  }
  return PasswordSource(FromTerminal{"--new-password"});
}

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(const PasswordSource new_source, NewPasswordSource(arguments));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  const std::string what = "vault " + status.vault;
  control::PasswdRequest request;
  if (std::holds_alternative<FromTerminal>(new_source)) {
    // Nobody is to think of a new password before the old one is known to be right.
    control::KeysRequest check;
    RETURN_IF_ERROR(session.WithPassword(what, Session::Needs::kPassword, &check.password,
                                         [&] { return client.Keys(name, check); }));
    request.password = std::move(check.password);
    ASSIGN_OR_RETURN(request.new_password, session.NewPassword(new_source, what));
  }
  const auto change = [&]() -> Result<control::PasswdReply> {
    if (request.new_password.empty()) {
      ASSIGN_OR_RETURN(request.new_password, session.NewPassword(new_source, what));
    }
    return client.Passwd(name, request);
  };
  ASSIGN_OR_RETURN(const auto reply, request.password.empty()
                                         ? session.WithPassword(what, Session::Needs::kPassword,
                                                                &request.password, change)
                                         : change());
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  std::string volumes;
  for (const std::string& volume : reply.volumes) {
    volumes.append(volumes.empty() ? "" : ", ").append(volume);
  }
  PrintLine("changed the password of vault " + reply.vault.alias + " (" +
            (reply.volumes.size() == 1 ? "volume " : "volumes ") + volumes + ")");
  if (!reply.note.empty()) TellUser(reply.note);
  return control::kExitDone;
}

}  // namespace

Command PasswdCommand() {
  using Value = Option::Value;
  return {"passwd",
          "Change the password of a volume's vault, and so of all volumes in it",
          {{"NAME", "VOLUME or VAULT/VOLUME"}},
          {{"--new-password-fd", Value::kRequired, "N: read the new password from descriptor N"},
           {"--new-password-file", Value::kRequired,
            "FILE: read the new password from FILE (yours, mode 0600) or pipe"}},
          "  coffer passwd photos\n"
          "  coffer passwd photos --password-file old --new-password-file new\n",
          Run};
}

}  // namespace coffer::cli
