// coffer pause | resume
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/config/keys.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Result<int> Pause(Session& session, const Arguments& arguments) {
  control::PauseRequest request;
  const std::string text = arguments.Get("FOR");
  if (!text.empty()) {
    const auto seconds = config::ParseSeconds(text);
    if (!seconds || *seconds == 0) {
      return Fail(ErrorCode::kInvalidArgument, control::Quoted(text) + " is not a time",
                  "say how long, as 90s, 30m, 2h or 1d");
    }
    request.seconds = *seconds;
  }
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const control::PauseInfo info, client.Pause(request));
  if (session.json()) {
    PrintJson(info);
    return control::kExitDone;
  }
  PrintLine(PauseText(info));
  TellUser("coffer sync and coffer close upload all the same; coffer resume ends the pause");
  return control::kExitDone;
}

Result<int> Resume(Session& session, const Arguments& /*arguments*/) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const control::PauseInfo info, client.Resume());
  if (session.json()) {
    PrintJson(info);
  } else {
    PrintLine("uploads go on");
  }
  return control::kExitDone;
}

}  // namespace

Command PauseCommand() {
  return {"pause",
          "Let uploads rest: what is written stays in the journal for now",
          {{"FOR", "How long, as 90s, 30m, 2h or 1d; until coffer resume without it", false}},
          {},
          "  coffer pause 2h\n"
          "  coffer pause\n",
          Pause};
}

Command ResumeCommand() {
  return {"resume", "End a pause: uploads go on", {}, {}, "  coffer resume\n", Resume};
}

}  // namespace coffer::cli
