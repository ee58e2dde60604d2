// A command of coffer: how it is called and what it does. The table of all stands in commands.cc.
#pragma once

#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "cli/session.h"
#include "core/base/result.h"

namespace coffer::cli {

struct Positional {
  const char* name;  // "NAME", as usage shows it
  const char* help;
  bool required = true;
};

struct Option {
  enum class Value { kNone, kRequired, kOptional };  // kOptional: only as --name=VALUE
  const char* name;                                  // "--as"
  Value value;
  const char* help;
};

struct Command {
  std::string_view name;  // "open", "daemon run"
  const char* summary;
  std::vector<Positional> positionals;
  std::vector<Option> options;
  const char* examples;
  /// Returns the exit code; an error is shown and mapped by main.
  Result<int> (*run)(Session& session, const Arguments& arguments);
};

/// Every command, in the order of the help.
[[nodiscard]] const std::vector<Command>& Commands();

// One in each file command_*.cc.
[[nodiscard]] Command AddCommand();
[[nodiscard]] Command CloseCommand();
[[nodiscard]] Command ConfigCheckCommand();
[[nodiscard]] Command ConfigShowCommand();
[[nodiscard]] Command DaemonRestartCommand();
[[nodiscard]] Command DaemonRunCommand();
[[nodiscard]] Command DaemonStatusCommand();
[[nodiscard]] Command DaemonStopCommand();
[[nodiscard]] Command DeleteCommand();
[[nodiscard]] Command InfoCommand();
[[nodiscard]] Command InitCommand();
[[nodiscard]] Command KeyListCommand();
[[nodiscard]] Command ListCommand();
[[nodiscard]] Command OpenCommand();
[[nodiscard]] Command PasswdCommand();
[[nodiscard]] Command RenameCommand();
[[nodiscard]] Command ResizeCommand();
[[nodiscard]] Command StatusCommand();
[[nodiscard]] Command SyncCommand();

}  // namespace coffer::cli
