// Every hint names a command that exists: whatever says "coffer …" to people, in the sources, the
// documents and the examples of the help, is given to the real parser.
//
// Sources build hints from pieces ("coffer open " + name + " first"), and prose follows the
// command. So of the words behind it only those count that cannot be prose: options, PLACEHOLDERS
// and what the code puts in; what is required and not there is filled in. In documents and examples
// the whole text is the command.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/arguments.h"
#include "cli/command.h"

namespace coffer::cli {
namespace {

constexpr char kValue = '\x01';  // stands for what the code puts in

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The literals of C++ code, statement by statement, a line each; kValue for code between pieces.
std::string LiteralsOf(const std::string& code) {
  std::string out;
  bool in_piece = false;  // the last literal waits for what follows
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '/' && i + 1 < code.size() && code[i + 1] == '/') {
      i = std::min(code.find('\n', i), code.size() - 1);
    } else if (c == '\'' && i + 2 < code.size() && (code[i + 1] == '\\' || code[i + 2] == '\'')) {
      i = code.find('\'', i + 2);
    } else if (c == '"') {
      std::string literal;
      for (++i; i < code.size() && code[i] != '"'; ++i) {
        if (code[i] != '\\') {
          literal.push_back(code[i]);
        } else {
          ++i;
          literal.push_back(code[i] == 'n' ? '\n' : code[i]);
        }
      }
      out.append(literal);
      in_piece = !literal.empty();
    } else if (c == ';' || c == '{' || c == '}') {
      out.push_back('\n');
      in_piece = false;
    } else if (in_piece && std::isspace(static_cast<unsigned char>(c)) == 0) {
      const char last = out.back();
      out.push_back(last == ' ' || last == '=' || last == '/' ? kValue : '\n');
      in_piece = false;
    }
  }
  return out;
}

/// Of a document: code spans and indented or fenced lines, a line each.
std::string CodeOf(const std::string& markdown) {
  std::string out;
  std::istringstream lines(markdown);
  bool fenced = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) {
      fenced = !fenced;
    } else if (fenced || line.rfind("    ", 0) == 0) {
      out.append(line.substr(0, line.find(" # "))).append("\n");
    } else {
      for (std::size_t at = line.find('`'); at != std::string::npos;) {
        const std::size_t end = line.find('`', at + 1);
        if (end == std::string::npos) break;
        out.append(line.substr(at + 1, end - at - 1)).append("\n");
        at = line.find('`', end + 1);
      }
    }
  }
  return out;
}

bool IsPlaceholder(const std::string& word) {
  if (word.find(kValue) != std::string::npos) return true;
  return std::any_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) &&
         std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || c == '/' || c == '@' || c == '-';
         });
}

/// What a word is without the sentence's marks behind it.
std::string Bare(std::string word) {
  while (!word.empty() && std::string_view(".,;:)'\"`").find(word.back()) != std::string_view::npos)
    word.pop_back();
  return word;
}

enum class Style { kHint, kExact };

std::vector<std::string> WordsBehind(const std::string& text, Style style) {
  const std::size_t end = style == Style::kExact ? text.find_first_of("#&>;)\"`") : text.size();
  std::string cut = text.substr(0, std::min(end, text.size()));
  if (style == Style::kExact) {
    cut.erase(std::remove_if(cut.begin(), cut.end(), [](char c) { return c == '[' || c == ']'; }),
              cut.end());
  }
  std::vector<std::string> words;
  std::istringstream stream(cut);
  for (std::string word; stream >> word;) {
    if (style == Style::kExact && word == "|") break;  // a pipe
    const std::string bare = Bare(word);
    if (!bare.empty()) words.push_back(bare);
    if (bare != word && words.size() > 1) break;  // the sentence goes on with something else
  }
  return words;
}

const Command* Find(const std::vector<std::string>& words, std::size_t* used) {
  for (const Command& command : Commands()) {
    const std::string two = words.size() > 1 ? words[0] + " " + words[1] : words[0];
    if (command.name != words[0] && command.name != two) continue;
    *used = command.name == words[0] ? 1 : 2;
    return &command;
  }
  return nullptr;
}

std::string SampleOf(const std::string& positional) {
  if (positional == "SIZE") return "1G";
  return positional == "STORE" ? "/store" : "name";
}

/// The options and placeholders right behind the command, and what else it must have.
std::vector<std::string> Completed(const Command& command, const std::vector<std::string>& words,
                                   std::size_t used, Style style) {
  std::vector<std::string> made(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(used));
  std::size_t positionals = 0;
  for (std::size_t i = used; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.rfind("--", 0) == 0 && word.size() > 2) {
      made.push_back(word);
      const bool has_value = word.find('=') != std::string::npos;
      const auto named = [&word](const Option& option) { return word == option.name; };
      const auto takes = [&](const std::vector<Option>& options) {
        const auto found = std::find_if(options.begin(), options.end(), named);
        return found != options.end() && found->TakesWord();
      };
      if (has_value || !(takes(command.options) || takes(GlobalOptions()))) continue;
      const bool follows = i + 1 < words.size() && words[i + 1].rfind("--", 0) != 0;
      made.push_back(follows ? words[++i] : "1");
    } else if (style == Style::kExact || IsPlaceholder(word)) {
      made.push_back(word == "--" ? word : IsPlaceholder(word) ? SampleOf(word) : word);
      if (word != "--") ++positionals;
    } else {
      break;
    }
  }
  const bool all = std::find(made.begin(), made.end(), "--all") != made.end();
  for (std::size_t i = positionals; !all && i < command.positionals.size(); ++i) {
    if (command.positionals[i].required) made.push_back(SampleOf(command.positionals[i].name));
  }
  return made;
}

/// Words with which a sentence about the program goes on.
const std::vector<std::string>& Prose() {
  static const std::vector<std::string> words = {
      "is",    "keeps",  "does",  "has",    "needs", "starts", "promises", "guarantees",
      "takes", "stores", "by",    "volume", "vault", "and",    "nor",      "that",
      "for",   "at",     "alone", "was",    "will",  "while",  "whose"};
  return words;
}

/// "check|show" is two commands.
std::vector<std::vector<std::string>> Alternatives(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < std::min<std::size_t>(words.size(), 2); ++i) {
    const std::size_t bar = words[i].find('|');
    if (bar == std::string::npos) continue;
    std::vector<std::vector<std::string>> all;
    std::istringstream parts(words[i]);
    for (std::string part; std::getline(parts, part, '|');) {
      std::vector<std::string> one = words;
      one[i] = part;
      all.push_back(std::move(one));
    }
    return all;
  }
  return {words};
}

class Hints {
 public:
  int count = 0;

  void CheckText(const std::string& text, const std::string& where, Style style) {
    constexpr std::string_view kProgram = "coffer ";
    for (std::size_t at = text.find(kProgram); at != std::string::npos;
         at = text.find(kProgram, at + 1)) {
      const char before = at == 0 ? ' ' : text[at - 1];
      const bool whole = std::isalnum(static_cast<unsigned char>(before)) == 0 &&
                         std::string_view("._/-").find(before) == std::string_view::npos;
      if (!whole) continue;
      const std::size_t begin = at + kProgram.size();
      const std::string rest = text.substr(begin, text.find('\n', begin) - begin);
      for (const auto& words : Alternatives(WordsBehind(rest, style))) {
        Check(words, where + ": coffer " + rest, style);
      }
    }
  }

 private:
  void Check(const std::vector<std::string>& words, const std::string& where, Style style) {
    if (words.empty() || IsPlaceholder(words[0]) || words[0] == "…" || words[0] == "...") return;
    if (words[0].rfind("--", 0) == 0) return Parse({words[0]}, where);
    if (words[0][0] == '-') return;  // "complete -c coffer -n …"
    std::size_t used = 0;
    const Command* command = Find(words, &used);
    if (command == nullptr) {
      const bool group = !GroupSummary(words[0]).empty();
      const bool prose = std::find(Prose().begin(), Prose().end(), words[0]) != Prose().end();
      const bool whole_group = group && (words.size() == 1 || words[1] == "--help");
      const bool source = style == Style::kHint && std::isupper(words[0][0]) != 0;
      EXPECT_TRUE(prose || whole_group || source) << where << "\nnames no command of coffer";
      return;
    }
    Parse(Completed(*command, words, used, style), where);
  }

  void Parse(const std::vector<std::string>& words, const std::string& where) {
    ++count;
    const auto parsed = ParseCommandLine(words);
    std::string line;
    for (const std::string& word : words) line.append(" ").append(word);
    EXPECT_TRUE(parsed.has_value()) << where << "\ntaken as: coffer" << line << "\n"
                                    << (parsed.has_value() ? "" : parsed.error().message);
  }
};

std::string SourceDirectory() { return COFFER_SOURCE_DIRECTORY; }

TEST(HintsTest, OfTheSourcesNameCommandsThatExist) {
  Hints hints;
  for (const char* folder : {"core", "cli", "nbd", "fuse"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(SourceDirectory() + "/" + folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".h") continue;
      hints.CheckText(LiteralsOf(ReadAll(entry.path())), entry.path().filename(), Style::kHint);
    }
  }
  EXPECT_GT(hints.count, 60) << "it looks at too little to show anything";
}

TEST(HintsTest, OfTheDocumentsNameCommandsThatExist) {
  Hints hints;
  std::vector<std::filesystem::path> documents;
  for (const char* name : {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "core/README.md"}) {
    documents.emplace_back(SourceDirectory() + "/" + name);
  }
  for (const auto& entry : std::filesystem::directory_iterator(SourceDirectory() + "/docs")) {
    if (entry.path().extension() == ".md") documents.push_back(entry.path());
  }
  for (const auto& path : documents) {
    hints.CheckText(CodeOf(ReadAll(path)), path.filename(), Style::kExact);
  }
  EXPECT_GT(hints.count, 40) << "it looks at too little to show anything";
}

TEST(HintsTest, OfTheHelpAreExamplesThatWork) {
  Hints hints;
  for (const Command& command : Commands()) {
    const int before = hints.count;
    hints.CheckText(command.examples, std::string(command.name), Style::kExact);
    EXPECT_GT(hints.count, before) << command.name << " has no example";
  }
}

TEST(HintsTest, AHintThatNamesNoCommandIsFound) {
  // What this test is for, as it was said once.
  std::size_t used = 0;
  EXPECT_EQ(Find({"repair"}, &used), nullptr);
  EXPECT_FALSE(ParseCommandLine({"open", "name", "--no-such-option"}).has_value());
  EXPECT_EQ(LiteralsOf("return Fail(kCode, \"coffer open \" + name + \" first\");"),
            std::string("coffer open ") + kValue + " first\n\n");
}

}  // namespace
}  // namespace coffer::cli
