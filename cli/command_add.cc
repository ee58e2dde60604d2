// coffer add STORE
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  control::AddRequest request;
  request.alias = arguments.Get("--as");
  request.single_writer = arguments.Has("--single-writer");
  if (arguments.Has("--as")) RETURN_IF_ERROR(control::CheckName(request.alias, "vault alias"));
  ASSIGN_OR_RETURN(request.store, AbsoluteStore(arguments.Get("STORE")));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto probe, client.ProbeStore({request.store, request.alias}));
  if (!probe.holds_vault) {
    return Fail(ErrorCode::kNotFound, "there is no vault at " + request.store,
                "coffer init NAME STORE SIZE makes one");
  }
  if (!probe.keys_held) {
    ASSIGN_OR_RETURN(request.password, session.Password("the vault at " + request.store));
  }
  ASSIGN_OR_RETURN(const auto reply, client.Add(request));
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  PrintLine("vault " + reply.vault.alias + " (" + reply.vault.vault_id + ") at " +
            reply.vault.store);
  Table table({"VOLUME", "SIZE"});
  for (const auto& volume : reply.volumes) table.AddRow({volume.name, SizeText(volume.size_bytes)});
  table.Print();
  return control::kExitDone;
}

}  // namespace

Command AddCommand() {
  using Value = Option::Value;
  return {"add",
          "Make an existing vault known on this machine",
          {{"STORE", "The directory or URL that holds the vault"}},
          {{"--as", Value::kRequired, "What to call the vault on this machine"},
           {"--single-writer", Value::kNone,
            "This machine alone writes to STORE: accepts one that cannot keep two writers apart"}},
          "  coffer add /mnt/nas/backups\n"
          "  coffer add /media/usb/backups --as usb\n",
          Run};
}

}  // namespace coffer::cli
