// Man pages in the man(7) macros.
#include <algorithm>
#include <string_view>

#include "cli/command.h"
#include "cli/daemon_options.h"
#include "cli/reference.h"
#include "core/control/version.h"

namespace coffer::cli {
namespace {

/// Text as roff takes it: nothing in it is a request or an escape.
std::string Roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out.append("\\&");
    line_start = c == '\n';
    if (c == '\\') {
      out.append("\\e");
    } else if (c == '-') {
      out.append("\\-");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string Heading(const std::string& name, int section) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return ".TH " + Roff(upper) + " " + std::to_string(section) + " \"\" \"coffer " +
         control::Version() + "\" \"coffer\"\n";
}

std::string Section(const std::string& name) { return ".SH " + name + "\n"; }

std::string NameSection(const std::string& name, std::string_view summary) {
  return Section("NAME") + Roff(name) + " \\- " + Roff(summary) + "\n";
}

std::string Item(const std::string& term, std::string_view text) {
  return ".TP\n" + term + "\n" + Roff(text) + "\n";
}

std::string Bold(std::string_view text) { return "\\fB" + Roff(text) + "\\fR"; }
std::string Italic(std::string_view text) { return "\\fI" + Roff(text) + "\\fR"; }

/// "FILE: read it" names its value; other help does not.
std::string_view ValueName(std::string_view help) {
  const std::size_t colon = help.find(": ");
  const std::string_view word = help.substr(0, colon);
  const bool named =
      colon != std::string_view::npos &&
      std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  return named ? word : "VALUE";
}

std::string OptionTerm(const Option& option) {
  std::string term = Bold(option.name);
  if (option.value == Option::Value::kNone) return term;
  const std::string value = Italic(ValueName(option.help));
  return option.TakesWord() ? term + " " + value : term + "[=" + value + "]";
}

std::string OptionItems(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) text.append(Item(OptionTerm(option), option.help));
  return text;
}

std::string Synopsis(const Command& command) {
  std::string text = Bold("coffer " + std::string(command.name));
  for (const Positional& positional : command.positionals) {
    const std::string name = Italic(positional.name);
    text.append(positional.required ? " " + name : " [" + name + "]");
  }
  for (const Option& option : command.ShownOptions()) text.append(" [" + OptionTerm(option) + "]");
  return Section("SYNOPSIS") + text + "\n";
}

std::string PageName(const Command& command) {
  std::string name = "coffer-" + std::string(command.name);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string PageOf(const Command& command) {
  std::string page = Heading(PageName(command), 1);
  page.append(NameSection(PageName(command), command.summary));
  page.append(Synopsis(command));
  page.append(Section("DESCRIPTION") + Roff(command.summary) + ".\n");
  for (const Positional& positional : command.positionals) {
    page.append(Item(Italic(positional.name), positional.help));
  }
  const std::vector<Option> shown = command.ShownOptions();
  if (!shown.empty()) page.append(Section("OPTIONS") + OptionItems(shown));
  page.append(Section("GLOBAL OPTIONS") + OptionItems(GlobalOptions()));
  page.append(Section("EXAMPLES") + ".nf\n" + Roff(command.examples) + ".fi\n");
  page.append(Section("SEE ALSO") + "\\fBcoffer\\fR(1)\n");
  return page;
}

std::string ExitItems() {
  std::string text;
  for (const ExitMeaning& meaning : kExitMeanings) {
    text.append(Item(Bold(std::to_string(meaning.code)), meaning.text));
  }
  return text;
}

std::string CofferPage() {
  std::string page = Heading("coffer", 1);
  page.append(
      NameSection("coffer", "encrypted backup volumes in storage that need not be trusted"));
  page.append(Section("SYNOPSIS") + Bold("coffer") + " " + Italic("COMMAND") + " [" +
              Italic("ARGUMENT") + " ...]\n");
  page.append(Section("DESCRIPTION") + Roff(kProgramSummary) + "\n");
  page.append(Section("COMMANDS"));
  for (const Command& command : Commands()) {
    page.append(Item(Bold(command.name), command.summary));
  }
  page.append(Section("OPTIONS") + OptionItems(GlobalOptions()));
  page.append(Item(Bold("--help"), "Tell what a command does and takes, with examples"));
  page.append(Item(Bold("--version"), "Print the version"));
  page.append(Section("EXIT STATUS") + ExitItems());
  page.append(Section("SEE ALSO"));
  for (const Command& command : Commands()) {
    page.append(Bold(PageName(command)) + "(1),\n");
  }
  return page + Bold("cofferd") + "(8)\n";
}

std::string DaemonPage() {
  constexpr std::string_view kUsage = "usage: ";
  std::string_view help = kDaemonHelp;
  if (help.substr(0, kUsage.size()) == kUsage) help.remove_prefix(kUsage.size());
  const std::size_t end = help.find('\n');
  std::string page = Heading("cofferd", 8);
  page.append(NameSection("cofferd", "the daemon of coffer"));
  page.append(Section("SYNOPSIS") + Roff(help.substr(0, end)) + "\n");
  page.append(Section("DESCRIPTION") + Roff(help.substr(end + 1)));
  return page + Section("SEE ALSO") + Bold("coffer") + "(1)\n";
}

}  // namespace

std::vector<ReferenceFile> ManPages() {
  std::vector<ReferenceFile> pages = {{"man/man1/coffer.1", CofferPage()},
                                      {"man/man8/cofferd.8", DaemonPage()}};
  for (const Command& command : Commands()) {
    pages.push_back({"man/man1/" + PageName(command) + ".1", PageOf(command)});
  }
  return pages;
}

}  // namespace coffer::cli
