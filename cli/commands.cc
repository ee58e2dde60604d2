#include "cli/command.h"

namespace coffer::cli {

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      InitCommand(),         AddCommand(),         OpenCommand(),        CloseCommand(),
      StatusCommand(),       ListCommand(),        InfoCommand(),        SyncCommand(),
      PauseCommand(),        ResumeCommand(),      PasswdCommand(),      KeyListCommand(),
      RenameCommand(),       DeleteCommand(),      ResizeCommand(),      StoreTestCommand(),
      TrustShowCommand(),    TrustAcceptCommand(), TrustForgetCommand(), ConfigCheckCommand(),
      ConfigShowCommand(),   DaemonRunCommand(),   DaemonStopCommand(),  DaemonRestartCommand(),
      DaemonStatusCommand(),
  };
  return commands;
}

const std::vector<Option>& GlobalOptions() {
  using Value = Option::Value;
  static const std::vector<Option> options = {
      {"--json", Value::kNone, "Print one JSON object (docs/API.md names its fields)"},
      {"--log-level",
       Value::kRequired,
       "debug, info, warning or error (or COFFER_LOG)",
       {"debug", "info", "warning", "error"}},
      {"--password-fd", Value::kRequired, "Read the password from this file descriptor"},
      {"--password-file", Value::kRequired,
       "Read the password from this file (yours, mode 0600) or pipe"},
  };
  return options;
}

std::string_view GroupSummary(std::string_view group) {
  if (group == "config") return "The config file: check, show";
  if (group == "daemon") return "The background process: run, stop, restart, status";
  if (group == "key") return "The keys of a vault: list";
  if (group == "store") return "The places that hold vaults: test";
  if (group == "trust") return "What is remembered of a vault's store: show, accept, forget";
  return "";
}

std::vector<Option> Command::ShownOptions() const {
  std::vector<Option> shown;
  for (const Option& option : options) {
    if (option.value != Option::Value::kHidden) shown.push_back(option);
  }
  return shown;
}

}  // namespace coffer::cli
