// coffer config check | show [VAULT/VOLUME]
//
// Reads the file itself: it must be possible to look at one that keeps the daemon from starting.
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "core/config/config.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Status CheckDirectory(Session& session) {
  const Status checked =
      control::CheckPrivateDirectory(session.fs(), session.places().config, geteuid());
  if (!checked.has_value() && checked.error().code == ErrorCode::kNotFound) return {};
  return checked;
}

Result<int> Check(Session& session, const Arguments&) {
  RETURN_IF_ERROR(CheckDirectory(session));
  control::ConfigProblems found;
  found.path = session.places().config_file();
  ASSIGN_OR_RETURN(found.problems, config::Config::Check(session.fs(), found.path, geteuid()));
  const int code = found.problems.empty() ? control::kExitDone : control::kExitUsage;
  if (session.json()) {
    PrintJson(found);
    return code;
  }
  for (const std::string& problem : found.problems) ShowError({{}, problem, ""}, false);
  if (found.problems.empty()) {
    const bool there = session.fs().Stat(found.path).has_value();
    PrintLine(found.path + (there ? " is right" : " is not there: all defaults"));
  }
  return code;
}

Result<int> Show(Session& session, const Arguments& arguments) {
  RETURN_IF_ERROR(CheckDirectory(session));
  control::SettingList list;
  list.path = session.places().config_file();
  ASSIGN_OR_RETURN(const auto config, config::Config::Load(session.fs(), list.path, geteuid()));
  control::VolumeReference reference;
  if (arguments.Has("NAME")) {
    ASSIGN_OR_RETURN(reference, control::ParseVolumeReference(arguments.Get("NAME")));
    if (reference.vault.empty() || !reference.snapshot.empty()) {
      return Fail(ErrorCode::kInvalidArgument, "name the volume as VAULT/VOLUME");
    }
  }
  const config::Effective effective = config.For(reference.vault, reference.volume);
  for (const config::KeyInfo& key : config::Keys()) {
    const config::Setting& setting = effective[key.key];
    list.settings.push_back({key.name, setting.value.text, setting.from});
  }
  if (session.json()) {
    PrintJson(list);
    return control::kExitDone;
  }
  Table table({"KEY", "VALUE", "FROM", "MEANING"});
  for (const control::SettingInfo& setting : list.settings) {
    table.AddRow({setting.key, setting.value, setting.from, config::FindKey(setting.key)->help});
  }
  table.Print();
  return control::kExitDone;
}

}  // namespace

Command ConfigCheckCommand() {
  return {"config check",
          "Say what is wrong with the config file, line by line",
          {},
          {},
          "  coffer config check && coffer daemon restart\n",
          Check};
}

Command ConfigShowCommand() {
  return {"config show",
          "Every setting, its value, and where that comes from",
          {{"NAME", "VAULT/VOLUME: what holds for it; else the defaults", false}},
          {},
          "  coffer config show\n"
          "  coffer config show backups/photos --json\n",
          Show};
}

}  // namespace coffer::cli
