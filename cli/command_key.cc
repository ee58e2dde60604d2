// coffer key list NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/base/clock.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> List(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  control::KeysRequest request;
  ASSIGN_OR_RETURN(
      const auto list,
      session.WithPassword("vault " + status.vault, Session::Needs::kPassword, &request.password,
                           [&] { return client.Keys(name, request); }));
  if (session.json()) {
    PrintJson(list);
    return control::kExitDone;
  }
  Table table({"SLOT", "KIND", "MADE (UTC)", "ON", "COST", "LABEL"});
  for (const control::KeyInfo& key : list.keys) {
    table.AddRow({std::to_string(key.slot) + (key.opened ? " *" : ""), key.kind,
                  DateTimeUtc(key.created_unix), key.host,
                  control::FormatBytes(std::uint64_t{key.memory_kib} << 10) + " x" +
                      std::to_string(key.iterations),
                  key.label});
  }
  table.Print();
  PrintLine("* opened by the password given");
  return control::kExitDone;
}

}  // namespace

Command KeyListCommand() {
  return {"key list",
          "The passwords and keys that open a volume's vault, and who made them when",
          {{"NAME", "VOLUME or VAULT/VOLUME"}},
          {},
          "  coffer key list photos\n",
          List};
}

}  // namespace coffer::cli
