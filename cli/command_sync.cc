// coffer sync NAME | --all
#include "cli/command.h"
#include "cli/common.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  if (name.empty() != arguments.Has("--all")) {
    return Fail(ErrorCode::kInvalidArgument, "name one volume, or say --all");
  }
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto job, client.Sync(name));
  return FinishJob(session, client, job);
}

}  // namespace

Command SyncCommand() {
  using Value = Option::Value;
  return {"sync",
          "Upload everything written until now, and wait until the store has it",
          {{"NAME", "VOLUME or VAULT/VOLUME", false}},
          {{"--all", Value::kNone, "Every open volume"}},
          "  coffer sync photos\n"
          "  coffer sync --all\n",
          Run};
}

}  // namespace coffer::cli
