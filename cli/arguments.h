// Reads the command line by the table of commands. CLI11 does the parsing (arguments.cc only).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace coffer::cli {

struct Command;

/// What was said: positionals by their name, options by theirs (an option without a value holds
/// "").
class Arguments {
 public:
  void Set(const std::string& name, std::string value) { values_[name] = {std::move(value)}; }
  void SetAll(const std::string& name, std::vector<std::string> values) {
    values_[name] = std::move(values);
  }
  [[nodiscard]] bool Has(const std::string& name) const { return values_.count(name) > 0; }
  /// "" when it was not said.
  [[nodiscard]] std::string Get(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second.front();
  }
  /// Of an option that may be repeated: all that was said.
  [[nodiscard]] std::vector<std::string> GetAll(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>() : found->second;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;  // none of them empty
};

struct CommandLine {
  const Command* command;
  Arguments arguments;
  bool json = false;
  std::optional<std::string> log_level;
  std::optional<std::string> password_fd;
  std::optional<std::string> password_file;
};

/// Text to print instead of running anything: --help, --version.
struct HelpText {
  std::string text;
};

/// kInvalidArgument, with how it is used as the hint, for a command line that is none.
Result<std::variant<CommandLine, HelpText>> ParseCommandLine(const std::vector<std::string>& words);

}  // namespace coffer::cli
