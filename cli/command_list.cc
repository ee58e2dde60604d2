// coffer list
#include <algorithm>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto list, client.Volumes());
  if (session.json()) {
    PrintJson(list);
    return control::kExitDone;
  }
  if (arguments.Has("--names")) {
    for (const auto& status : list.volumes) PrintLine(NameText(status, list));
    return control::kExitDone;
  }
  Table table({"VOLUME", "VAULT", "SIZE", "STORE"});
  for (const auto& status : list.volumes) {
    table.AddRow({status.volume, status.vault, SizeText(status.size_bytes), status.store});
  }
  for (const auto& vault : list.vaults) {
    const bool empty = std::none_of(list.volumes.begin(), list.volumes.end(), [&](const auto& one) {
      return one.vault_id == vault.vault_id;
    });
    if (empty) table.AddRow({"(none)", vault.alias, "", vault.store});
  }
  table.Print();
  return control::kExitDone;
}

}  // namespace

Command ListCommand() {
  return {
      "list",
      "The volumes known on this machine",
      {},
      {{"--names", Option::Value::kNone, "Their names alone, one a line, as commands take them"}},
      "  coffer list\n"
      "  coffer list --json\n",
      Run};
}

}  // namespace coffer::cli
