#include "core/mount/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "core/mount/own_descriptors.h"
#include "core/mount/system_files.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

std::vector<std::string> Shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

TEST(Process, TellsWhatAProgramSaidAndHowItEnded) {
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("echo a; echo b >&2; exit 3")));
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.output, "a\nb");
  ASSERT_OK_AND_ASSIGN(const ProgramEnd killed, RunProgram(Shell("kill -TERM $$")));
  EXPECT_EQ(killed.exit_code, 128 + SIGTERM);
  EXPECT_FALSE(RunProgram({"/no/such/program"}).has_value());
}

TEST(Process, KeepsTheBeginningOfWhatIsLong) {
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("seq 1 100000")));
  EXPECT_TRUE(end.ok());
  EXPECT_EQ(end.output.size(), 16U << 10);
  EXPECT_EQ(end.output.substr(0, 4), "1\n2\n");
}

TEST(Process, SeesNoEnvironmentAndNoDescriptorOfOurs) {
  ASSERT_EQ(setenv("COFFER_TEST_SECRET", "x", 1), 0);
  const int kept_open = open("/dev/null", O_RDONLY);  // not close-on-exec
  ASSERT_OK_AND_ASSIGN(const ProgramEnd end, RunProgram(Shell("env; ls /proc/$$/fd")));
  close(kept_open);
  EXPECT_EQ(end.output.find("SECRET"), std::string::npos);
  EXPECT_NE(end.output.find("LC_ALL=C"), std::string::npos);
  EXPECT_EQ(end.output.find("\n" + std::to_string(kept_open) + "\n"), std::string::npos)
      << end.output;
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

TEST(Process, ThatIsSilentForTooLongIsKilled) {
  EXPECT_FAILS(RunProgram(Shell("exec sleep 100"), std::chrono::milliseconds(50)), kUnavailable);
  // Silent on its output, which it has closed, but there.
  EXPECT_FAILS(RunProgram(Shell("exec sleep 100 >/dev/null 2>&1"), std::chrono::milliseconds(50)),
               kUnavailable);
}

TEST(Child, RunsUntilItIsEnded) {
  ASSERT_OK_AND_ASSIGN(const ChildOutput output, ChildOutput::Create());
  ASSERT_OK_AND_ASSIGN(
      Child child,
      Child::Start(Shell("echo here; trap 'exit 7' TERM; while :; do sleep 0.01; done"),
                   output.fd()));
  while (output.Text() != "here") Pause(std::chrono::milliseconds(1));
  EXPECT_TRUE(Child::Runs(child.pid()));
  EXPECT_FALSE(child.HasEnded());
  EXPECT_FALSE(child.AwaitEnd(std::chrono::milliseconds(1)));
  const pid_t pid = child.pid();
  child.Signal(SIGTERM);
  EXPECT_TRUE(child.AwaitEnd(kNoLimit));
  EXPECT_EQ(child.exit_code(), 7);
  EXPECT_TRUE(child.HasEnded());
  EXPECT_FALSE(Child::Runs(pid));
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

TEST(OwnDescriptors, OfTheProcessAreNotThoseOfTheThread) {
  const int ours = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool seen = WithOwnDescriptors([ours] { return fcntl(ours, F_GETFD) >= 0; });
  EXPECT_FALSE(seen);
  // And what the thread opened, under the same number perhaps, is not there any more.
  const int made = WithOwnDescriptors([] { return dup2(STDERR_FILENO, 900); });
  EXPECT_EQ(made, 900);
  EXPECT_EQ(fcntl(900, F_GETFD), -1);
  EXPECT_GE(fcntl(ours, F_GETFD), 0);
  close(ours);
}

TEST(SystemFiles, AreReadWhole) {
  EXPECT_NE(ReadSystemFile("/proc/self/mountinfo").find(" - "), std::string::npos);
  EXPECT_EQ(ReadSystemLine("/proc/self/comm").find('\n'), std::string::npos);
  EXPECT_EQ(ReadSystemFile("/no/such/file"), "");
  EXPECT_TRUE(ListSystemDirectory("/no/such").empty());
  EXPECT_NE(ReadLink("/proc/self/exe"), "");
}

}  // namespace
}  // namespace coffer::mount
