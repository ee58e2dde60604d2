// coffer open NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Status RefuseWhatIsNotBuilt(const Arguments& arguments) {
  for (const std::string option : {"--fuse", "--mount", "--device"}) {
    if (arguments.Has(option)) {
      return Fail(ErrorCode::kUnsupported, option + " is not built yet in this version",
                  "without it the volume is served over NBD");
    }
  }
  ASSIGN_OR_RETURN(const auto reference, control::ParseVolumeReference(arguments.Get("NAME")));
  if (!reference.snapshot.empty()) {
    return Fail(ErrorCode::kUnsupported, "opening a snapshot is not built yet in this version");
  }
  return {};
}

Result<int> Run(Session& session, const Arguments& arguments) {
  RETURN_IF_ERROR(RefuseWhatIsNotBuilt(arguments));
  const std::string name = arguments.Get("NAME");
  control::OpenRequest request;
  ASSIGN_OR_RETURN(const std::string address, AbsoluteNbdAddress(arguments.Get("--nbd")));
  request.exports = {{"nbd", address}};
  request.read_only = arguments.Has("--read-only");
  request.take_over = arguments.Has("--take-over");
  request.accept_damage = arguments.Has("--accept-damage");
  request.single_writer = arguments.Has("--single-writer");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  if (!status.keys_held) {
    ASSIGN_OR_RETURN(request.password, session.Password("vault " + status.vault));
  }
  ASSIGN_OR_RETURN(const auto reply, client.Open(name, request));
  if (session.json()) {
    PrintJson(reply);
  } else {
    PrintLine(reply.uri);
  }
  return control::kExitDone;
}

}  // namespace

Command OpenCommand() {
  using Value = Option::Value;
  return {"open",
          "Open a volume and print where to reach it",
          {{"NAME", "VOLUME, or VAULT/VOLUME where several vaults have one"}},
          {{"--nbd", Value::kOptional,
            "Serve NBD; --nbd=unix:PATH or --nbd=tcp:127.0.0.1:PORT on a listener of its own"},
           {"--fuse", Value::kRequired, "DIR: serve an image file there"},
           {"--mount", Value::kRequired, "DIR: mount its file system there"},
           {"--device", Value::kNone, "Attach a kernel block device"},
           {"--read-only", Value::kNone, "Nothing can be written"},
           {"--take-over", Value::kNone, "Go on although another machine has not closed it"},
           {"--accept-damage", Value::kNone,
            "Go on with what precedes the damage of this machine's journal"},
           {"--single-writer", Value::kNone,
            "This machine alone writes to the store: accepts one that cannot keep two apart"}},
          "  coffer open photos\n"
          "  nbdcopy disk.img \"$(coffer open photos)\"\n"
          "  coffer open photos --read-only --nbd=tcp:127.0.0.1:10809\n",
          Run};
}

}  // namespace coffer::cli
