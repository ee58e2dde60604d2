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
    if (option.value != Option::Value::kOptional) added->disable_flag_override();
    if (option.value == Option::Value::kHidden) added->group("");
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

const Option* FindOption(const std::string& word) {
  const auto named = [&word](const Option& option) { return word == option.name; };
  const auto& globals = GlobalOptions();
  const auto global = std::find_if(globals.begin(), globals.end(), named);
  if (global != globals.end()) return &*global;
  for (const Command& command : Commands()) {
    const auto found = std::find_if(command.options.begin(), command.options.end(), named);
    if (found != command.options.end()) return &*found;
  }
  return nullptr;
}

/// Where the words stand that are neither options nor values of options.
std::vector<std::size_t> PlainWords(const std::vector<std::string>& words) {
  std::vector<std::size_t> plain;
  bool options_end = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!options_end && words[i] == "--") {
      options_end = true;
    } else if (options_end || words[i].empty() || words[i].front() != '-') {
      plain.push_back(i);
    } else if (const Option* option = FindOption(words[i]); option != nullptr) {
      if (option->TakesWord()) ++i;
    }
  }
  return plain;
}

/// Said before anything is parsed: "bogus --help" must not show help, and an option in front must
/// not hide what is wrong.
Status CheckCommandIsThere(const std::vector<std::string>& words) {
  const std::vector<std::size_t> plain = PlainWords(words);
  if (plain.empty()) return {};
  const std::string& first = words[plain[0]];
  const bool group = !GroupSummary(first).empty();
  if (group && plain.size() < 2) return {};
  const std::string name = group ? first + " " + words[plain[1]] : first;
  for (const Command& command : Commands()) {
    if (command.name == name) return {};
  }
  return Fail(ErrorCode::kInvalidArgument, "there is no command " + EscapeForTerminal(name),
              group ? "coffer " + first + " --help" : "coffer --help");
}

bool MayBe(const Option& option, const std::string& word) {
  return std::any_of(option.values.begin(), option.values.end(), [&word](std::string_view value) {
    return value.back() == ':' ? word.substr(0, value.size()) == value : word == value;
  });
}

/// "--nbd tcp:…" means "--nbd=tcp:…": an option that may stand alone takes the next word where that
/// is one of its values, and another word is left to be the volume.
std::vector<std::string> WithValuesJoined(std::vector<std::string> words) {
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const Option* option = FindOption(words[i]);
    if (option == nullptr || option->value != Option::Value::kOptional) continue;
    if (words[i] == "--" || !MayBe(*option, words[i + 1])) continue;
    constexpr std::size_t kCommandAndName = 2;
    const bool no_name = words[i + 1].find(':') != std::string::npos;
    if (!no_name && PlainWords(words).size() <= kCommandAndName) continue;
    words[i].append("=").append(words[i + 1]);
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
  return words;
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

Result<std::variant<CommandLine, HelpText>> ParseCommandLine(const std::vector<std::string>& said) {
  RETURN_IF_ERROR(CheckCommandIsThere(said));
  const std::vector<std::string> words = WithValuesJoined(said);
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
    return Fail(ErrorCode::kInvalidArgument, error.what(),
                "coffer " + NamedCommand(&app) + "--help");
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
