#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "core/base/log.h"
#include "core/control/version.h"

namespace coffer::cli {
namespace {

/// One command as CLI11 knows it.
struct Bound {
  const Command* command;
  CLI::App* app;
  std::vector<std::pair<std::string, CLI::Option*>> parts;  // positionals and options, by name
  std::list<std::string> values;                            // of the positionals; stable places
  std::list<std::vector<std::string>> lists;                // of what may be repeated
};

std::string ExitHelp() {
  std::string text = "Exit status:\n";
  for (const ExitMeaning& meaning : kExitMeanings) {
    std::string code = std::to_string(meaning.code);
    code.resize(5, ' ');
    text.append("  ").append(code).append(meaning.text).append("\n");
  }
  return text;
}

using Groups = std::map<std::string, CLI::App*>;

/// The sub-command of `app` for `command`: "daemon run" is "run" in the group "daemon".
CLI::App* Subcommand(CLI::App& app, Groups& groups, const Command& command) {
  const std::size_t space = command.name.find(' ');
  if (space == std::string_view::npos) {
    return app.add_subcommand(std::string(command.name), command.summary);
  }
  const std::string group(command.name.substr(0, space));
  CLI::App*& parent = groups[group];
  if (parent == nullptr) {
    parent = app.add_subcommand(group, std::string(GroupSummary(group)));
    parent->require_subcommand(1);
  }
  return parent->add_subcommand(std::string(command.name.substr(space + 1)), command.summary);
}

void AddOption(Bound& bound, const Option& option) {
  CLI::Option* added = nullptr;
  if (option.value == Option::Value::kRepeatable) {
    added = bound.app->add_option(option.name, bound.lists.emplace_back(), option.help);
    added->type_name("TEXT")->allow_extra_args(false);
    bound.parts.emplace_back(option.name, added);
    return;
  }
  if (option.value == Option::Value::kRequired) {
    added = bound.app->add_option(option.name, bound.values.emplace_back(), option.help);
  } else {
    added = bound.app->add_flag(option.name, option.help);
    if (option.value == Option::Value::kNone) added->disable_flag_override();
  }
  added->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  bound.parts.emplace_back(option.name, added);
}

Bound Bind(CLI::App& app, Groups& groups, const Command& command) {
  Bound bound{&command, Subcommand(app, groups, command), {}, {}, {}};
  for (const Positional& positional : command.positionals) {
    CLI::Option* added =
        bound.app->add_option(positional.name, bound.values.emplace_back(), positional.help);
    added->required(positional.required);
    bound.parts.emplace_back(positional.name, added);
  }
  for (const Option& option : command.options) AddOption(bound, option);
  bound.app->footer(std::string("Examples:\n") + command.examples);
  return bound;
}

Arguments ArgumentsOf(const Bound& bound) {
  Arguments arguments;
  for (const auto& [name, option] : bound.parts) {
    if (option->count() == 0) continue;
    const std::vector<std::string>& values = option->results();
    const std::string& value = values.front();
    // What CLI11 gives a flag that stands without "=VALUE".
    const bool plain_flag = option->get_items_expected_max() == 0 && value == "true";
    if (plain_flag) {
      arguments.Set(name, "");
    } else {
      arguments.SetAll(name, values);
    }
  }
  return arguments;
}

void TakeGlobals(const Arguments& arguments, CommandLine& line) {
  const auto given = [&arguments](const char* name) -> std::optional<std::string> {
    if (!arguments.Has(name)) return std::nullopt;
    return arguments.Get(name);
  };
  line.json = arguments.Has("--json");
  line.log_level = given("--log-level");
  line.password_fd = given("--password-fd");
  line.password_file = given("--password-file");
}

/// The sub-command that was named, "daemon run " with a blank behind it; "" if none was.
std::string NamedCommand(const CLI::App* app) {
  std::string command;
  for (auto named = app->get_subcommands(); !named.empty(); named = app->get_subcommands()) {
    app = named.front();
    command.append(app->get_name()).append(" ");
  }
  return command;
}

}  // namespace

Result<std::variant<CommandLine, HelpText>> ParseCommandLine(
    const std::vector<std::string>& words) {
  CLI::App app(kProgramSummary, "coffer");
  app.fallthrough();
  app.require_subcommand(1);
  app.set_version_flag("--version", "coffer " + control::Version());
  CommandLine line{};
  const Command every{"", "", {}, GlobalOptions(), "", nullptr};
  Bound global{&every, &app, {}, {}, {}};
  for (const Option& option : GlobalOptions()) AddOption(global, option);
  app.get_option("--password-file")->excludes(app.get_option("--password-fd"));
  app.footer(ExitHelp() + "\ncoffer COMMAND --help tells more, with examples.");

  Groups groups;
  std::list<Bound> all;
  for (const Command& command : Commands()) all.push_back(Bind(app, groups, command));
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::CallForAllHelp&) {
    return HelpText{app.help("", CLI::AppFormatMode::All)};
  } catch (const CLI::CallForVersion& version) {
    return HelpText{std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    const std::string command = NamedCommand(&app);
    const bool unknown = command.empty() && !words.empty() && words.front().substr(0, 1) != "-";
    return Fail(ErrorCode::kInvalidArgument,
                unknown ? "there is no command " + EscapeForTerminal(words.front()) : error.what(),
                "coffer " + command + "--help");
  }
  for (const Bound& bound : all) {
    if (!bound.app->parsed()) continue;
    line.command = bound.command;
    line.arguments = ArgumentsOf(bound);
  }
  TakeGlobals(ArgumentsOf(global), line);
  return line;
}

}  // namespace coffer::cli
