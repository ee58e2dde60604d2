// Completion scripts. Volume names come from `coffer list --names`, which asks for no password.
#include <algorithm>
#include <string_view>

#include "cli/command.h"
#include "cli/reference.h"

namespace coffer::cli {
namespace {

enum class Kind { kNothing, kVolume, kPath, kDirectory, kWords };

Kind KindOf(const Command& command, const Positional& positional) {
  const std::string_view name = positional.name;
  if (name == "STORE") return Kind::kDirectory;
  return name == "NAME" && command.name != "init" ? Kind::kVolume : Kind::kNothing;
}

Kind KindOf(const Option& option) {
  constexpr std::string_view kFileEnd = "-file";
  const std::string_view name = option.name;
  if (name.size() > kFileEnd.size() && name.substr(name.size() - kFileEnd.size()) == kFileEnd) {
    return Kind::kPath;
  }
  if (!option.values.empty()) return Kind::kWords;
  const std::string_view help = option.help;
  if (help.substr(0, 6) == "FILE: ") return Kind::kPath;
  return help.substr(0, 5) == "DIR: " ? Kind::kDirectory : Kind::kNothing;
}

std::string ValuesOf(const Option& option) {
  std::string text;
  for (const char* value : option.values) text.append(text.empty() ? "" : " ").append(value);
  return text;
}

struct Word {
  std::string name;
  std::string summary;
};

void AddOnce(std::vector<Word>& words, const Word& word) {
  const bool there = std::any_of(words.begin(), words.end(),
                                 [&word](const Word& other) { return other.name == word.name; });
  if (!there) words.push_back(word);
}

std::string FirstWord(std::string_view name) { return std::string(name.substr(0, name.find(' '))); }

/// What may stand first: commands and groups.
std::vector<Word> TopWords() {
  std::vector<Word> words;
  for (const Command& command : Commands()) {
    const std::string first = FirstWord(command.name);
    AddOnce(words,
            {first, std::string(first == command.name ? command.summary : GroupSummary(first))});
  }
  return words;
}

/// What may follow `group`; empty for a command that is none.
std::vector<Word> WordsIn(const std::string& group) {
  std::vector<Word> words;
  const std::string start = group + " ";
  for (const Command& command : Commands()) {
    if (command.name.substr(0, start.size()) != start) continue;
    words.push_back({std::string(command.name.substr(start.size())), command.summary});
  }
  return words;
}

std::string Joined(const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) text.append(text.empty() ? "" : " ").append(word.name);
  return text;
}

std::vector<Option> AllOptions() {
  std::vector<Option> options = GlobalOptions();
  for (const Command& command : Commands()) {
    const std::vector<Option> shown = command.ShownOptions();
    options.insert(options.end(), shown.begin(), shown.end());
  }
  return options;
}

/// Names of the options of which `wanted` is true, each once, with `between`.
template <class Wanted>
std::string OptionNames(const std::vector<Option>& options, const char* between,
                        const Wanted& wanted) {
  std::vector<Word> words;
  for (const Option& option : options) {
    if (wanted(option)) AddOnce(words, {option.name, ""});
  }
  std::string text;
  for (const Word& word : words) text.append(text.empty() ? "" : between).append(word.name);
  return text;
}

bool Any(const Option&) { return true; }
bool TakesWord(const Option& option) { return option.TakesWord(); }

/// In single quotes of bash and zsh.
std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out.append("'\\''");
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

std::string QuotedForFish(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "'";
}

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kVolume:
      return "volume";
    case Kind::kPath:
      return "path";
    case Kind::kDirectory:
      return "directory";
    case Kind::kWords:
    case Kind::kNothing:
      break;
  }
  return "nothing";
}

// --- bash ---

/// "open) options='--nbd …' kinds='volume' ;;"
std::string BashCommand(const Command& command) {
  std::string kinds;
  for (const Positional& positional : command.positionals) {
    kinds.append(kinds.empty() ? "" : " ").append(KindName(KindOf(command, positional)));
  }
  return "    " + Quoted(command.name) +
         ") options=" + Quoted(OptionNames(command.ShownOptions(), " ", Any)) +
         " kinds=" + Quoted(kinds) + " ;;\n";
}

/// A line of `case $previous in` for options whose value is of `kind`. `previous` ends with "="
/// where that stands between; an option that may stand alone has a value only then.
std::string BashValue(const std::vector<Option>& options, Kind kind) {
  const auto wanted = [kind](const Option& option) {
    return TakesWord(option) && KindOf(option) == kind;
  };
  const std::string names = OptionNames(options, " | ", wanted);
  if (names.empty()) return "";
  return "    " + names + " | " + OptionNames(options, "= | ", wanted) + "=) _coffer_kind " +
         KindName(kind) + "; return ;;\n";
}

/// The same for each option of which the values are known. Two commands may have options of one
/// name with one list.
std::string BashWords(const std::vector<Option>& options) {
  std::string text;
  std::vector<std::string> seen;
  for (const Option& option : options) {
    const bool has_values = option.value != Option::Value::kNone && !option.values.empty();
    if (!has_values || std::find(seen.begin(), seen.end(), option.name) != seen.end()) continue;
    seen.emplace_back(option.name);
    text.append("    ").append(option.TakesWord() ? std::string(option.name) + " | " : "");
    text.append(option.name).append("=) _coffer_words ").append(Quoted(ValuesOf(option)));
    text.append("; return ;;\n");
  }
  return text;
}

std::string BashCompletion() {
  const std::vector<Option> all = AllOptions();
  std::string text =
      "# Completion of coffer for bash.\n"
      "_coffer_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
      "_coffer_paths() {\n"
      "  mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
      "  compopt -o filenames 2>/dev/null\n"
      "}\n"
      "_coffer_kind() {\n"
      "  case $1 in\n"
      "    volume) _coffer_words \"$(\"${COMP_WORDS[0]}\" list --names 2>/dev/null "
      "</dev/null)\" ;;\n"
      "    path) _coffer_paths -f ;;\n"
      "    directory) _coffer_paths -d ;;\n";
  text.append(
      "  esac\n"
      "}\n"
      "_coffer() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
      "  local i word command= place=-1 options= kinds= words=\n"
      "  COMPREPLY=()\n"
      "  # \"--option=value\" comes as three words.\n"
      "  if [ \"$cur\" = = ]; then\n"
      "    cur=\n"
      "    previous+==\n"
      "  elif [ \"$previous\" = = ] && [ \"$COMP_CWORD\" -ge 2 ]; then\n"
      "    previous=${COMP_WORDS[COMP_CWORD - 2]}=\n"
      "  fi\n"
      "  case $previous in\n");
  text.append(BashWords(all));
  for (const Kind kind : {Kind::kPath, Kind::kDirectory, Kind::kNothing}) {
    text.append(BashValue(all, kind));
  }
  text.append(
      "  esac\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    case $word in\n");
  text.append("      ").append(OptionNames(all, " | ", TakesWord)).append(")\n");
  text.append(
      "        i=$((i + 1))\n"
      "        [ \"${COMP_WORDS[i]}\" = = ] && i=$((i + 1))\n"
      "        ;;\n"
      "      =) i=$((i + 1)) ;;\n"
      "      -*) ;;\n"
      "      *)\n"
      "        if [ \"$place\" -ge 0 ]; then\n"
      "          place=$((place + 1))\n"
      "        else\n"
      "          command=${command:+$command }$word\n"
      "          case $command in\n");
  std::string groups;
  std::string group_cases;
  for (const Word& word : TopWords()) {
    const std::vector<Word> inside = WordsIn(word.name);
    if (inside.empty()) continue;
    groups.append(groups.empty() ? "" : " | ").append(word.name);
    group_cases.append("    ").append(word.name).append(") words=");
    group_cases.append(Quoted(Joined(inside))).append(" ;;\n");
  }
  text.append("            ").append(groups).append(") ;;\n");
  text.append(
      "            *) place=0 ;;\n"
      "          esac\n"
      "        fi\n"
      "        ;;\n"
      "    esac\n"
      "  done\n"
      "  case $command in\n");
  text.append("    '') words=").append(Quoted(Joined(TopWords()))).append(" ;;\n");
  text.append(group_cases);
  for (const Command& command : Commands()) text.append(BashCommand(command));
  text.append(
      "  esac\n"
      "  if [[ $cur == -* ]]; then\n"
      "    _coffer_words \"$options ");
  text.append(OptionNames(GlobalOptions(), " ", Any)).append(" --help\"\n");
  text.append(
      "  elif [ \"$place\" -lt 0 ]; then\n"
      "    _coffer_words \"$words\"\n"
      "  else\n"
      "    read -ra kinds <<<\"$kinds\"\n"
      "    _coffer_kind \"${kinds[place]:-nothing}\"\n"
      "  fi\n"
      "}\n"
      "complete -F _coffer coffer\n");
  return text;
}

// --- zsh ---

/// What an optspec of _arguments may not hold in its description.
std::string ZshText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string ZshAction(Kind kind) {
  switch (kind) {
    case Kind::kVolume:
      return "_coffer_volumes";
    case Kind::kPath:
      return "_files";
    case Kind::kDirectory:
      return "_files -/";
    case Kind::kWords:
    case Kind::kNothing:
      break;
  }
  return " ";
}

std::string ZshAction(const Option& option) {
  const Kind kind = KindOf(option);
  return kind == Kind::kWords ? "(" + ValuesOf(option) + ")" : ZshAction(kind);
}

std::string ZshOptions(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    std::string spec = option.value == Option::Value::kRepeatable ? "*" : "";
    spec.append(option.name);
    if (option.TakesWord()) spec.push_back('=');
    if (option.value == Option::Value::kOptional) spec.append("=-");
    spec.append("[").append(ZshText(option.help)).append("]");
    if (option.TakesWord()) spec.append(":value:");
    if (option.value == Option::Value::kOptional) spec.append("::value:");
    if (option.value != Option::Value::kNone) spec.append(ZshAction(option));
    text.append(" \\\n        ").append(Quoted(spec));
  }
  return text;
}

std::string ZshArguments(const Command& command) {
  std::string text = "_arguments -S $globals";
  text.append(ZshOptions(command.ShownOptions()));
  std::size_t place = 0;
  for (const Positional& positional : command.positionals) {
    const std::string spec = std::to_string(++place) + (positional.required ? ":" : "::") +
                             ZshText(positional.name) + ":" +
                             ZshAction(KindOf(command, positional));
    text.append(" \\\n        ").append(Quoted(spec));
  }
  return text + "\n";
}

std::string ZshDescribe(const std::vector<Word>& words, const std::string& indent) {
  std::string text = indent + "words_here=(\n";
  for (const Word& word : words) {
    text.append(indent).append("  ").append(Quoted(word.name + ":" + word.summary)).append("\n");
  }
  return text + indent + ")\n" + indent + "_describe -t commands command words_here\n";
}

std::string ZshCompletion() {
  std::string text =
      "#compdef coffer\n"
      "# Completion of coffer for zsh.\n"
      "_coffer_volumes() {\n"
      "  local -a names\n"
      "  names=(${(f)\"$(_call_program volumes coffer list --names 2>/dev/null "
      "</dev/null)\"})\n"
      "  compadd -a names\n"
      "}\n"
      "_coffer() {\n"
      "  local curcontext=\"$curcontext\" state line ret=1\n"
      "  local -a globals words_here\n"
      "  typeset -A opt_args\n"
      "  globals=(";
  text.append(ZshOptions(GlobalOptions()))
      .append(" \\\n        '--help[Tell what it does]'\n  )\n");
  text.append(
      "  _arguments -C -S $globals '1: :->command' '*:: :->arguments' && ret=0\n"
      "  case $state in\n"
      "    command)\n");
  text.append(ZshDescribe(TopWords(), "      ")).append("      ;;\n");
  text.append(
      "    arguments)\n"
      "      case $line[1] in\n");
  for (const Word& word : TopWords()) {
    text.append("      ").append(word.name).append(")\n");
    const std::vector<Word> inside = WordsIn(word.name);
    if (inside.empty()) {
      for (const Command& command : Commands()) {
        if (command.name == word.name) text.append("        ").append(ZshArguments(command));
      }
    } else {
      text.append("        if ((CURRENT == 2)); then\n");
      text.append(ZshDescribe(inside, "          "));
      text.append(
          "        else\n"
          "          shift words\n"
          "          ((CURRENT--))\n"
          "          case $words[1] in\n");
      for (const Command& command : Commands()) {
        if (FirstWord(command.name) != word.name) continue;
        text.append("          ").append(command.name.substr(word.name.size() + 1)).append(")\n");
        text.append("            ").append(ZshArguments(command)).append("            ;;\n");
      }
      text.append(
          "          esac\n"
          "        fi\n");
    }
    text.append("        ;;\n");
  }
  text.append(
      "      esac\n"
      "      ;;\n"
      "  esac\n"
      "  return ret\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _coffer ]; then\n"
      "  _coffer \"$@\"\n"
      "else\n"
      "  compdef _coffer coffer\n"
      "fi\n");
  return text;
}

// --- fish ---

std::string FishOption(const std::string& condition, const Option& option) {
  std::string line = "complete -c coffer" + condition + " -l " + std::string(option.name + 2);
  if (option.value == Option::Value::kOptional && !option.values.empty()) {
    line.append(" -a ").append(QuotedForFish(ValuesOf(option)));
  }
  if (option.TakesWord()) {
    switch (KindOf(option)) {
      case Kind::kPath:
        line.append(" -r -F");
        break;
      case Kind::kDirectory:
        line.append(" -x -a '(__fish_complete_directories)'");
        break;
      case Kind::kWords:
        line.append(" -x -a ").append(QuotedForFish(ValuesOf(option)));
        break;
      case Kind::kVolume:
      case Kind::kNothing:
        line.append(" -x");
        break;
    }
  }
  return line + " -d " + QuotedForFish(option.help) + "\n";
}

std::string FishWords(const std::string& before, const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) {
    text.append("complete -c coffer -n ").append(QuotedForFish("__coffer_before '" + before + "'"));
    text.append(" -a ").append(word.name).append(" -d ").append(QuotedForFish(word.summary));
    text.append("\n");
  }
  return text;
}

std::string FishCompletion() {
  std::string takes_word = OptionNames(AllOptions(), " ", TakesWord);
  std::string text =
      "# Completion of coffer for fish.\n"
      "function __coffer_words --description 'The words said so far, no options'\n"
      "    set -l words (commandline -opc)\n"
      "    set -l skip 1\n"
      "    for word in $words\n"
      "        if test $skip = 1\n"
      "            set skip 0\n"
      "        else if contains -- $word ";
  text.append(takes_word).append("\n");
  text.append(
      "            set skip 1\n"
      "        else if not string match -q -- '-*' $word\n"
      "            echo $word\n"
      "        end\n"
      "    end\n"
      "end\n"
      "function __coffer_before --description 'Nothing follows these words yet'\n"
      "    set -l words (__coffer_words)\n"
      "    test \"$words\" = \"$argv\"\n"
      "end\n"
      "function __coffer_in --description 'These words come first'\n"
      "    set -l words (__coffer_words)\n"
      "    string match -q -- \"$argv *\" \"$words \"\n"
      "end\n"
      "function __coffer_at --description 'N words follow these ones'\n"
      "    set -l words (__coffer_words)\n"
      "    __coffer_in $argv[2..]; and test (count $words) -eq (math $argv[1] + (count "
      "$argv[2..]))\n"
      "end\n"
      "complete -c coffer -f\n");
  for (const Option& option : GlobalOptions()) text.append(FishOption("", option));
  text.append("complete -c coffer -l help -d 'Tell what it does'\n");
  text.append(FishWords("", TopWords()));
  for (const Word& word : TopWords()) text.append(FishWords(word.name, WordsIn(word.name)));
  for (const Command& command : Commands()) {
    const std::string name(command.name);
    const std::string condition = " -n " + QuotedForFish("__coffer_in " + name);
    for (const Option& option : command.ShownOptions()) text.append(FishOption(condition, option));
    for (std::size_t place = 0; place < command.positionals.size(); ++place) {
      const Kind kind = KindOf(command, command.positionals[place]);
      const std::string at = "complete -c coffer -n " +
                             QuotedForFish("__coffer_at " + std::to_string(place) + " " + name);
      if (kind == Kind::kVolume) {
        text.append(at).append(" -a '(coffer list --names 2>/dev/null </dev/null)'\n");
      } else if (kind == Kind::kDirectory) {
        text.append(at).append(" -a '(__fish_complete_directories)'\n");
      }
    }
  }
  return text;
}

}  // namespace

std::vector<ReferenceFile> Completions() {
  return {{"bash/coffer", BashCompletion()},
          {"zsh/_coffer", ZshCompletion()},
          {"fish/coffer.fish", FishCompletion()}};
}

}  // namespace coffer::cli
