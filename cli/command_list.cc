// coffer list
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments&) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto list, client.Volumes());
  if (session.json()) {
    PrintJson(list);
    return control::kExitDone;
  }
  Table table({"VOLUME", "VAULT", "SIZE", "STORE"});
  for (const auto& status : list.volumes) {
    table.AddRow({status.volume, status.vault, SizeText(status.size_bytes), status.store});
  }
  table.Print();
  return control::kExitDone;
}

}  // namespace

Command ListCommand() {
  return {"list",
          "The volumes known on this machine",
          {},
          {},
          "  coffer list\n"
          "  coffer list --json\n",
          Run};
}

}  // namespace coffer::cli
