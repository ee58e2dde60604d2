#include "core/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer {
namespace {

std::vector<std::string> Shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

/// Those below 10: one a line.
const std::string kListDescriptors =
    "for n in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || echo $n; done";

/// A descriptor 8 that is not close-on-exec.
class KeptOpen {
 public:
  KeptOpen() { EXPECT_EQ(dup2(STDERR_FILENO, 8), 8); }
  ~KeptOpen() { close(8); }
};

TEST(Process, TellsWhatAProgramSaidAndHowItEnded) {
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("echo a; echo b >&2; exit 3")));
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.output, "a\nb");
  ASSERT_OK_AND_ASSIGN(const ProgramEnd killed, RunProgram(Shell("kill -TERM $$")));
  EXPECT_EQ(killed.exit_code, 128 + SIGTERM);
  EXPECT_FAILS(RunProgram({"/no/such/program"}), kNotFound);
}

TEST(Process, WhatAProgramSaidFitsOnALine) {
  EXPECT_EQ(InOneLine("mount: /x: wrong fs type,\n\tor another error.\n       dmesg(1) has more\n"),
            "mount: /x: wrong fs type, or another error. dmesg(1) has more");
  EXPECT_EQ(InOneLine("a  b"), "a  b");
  EXPECT_EQ(InOneLine("\n"), "");
}

TEST(Process, OneThatIsSilentGoesOnAsLongAsItsWorkGetsOn) {
  int asked = 0;
  const auto end = RunProgram(
      Shell("while :; do sleep 0.01; done"),
      {.limit = std::chrono::milliseconds(1), .gets_on = [&asked] { return ++asked < 3; }});
  EXPECT_FAILS(end, kUnavailable);
  EXPECT_EQ(asked, 3);
}

TEST(Process, TheEndOfAChildIsToldWithoutReapingIt) {
  ASSERT_OK_AND_ASSIGN(const ChildOutput output, ChildOutput::Create());
  ASSERT_OK_AND_ASSIGN(Child child, Child::Start(Shell("exit 3"), output.fd()));
  std::optional<int> end;
  while (!(end = Child::EndOf(child.pid()))) Pause(std::chrono::milliseconds(1));
  EXPECT_EQ(end, 3);
  EXPECT_EQ(Child::EndOf(child.pid()), 3);
  EXPECT_TRUE(child.HasEnded());
}

TEST(Process, KeepsTheBeginningOfWhatIsLong) {
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("seq 1 100000")));
  EXPECT_TRUE(end.ok());
  EXPECT_EQ(end.output.size(), 16U << 10);
  EXPECT_EQ(end.output.substr(0, 4), "1\n2\n");
}

TEST(Process, SeesNoEnvironmentAndNoDescriptorOfOurs) {
  ASSERT_EQ(setenv("COFFER_TEST_SECRET", "x", 1), 0);
  const KeptOpen kept_open;
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("env; " + kListDescriptors)));
  EXPECT_EQ(end.output.find("SECRET"), std::string::npos);
  EXPECT_NE(end.output.find("LC_ALL=C"), std::string::npos);
  EXPECT_NE(end.output.find("\n0\n1\n2"), std::string::npos) << end.output;
  EXPECT_EQ(end.output.find("\n8"), std::string::npos) << end.output;
}

/// Of signals 1 to 31: the two after them belong to glibc.
unsigned long SignalsIn(const std::string& word, const std::string& status) {
  const std::size_t begin = status.find(word);
  EXPECT_NE(begin, std::string::npos) << status;
  return std::strtoul(status.c_str() + begin + word.size(), nullptr, 16) & 0x7fffffffUL;
}

TEST(Process, StartsWithNoSignalBlockedOrIgnored) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto* const handler = signal(SIGPIPE, SIG_IGN);
  const auto end = RunProgram({"/bin/cat", "/proc/self/status"});
  signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_OK(end);
  EXPECT_EQ(SignalsIn("SigBlk:", end->output), 0U);
  EXPECT_EQ(SignalsIn("SigIgn:", end->output), 0U);
}

TEST(Process, HasTheDescriptorThatIsPassedToIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const RunOptions options{.passed_fd = writing.get(),
                           .environment = {Concat("NUMBER=", kPassedAs)}};
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("echo here >&$NUMBER"), options));
  EXPECT_TRUE(end.ok()) << end.output;
  writing = UniqueFd();
  std::array<char, 16> said{};
  EXPECT_EQ(read(reading.get(), said.data(), said.size()), 5);
  EXPECT_STREQ(said.data(), "here\n");
  EXPECT_EQ(read(reading.get(), said.data(), said.size()), 0) << "it is open elsewhere";
}

TEST(Process, HasWhatIsPassedUnderOneNumberAndNothingElse) {
  const KeptOpen kept_open;
  const UniqueFd passed(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 20));
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end,
                       RunProgram(Shell(kListDescriptors), {.passed_fd = passed.get()}));
  EXPECT_EQ(end.output, "0\n1\n2\n3");
  // One that has the number here already stays close-on-exec if it is only moved there.
  const UniqueFd before(fcntl(kPassedAs, F_DUPFD_CLOEXEC, 20));
  ASSERT_EQ(dup3(passed.get(), kPassedAs, O_CLOEXEC), kPassedAs);
  const auto same = RunProgram(Shell(kListDescriptors), {.passed_fd = kPassedAs});
  if (before.valid()) {
    dup3(before.get(), kPassedAs, O_CLOEXEC);
  } else {
    close(kPassedAs);
  }
  ASSERT_OK(same);
  EXPECT_EQ(same->output, "0\n1\n2\n3");
}

TEST(Process, ThatIsSilentForTooLongIsKilled) {
  const RunOptions brief{.limit = std::chrono::milliseconds(50)};
  EXPECT_FAILS(RunProgram(Shell("exec sleep 100"), brief), kUnavailable);
  // Silent on its output, which it has closed, but there.
  EXPECT_FAILS(RunProgram(Shell("exec sleep 100 >/dev/null 2>&1"), brief), kUnavailable);
}

TEST(Child, RunsUntilItIsEnded) {
  ASSERT_OK_AND_ASSIGN(const ChildOutput output, ChildOutput::Create());
  ASSERT_OK_AND_ASSIGN(
      Child child,
      Child::Start(Shell("echo here; trap 'exit 7' TERM; while :; do sleep 0.01; done"),
                   output.fd()));
  while (output.Text() != "here") Pause(std::chrono::milliseconds(1));
  EXPECT_FALSE(Child::EndOf(child.pid()).has_value());
  EXPECT_FALSE(child.HasEnded());
  EXPECT_FALSE(child.AwaitEnd(std::chrono::milliseconds(1)));
  const pid_t pid = child.pid();
  child.Signal(SIGTERM);
  EXPECT_TRUE(child.AwaitEnd(kNoLimit));
  EXPECT_EQ(child.exit_code(), 7);
  EXPECT_TRUE(child.HasEnded());
  EXPECT_EQ(Child::EndOf(pid), 0);  // reaped
}

TEST(ChildOutput, TakesNoMoreThanItMay) {
  ASSERT_OK_AND_ASSIGN(const ChildOutput output, ChildOutput::Create());
  ASSERT_OK_AND_ASSIGN(Child child, Child::Start(Shell("seq 1 100000"), output.fd()));
  ASSERT_TRUE(child.AwaitEnd(kNoLimit));
  EXPECT_GT(output.Text().size(), 1000U);
  EXPECT_LE(output.Text().size(), 16U << 10);
}

TEST(FindProgram, LooksWhereItIsToldTo) {
  const TemporaryDirectory directory;
  EXPECT_EQ(FindProgram("sh", {directory.path(), "/bin"}), "/bin/sh");
  EXPECT_EQ(FindProgram("sh", {directory.path()}), "");
  WriteTestFile(directory / "sh", "");  // may not be run
  EXPECT_EQ(FindProgram("sh", {directory.path()}), "");
}

}  // namespace
}  // namespace coffer
