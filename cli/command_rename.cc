// coffer rename NAME NEW
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  control::RenameRequest request;
  request.name = arguments.Get("NEW");
  RETURN_IF_ERROR(control::CheckName(request.name, "volume name"));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  ASSIGN_OR_RETURN(
      const auto renamed,
      session.WithPassword("vault " + status.vault, Session::NeedsUnless(status.keys_held),
                           &request.password, [&] { return client.Rename(name, request); }));
  if (session.json()) {
    PrintJson(renamed);
  } else {
    PrintLine("volume " + status.volume + " is now called " + renamed.volume);
  }
  return control::kExitDone;
}

}  // namespace

Command RenameCommand() {
  return {"rename",
          "Give a volume that is not open another name",
          {{"NAME", "VOLUME or VAULT/VOLUME"},
           {"NEW", "Letters, digits, \".\", \"_\", \"-\"; the vault stays the same"}},
          {},
          "  coffer rename photos pics\n",
          Run};
}

}  // namespace coffer::cli
