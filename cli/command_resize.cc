// coffer resize NAME SIZE
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  control::ResizeRequest request;
  request.discard_tail = arguments.Has("--discard-tail");
  ASSIGN_OR_RETURN(request.size_bytes, control::ParseSize(arguments.Get("SIZE")));
  RETURN_IF_ERROR(control::CheckVolumeSize(request.size_bytes));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  ASSIGN_OR_RETURN(
      const auto job,
      session.WithPassword("vault " + status.vault, Session::NeedsUnless(status.keys_held),
                           &request.password, [&] { return client.Resize(name, request); }));
  ASSIGN_OR_RETURN(const int code, FinishJob(session, client, job));
  if (code == control::kExitDone && !session.json()) {
    PrintLine("volume " + status.volume + " has " + control::FormatBytes(request.size_bytes) +
              (status.size_bytes == 0 ? "" : ", it had " + SizeText(status.size_bytes)));
  }
  return code;
}

}  // namespace

Command ResizeCommand() {
  using Value = Option::Value;
  return {"resize",
          "Make a volume larger, or smaller; connected clients see it when they reconnect",
          {{"NAME", "VOLUME or VAULT/VOLUME"},
           {"SIZE", "Such as 40G (GiB); K, M, G, T; a multiple of 4096, at most 16T"}},
          {{"--discard-tail", Value::kNone,
            "Needed for a smaller size, with no client connected: what lies beyond is gone"}},
          "  coffer resize photos 40G\n"
          "  coffer resize photos 10G --discard-tail\n",
          Run};
}

}  // namespace coffer::cli
