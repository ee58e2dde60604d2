#include "core/base/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/base/file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"

namespace coffer {
namespace {

TEST(EscapeForTerminal, KeepsOrdinaryText) {
  EXPECT_EQ(EscapeForTerminal("plain, grün, 日本, \xf0\x9f\x98\x80"),
            "plain, grün, 日本, \xf0\x9f\x98\x80");
  EXPECT_EQ(EscapeForTerminal(""), "");
}

TEST(EscapeForTerminal, DisarmsWhatATerminalWouldObey) {
  EXPECT_EQ(EscapeForTerminal("a\nb\rc\td"), "a\\nb\\x0dc\\x09d");
  EXPECT_EQ(EscapeForTerminal("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(EscapeForTerminal(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(EscapeForTerminal("\xc2\x9b\x31m"), "\\x9b1m");  // C1 control
  EXPECT_EQ(EscapeForTerminal("txt.\xe2\x80\xae"
                              "exe"),
            "txt.\\u202eexe");  // turns direction
}

TEST(EscapeForTerminal, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(EscapeForTerminal("\xff"), "\\xff");
  EXPECT_EQ(EscapeForTerminal("\xc3"), "\\xc3");                    // cut short
  EXPECT_EQ(EscapeForTerminal("\xc0\x8a"), "\\xc0\\x8a");           // overlong newline
  EXPECT_EQ(EscapeForTerminal("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(EscapeForTerminal("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Log, BuildsALineOnlyWhenItsLevelIsOn) {
  int built = 0;
  const auto part = [&built] {
    ++built;
    return 1;
  };
  LOG(kDebug, part());
  EXPECT_EQ(built, 0);
  testing::internal::CaptureStderr();
  LOG(kWarning, "disk ", part(), "\n", true);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(built, 1);
  EXPECT_NE(text.find("warning disk 1\\ntrue\n"), std::string::npos) << text;
}

TEST(Log, LevelsHaveNames) {
  LogLevel level = LogLevel::kError;
  EXPECT_TRUE(ParseLogLevel("debug", &level));
  EXPECT_EQ(level, LogLevel::kDebug);
  EXPECT_FALSE(ParseLogLevel("loud", &level));
  EXPECT_FALSE(ParseLogLevel("", &level));
  EXPECT_EQ(level, LogLevel::kDebug);
}

/// In a child, since where the log goes is the process's.
int InChild(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(Log, FilesArePrivateAndRotate) {
  const ScratchDirectory directory;
  const auto log_much = [&directory] {
    if (!LogToFiles(directory.path(), "cofferd").has_value()) return false;
    SetLogLevel(LogLevel::kInfo);
    const std::string line(1 << 20, 'x');
    for (int i = 0; i < 65; ++i) LOG(kInfo, i, " ", line);
    return true;
  };
  ASSERT_EQ(InChild(log_much), 0);
  const auto fs = NewPosixFileSystem();
  ASSERT_OK_AND_ASSIGN(const auto names, fs->List(directory.path()));
  EXPECT_EQ(names, (std::vector<std::string>{"cofferd.1.log", "cofferd.2.log", "cofferd.3.log",
                                             "cofferd.4.log", "cofferd.log"}));
  for (const std::string& name : names) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, fs->Stat(directory / name));
    EXPECT_EQ(info.mode, 0600U) << name;
    EXPECT_LE(info.size, 10U << 20) << name;
  }
}

TEST(Log, SaysWhenItsFileCannotBeOpened) {
  EXPECT_FAILS(LogToFiles("/proc/none", "cofferd"), kIoError);
}

}  // namespace
}  // namespace coffer
