// coffer config check | show [VAULT/VOLUME]
//
// Reads the file itself: it must be possible to look at one that keeps the daemon from starting.
// What holds for a volume is the daemon's to say.
#include <unistd.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/base/log.h"
#include "core/base/real_path.h"
#include "core/config/config.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Status CheckDirectory(Session& session) {
  const Status checked =
      control::CheckOwnDirectory(session.fs(), session.places().config, geteuid());
  if (!checked.has_value() && checked.error().code == ErrorCode::kNotFound) return {};
  return checked;
}

/// Sections for vaults and volumes that are not known here, so that a slip of the pen shows; a
/// daemon that runs knows them, and without one nothing is said.
std::vector<std::string> UnknownNames(Session& session, const config::Config& config,
                                      const std::string& path) {
  std::vector<std::string> notes;
  const auto known = session.RunningDaemon().Volumes();
  if (!known.has_value()) return notes;
  for (const config::Config::Named& section : config.NamedSections()) {
    const bool vault = std::any_of(known->vaults.begin(), known->vaults.end(),
                                   [&](const auto& one) { return one.alias == section.vault; });
    const bool volume =
        std::any_of(known->volumes.begin(), known->volumes.end(), [&](const auto& one) {
          return one.vault == section.vault && one.volume == section.volume;
        });
    if (section.volume.empty() ? vault : volume) continue;
    notes.push_back(
        path + ":" + std::to_string(section.line) + ": no " +
        (vault ? "volume " + section.vault + "/" + section.volume : "vault " + section.vault) +
        " is known on this machine: its section has no effect until one is");
  }
  return notes;
}

Result<int> Check(Session& session, const Arguments&) {
  RETURN_IF_ERROR(CheckDirectory(session));
  control::ConfigProblems found;
  found.path = RealPath(session.places().config_file());
  ASSIGN_OR_RETURN(found.problems, config::Config::Check(session.fs(), found.path, geteuid()));
  if (found.problems.empty()) {
    ASSIGN_OR_RETURN(const auto config, config::Config::Load(session.fs(), found.path, geteuid()));
    found.notes = UnknownNames(session, config, found.path);
  }
  const int code = found.problems.empty() ? control::kExitDone : control::kExitUsage;
  if (session.json()) {
    PrintJson(found);
    return code;
  }
  for (const std::string& problem : found.problems) ShowError({{}, problem, ""}, false);
  if (found.problems.empty()) {
    const bool there = session.fs().Stat(found.path).has_value();
    PrintLine(there ? "no problems in " + found.path : found.path + " not found; using defaults");
  }
  for (const std::string& note : found.notes) TellUser(EscapeForTerminal(note));
  return code;
}

/// What the file says; for a volume the daemon is asked, which knows what it was opened with.
Result<control::SettingList> Collect(Session& session, const Arguments& arguments) {
  control::SettingList list;
  list.path = RealPath(session.places().config_file());
  ASSIGN_OR_RETURN(const auto config, config::Config::Load(session.fs(), list.path, geteuid()));
  if (arguments.Has("NAME")) {
    ASSIGN_OR_RETURN(auto client, session.Daemon());
    return client.Settings(arguments.Get("NAME"));
  }
  const config::Effective effective = config.Defaults();
  for (const config::KeyInfo& key : config::Keys()) {
    const config::Setting& setting = effective[key.key];
    list.settings.push_back({key.name, setting.value.text, setting.from});
  }
  return list;
}

Result<int> Show(Session& session, const Arguments& arguments) {
  RETURN_IF_ERROR(CheckDirectory(session));
  ASSIGN_OR_RETURN(const control::SettingList list, Collect(session, arguments));
  if (session.json()) {
    PrintJson(list);
    return control::kExitDone;
  }
  Table table({"KEY", "VALUE", "FROM", "MEANING"});
  for (const control::SettingInfo& setting : list.settings) {
    const config::KeyInfo* key = config::FindKey(setting.key);  // a newer daemon may have others
    table.AddRow({setting.key, setting.value, setting.from, key == nullptr ? "" : key->help});
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
          {{"NAME", "VOLUME or VAULT/VOLUME: what holds for it; else the defaults", false}},
          {},
          "  coffer config show\n"
          "  coffer config show photos --json\n",
          Show};
}

}  // namespace coffer::cli
