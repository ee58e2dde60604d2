#include "cli/arguments.h"

#include <gtest/gtest.h>

#include <set>

#include "cli/command.h"
#include "tests/support/result_macros.h"

namespace coffer::cli {
namespace {

CommandLine Parse(const std::vector<std::string>& words) {
  auto parsed = ParseCommandLine(words);
  EXPECT_OK(parsed);
  if (!parsed.has_value() || !std::holds_alternative<CommandLine>(*parsed)) return {};
  return std::get<CommandLine>(*parsed);
}

std::string HelpOf(const std::vector<std::string>& words) {
  auto parsed = ParseCommandLine(words);
  EXPECT_OK(parsed);
  return parsed.has_value() ? std::get<HelpText>(*parsed).text : "";
}

TEST(CommandLineTest, PositionalsHaveTheirNames) {
  const CommandLine line = Parse({"init", "photos", "/mnt/store", "20G", "--as", "home"});
  ASSERT_NE(line.command, nullptr);
  EXPECT_EQ(line.command->name, "init");
  EXPECT_EQ(line.arguments.Get("NAME"), "photos");
  EXPECT_EQ(line.arguments.Get("STORE"), "/mnt/store");
  EXPECT_EQ(line.arguments.Get("SIZE"), "20G");
  EXPECT_EQ(line.arguments.Get("--as"), "home");
  EXPECT_FALSE(line.arguments.Has("--single-writer"));
}

TEST(CommandLineTest, NbdWithoutAValueDoesNotSwallowTheName) {
  const CommandLine bare = Parse({"open", "--nbd", "photos"});
  EXPECT_EQ(bare.arguments.Get("NAME"), "photos");
  EXPECT_TRUE(bare.arguments.Has("--nbd"));
  EXPECT_EQ(bare.arguments.Get("--nbd"), "");
  const CommandLine address = Parse({"open", "photos", "--nbd=tcp:127.0.0.1:10809"});
  EXPECT_EQ(address.arguments.Get("--nbd"), "tcp:127.0.0.1:10809");
}

TEST(CommandLineTest, GlobalOptionsStandAnywhere) {
  for (const auto& words : {std::vector<std::string>{"--json", "--password-fd", "3", "open", "p"},
                            std::vector<std::string>{"open", "p", "--password-fd=3", "--json"}}) {
    const CommandLine line = Parse(words);
    EXPECT_TRUE(line.json);
    EXPECT_EQ(line.password_fd, "3");
    EXPECT_EQ(line.arguments.Get("NAME"), "p");
  }
}

TEST(CommandLineTest, CommandsOfTwoWords) {
  EXPECT_EQ(Parse({"daemon", "restart"}).command->name, "daemon restart");
}

TEST(CommandLineTest, EverythingElseIsAUsageErrorWithAHint) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"bogus"},
      {"open"},
      {"open", "a", "b"},
      {"open", "a", "--bogus"},
      {"open", "a", "--read-only=false"},
      {"open", "a", "--read-only", "--read-only"},
      {"open", "a", "--nbd=x", "--nbd=y"},
      {"init", "a", "b"},
      {"daemon"},
      {"daemon", "bogus"},
      {"status", "--password-fd", "3", "--password-file", "x"},
      {"open", "a", "--fuse"}};
  for (const auto& words : lines) {
    const auto parsed = ParseCommandLine(words);
    ASSERT_FAILS(parsed, kInvalidArgument) << (words.empty() ? "" : words.back());
    EXPECT_NE(parsed.error().hint.find("--help"), std::string::npos);
  }
}

TEST(CommandLineTest, TheHintNamesTheWholeCommand) {
  EXPECT_EQ(ParseCommandLine({"daemon", "run", "--bogus"}).error().hint,
            "coffer daemon run --help");
  EXPECT_EQ(ParseCommandLine({"open"}).error().hint, "coffer open --help");
  EXPECT_EQ(ParseCommandLine({"bogus"}).error().hint, "coffer --help");
}

TEST(CommandLineTest, NoOptionTakesAPasswordItself) {
  EXPECT_FAILS(ParseCommandLine({"open", "p", "--password", "secret"}), kInvalidArgument);
}

TEST(CommandLineTest, EveryCommandHasHelpWithExamples) {
  std::set<std::string_view> names;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    std::vector<std::string> words;
    const std::string name(command.name);
    const std::size_t space = name.find(' ');
    words.push_back(name.substr(0, space));
    if (space != std::string::npos) words.push_back(name.substr(space + 1));
    words.emplace_back("--help");
    const std::string help = HelpOf(words);
    EXPECT_NE(help.find(command.summary), std::string::npos) << help;
    EXPECT_NE(help.find("coffer " + name), std::string::npos) << help;
  }
  EXPECT_NE(HelpOf({"--help"}).find("Usage: coffer"), std::string::npos);
  EXPECT_NE(HelpOf({"--version"}).find("coffer "), std::string::npos);
}

}  // namespace
}  // namespace coffer::cli
