#include "cli/command.h"

namespace coffer::cli {

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      InitCommand(),       AddCommand(),           OpenCommand(),         CloseCommand(),
      StatusCommand(),     ListCommand(),          InfoCommand(),         SyncCommand(),
      PasswdCommand(),     KeyListCommand(),       RenameCommand(),       DeleteCommand(),
      ResizeCommand(),     ConfigCheckCommand(),   ConfigShowCommand(),   DaemonRunCommand(),
      DaemonStopCommand(), DaemonRestartCommand(), DaemonStatusCommand(),
  };
  return commands;
}

}  // namespace coffer::cli
