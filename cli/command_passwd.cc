// coffer passwd NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
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
  return PasswordSource(FromTerminal{});
}

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(const PasswordSource new_source, NewPasswordSource(arguments));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  const std::string what = "vault " + status.vault;
  control::PasswdRequest request;
  ASSIGN_OR_RETURN(request.password, session.Password(what));
  ASSIGN_OR_RETURN(request.new_password, session.NewPassword(new_source, what));
  ASSIGN_OR_RETURN(const auto reply, client.Passwd(name, request));
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  std::string volumes;
  for (const std::string& volume : reply.volumes) {
    volumes.append(volumes.empty() ? "" : ", ").append(volume);
  }
  PrintLine("changed the password of vault " + reply.vault.alias + "; it is the one of " +
            (reply.volumes.size() == 1 ? "volume " : "volumes ") + volumes);
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
            "FILE: read the new password from FILE (yours, mode 0600)"}},
          "  coffer passwd photos\n"
          "  coffer passwd photos --password-file old --new-password-file new\n",
          Run};
}

}  // namespace coffer::cli
