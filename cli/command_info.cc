// coffer info NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(arguments.Get("NAME")));
  if (session.json()) {
    PrintJson(status);
    return control::kExitDone;
  }
  Table table({"volume", status.volume});
  table.AddRow({"volume id", status.volume_id});
  table.AddRow({"vault", status.vault});
  table.AddRow({"vault id", status.vault_id});
  table.AddRow({"store", status.store});
  table.AddRow({"size", SizeText(status.size_bytes)});
  table.AddRow({"state", StateText(status)});
  if (status.state == "open") {
    table.AddRow({"durability", status.durability});
    table.AddRow({"chunk size", control::FormatBytes(status.chunk_size)});
    table.AddRow({"acknowledged", std::to_string(status.acknowledged)});
    table.AddRow({"durable", std::to_string(status.durable)});
    table.AddRow({"committed", std::to_string(status.committed)});
    table.AddRow({"head", std::to_string(status.head_sequence)});
    table.AddRow({"journal", control::FormatBytes(status.journal_bytes)});
    table.AddRow({"uploaded since open", control::FormatBytes(status.uploaded_bytes)});
    table.AddRow({"store requests", std::to_string(status.store_requests)});
  }
  for (const auto& exported : status.exports) {
    table.AddRow({exported.kind, exported.uri + " (" + std::to_string(exported.clients) +
                                     (exported.clients == 1 ? " client)" : " clients)")});
  }
  table.Print();
  return control::kExitDone;
}

}  // namespace

Command InfoCommand() {
  return {"info", "Everything known of one volume", {{"NAME", "VOLUME or VAULT/VOLUME"}},
          {},     "  coffer info photos\n",         Run};
}

}  // namespace coffer::cli
