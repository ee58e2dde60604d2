// coffer add STORE
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  control::AddRequest request;
  request.alias = arguments.Get("--as");
  request.single_writer = arguments.Has("--single-writer");
  request.replace = arguments.Has("--replace");
  if (arguments.Has("--as")) RETURN_IF_ERROR(control::CheckName(request.alias, "vault alias"));
  ASSIGN_OR_RETURN(request.store, AbsoluteStore(arguments.Get("STORE")));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto probe,
                   client.ProbeStore({request.store, request.alias, {}, request.replace}));
  if (!probe.holds_vault) {
    return Fail(ErrorCode::kNotFound, "there is no vault at " + request.store,
                "coffer init NAME STORE SIZE makes one");
  }
  ASSIGN_OR_RETURN(
      const auto reply,
      session.WithPassword("the vault at " + request.store, Session::NeedsUnless(probe.keys_held),
                           &request.password, [&] { return client.Add(request); }));
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  PrintLine("vault " + reply.vault.alias + " (" + reply.vault.vault_id + ") at " +
            reply.vault.store);
  Table table({"VOLUME", "SIZE"});
  for (const auto& volume : reply.volumes) table.AddRow({volume.name, SizeText(volume.size_bytes)});
  table.Print();
  for (std::size_t i = 0; i < reply.needs.size(); ++i) {
    TellUser(EscapeForTerminal(reply.needs[i]));
    if (i < reply.hints.size()) TellUser("  " + EscapeForTerminal(reply.hints[i]));
  }
  return control::kExitDone;
}

}  // namespace

Command AddCommand() {
  using Value = Option::Value;
  return {"add",
          "Make an existing vault known on this machine",
          {{"STORE", "The directory or URL that holds the vault"}},
          {{"--as", Value::kRequired, "What to call the vault on this machine"},
           {"--replace", Value::kNone,
            "A vault that is known here already is from now on at STORE, or called as said: for a "
            "copy that takes the place of a store"},
           {"--single-writer", Value::kNone,
            "This machine alone writes to STORE: accepts one that cannot keep two writers apart"}},
          "  coffer add /mnt/nas/backups\n"
          "  coffer add /media/usb/backups --as usb\n"
          "  coffer add /mnt/second-copy --replace\n",
          Run};
}

}  // namespace coffer::cli
