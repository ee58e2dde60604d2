// A command of coffer: how it is called and what it does. The tables of all stand in commands.cc;
// parser, help, man pages and completions are made from them.
#pragma once

#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "cli/session.h"
#include "core/base/result.h"
#include "core/control/error_table.h"

namespace coffer::cli {

struct Positional {
  const char* name;  // "NAME", as usage shows it
  const char* help;
  bool required = true;
};

struct Option {
  enum class Value {
    kNone,
    kRequired,
    kOptional,    // only as --name=VALUE
    kRepeatable,  // required, and the option may be said more than once
    kHidden,      // none; known, so that it can be refused well, and shown nowhere
  };
  const char* name;  // "--as"
  Value value;
  const char* help;
  /// What may be said, or how it may begin ("tcp:"); empty: anything.
  std::vector<const char*> values = {};
  /// The next word is its value.
  [[nodiscard]] bool TakesWord() const {
    return value == Value::kRequired || value == Value::kRepeatable;
  }
};

struct Command {
  std::string_view name;  // "open", "daemon run"
  const char* summary;
  std::vector<Positional> positionals;
  std::vector<Option> options;
  const char* examples;
  /// The options without those that are hidden.
  [[nodiscard]] std::vector<Option> ShownOptions() const;
  /// Returns the exit code; an error is shown and mapped by main.
  Result<int> (*run)(Session& session, const Arguments& arguments);
};

/// Every command, in the order of the help.
[[nodiscard]] const std::vector<Command>& Commands();
/// Options that go with every command.
[[nodiscard]] const std::vector<Option>& GlobalOptions();
/// What a group such as "daemon" is for; "" for no group.
[[nodiscard]] std::string_view GroupSummary(std::string_view group);

inline constexpr char kProgramSummary[] =
    "Encrypted backup volumes in storage that need not be trusted.";
struct ExitMeaning {
  int code;
  const char* text;
};
/// For the help of coffer itself.
inline constexpr ExitMeaning kExitMeanings[] = {
    {control::kExitDone, "done"},
    {control::kExitFailed, "failed"},
    {control::kExitUsage, "usage"},
    {control::kExitNotFound, "not found"},
    {control::kExitExists, "exists already"},
    {control::kExitPassword, "password or keys"},
    {control::kExitBusy, "busy or locked"},
    {control::kExitNoSpace, "no space"},
    {control::kExitStoreUnavailable, "store unavailable"},
    {control::kExitCorrupt, "corrupt"},
    {control::kExitNeedsPerson, "needs a person"},
    {control::kExitUnsupported, "unsupported, or a newer format"},
    {control::kExitNotUploaded, "not everything uploaded"},
    {control::kExitInterrupted, "interrupted: the wait has ended, the work goes on"},
};

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
[[nodiscard]] Command PauseCommand();
[[nodiscard]] Command RenameCommand();
[[nodiscard]] Command ResizeCommand();
[[nodiscard]] Command ResumeCommand();
[[nodiscard]] Command StatusCommand();
[[nodiscard]] Command StoreTestCommand();
[[nodiscard]] Command SyncCommand();
[[nodiscard]] Command TrustAcceptCommand();
[[nodiscard]] Command TrustForgetCommand();
[[nodiscard]] Command TrustShowCommand();

}  // namespace coffer::cli
