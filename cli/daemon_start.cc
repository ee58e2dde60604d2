#include "cli/daemon_start.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "core/control/error_table.h"
#include "core/control/start_report.h"

namespace coffer::cli {
namespace {

constexpr int kReadyFd = 3;
constexpr int kReadyMilliseconds = 10'000;
constexpr int kStopMilliseconds = 15'000;
constexpr int kStopLookMilliseconds = 100;
constexpr int kLockTries = 220;  // 50 ms apart: longer than another's start may take
constexpr int kLockPause = 50;
constexpr int kStartTries = 40;
constexpr std::size_t kReportBytesMax = 16 << 10;

Result<std::string> DaemonPath() {
  std::array<char, 4096> buffer;
  const ssize_t length = readlink("/proc/self/exe", buffer.data(), buffer.size());
  std::vector<std::string> candidates;
  if (length > 0) {
    const std::string self(buffer.data(), static_cast<std::size_t>(length));
    candidates.push_back(self.substr(0, self.rfind('/')) + "/cofferd");
  }
  candidates.emplace_back(COFFER_LIBEXECDIR "/cofferd");
  for (const std::string& path : candidates) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return Fail(ErrorCode::kNotFound, "cofferd is neither beside coffer nor at " + candidates.back(),
              "the installation is not complete");
}

std::vector<std::string> DaemonWords(const std::string& path, const Session& session) {
  std::vector<std::string> words = {path};
  if (session.options().log_level) words.push_back("--log-level=" + *session.options().log_level);
  return words;
}

[[noreturn]] void Exec(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  execv(words[0].c_str(), pointers.data());
  _exit(127);
}

/// In the first child: leaves the session, so that the daemon outlives the terminal, and lets go of
/// everything inherited but the pipe and, until it is ready, stderr.
[[noreturn]] void BecomeDaemon(const std::vector<std::string>& words, int ready_fd) {
  setsid();
  if (fork() != 0) _exit(0);
  const int null = open("/dev/null", O_RDWR);
  const int ready = fcntl(ready_fd, F_DUPFD, 10);
  if (null < 0 || ready < 0) _exit(127);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  dup2(ready, kReadyFd);
  close_range(kReadyFd + 1, ~0U, 0);
  if (chdir("/") != 0) _exit(127);
  UnblockSessionSignals();
  Exec(words);
}

/// Everything the daemon says in the pipe until it closes it, or until time is up.
Result<std::string> ReadReport(int fd, int cancel_fd) {
  std::string report;
  while (report.size() < kReportBytesMax) {
    std::array<pollfd, 2> entries = {{{cancel_fd, POLLIN, 0}, {fd, POLLIN, 0}}};
    const int ready = poll(entries.data(), entries.size(), kReadyMilliseconds);
    if (ready < 0) continue;
    if (ready == 0) {
      return Fail(ErrorCode::kIoError, "cofferd was not ready within 10 seconds",
                  "its log tells what it waits for");
    }
    if (entries[0].revents != 0) return Fail(ErrorCode::kCancelled, "interrupted");
    std::array<char, 1024> buffer;
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count <= 0) break;
    report.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return report;
}

/// The code whose exit code the daemon gave, so that coffer ends with the same.
ErrorCode CodeOfExit(int exit_code) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kNeedsPerson); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    if (control::ExitCodeOf(code) == exit_code) return code;
  }
  return ErrorCode::kIoError;
}

Status StartInBackground(Session& session) {
  ASSIGN_OR_RETURN(const std::string path, DaemonPath());
  std::vector<std::string> words = DaemonWords(path, session);
  words.insert(words.end(), {"--background", "--ready-fd=" + std::to_string(kReadyFd)});
  std::array<int, 2> pipe_ends;
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    return Fail(ErrorFromErrno(errno, "making a pipe"));
  }
  const control::UniqueFd read_end(pipe_ends[0]);
  control::UniqueFd write_end(pipe_ends[1]);
  const pid_t child = fork();
  if (child < 0) return Fail(ErrorFromErrno(errno, "starting cofferd"));
  if (child == 0) BecomeDaemon(words, write_end.get());
  write_end = control::UniqueFd();
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  ASSIGN_OR_RETURN(const std::string text, ReadReport(read_end.get(), session.cancel_fd()));
  const control::StartReport report = control::DecodeStartReport(text);
  if (report.ready) return {};
  std::string hint = report.hint;
  if (hint.empty()) hint = "its log is in " + session.places().log();
  return Fail(CodeOfExit(report.exit_code), "cofferd did not start: " + report.message, hint);
}

/// Whether a daemon answers: one that is just being killed still takes connections. kUnavailable
/// when it is there and does not.
Result<bool> Answers(const Session& session) {
  if (!control::ConnectUnix(session.control_socket()).has_value()) return false;
  const auto version = session.RunningDaemon().Version();
  if (version.has_value() || version.error().code == ErrorCode::kCancelled) return true;
  if (version.error().code == ErrorCode::kUnavailable) return Fail(version.error());
  return false;
}

/// Its main thread is gone, in order or not: a thread that is in a call of a store that never
/// returns stays until the call does (a FUSE file system that is stopped), and the number with it.
bool HasLeftOnlyStuckThreads(std::int64_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const control::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> buffer;
  const ssize_t count = file.valid() ? read(file.get(), buffer.data(), buffer.size()) : -1;
  if (count <= 0) return false;
  const std::string text(buffer.data(), static_cast<std::size_t>(count));
  const auto name_end = text.rfind(')');  // of the program, which may hold anything
  return name_end != std::string::npos && text.substr(name_end, 3) == ") Z";
}

}  // namespace

Status EnsureDaemonRuns(Session& session) {
  const control::Places& places = session.places();
  RETURN_IF_ERROR(control::CheckSocketPath(places.control_socket()));
  ASSIGN_OR_RETURN(bool answers, Answers(session));
  if (answers) return {};
  RETURN_IF_ERROR(control::EnsurePrivateDirectory(session.fs(), places.runtime, geteuid()));
  for (int tries = 0; tries < kLockTries; ++tries) {
    const auto lock = session.fs().Lock(places.start_lock());
    if (lock.has_value()) {
      ASSIGN_OR_RETURN(answers, Answers(session));
      if (answers) return {};  // somebody else started it meanwhile
      const Status started = StartInBackground(session);
      // One that ends holds the state a little longer than it answers.
      const bool held = !started.has_value() && started.error().code == ErrorCode::kConflict;
      if (!held || tries + 1 >= kStartTries) return started;
    } else if (lock.error().code != ErrorCode::kConflict) {
      return Fail(lock.error());
    }
    RETURN_IF_ERROR(session.RunningDaemon().Pause(kLockPause));
  }
  return Fail(ErrorCode::kConflict, "another coffer is busy starting cofferd");
}

Error RunDaemonInForeground(Session& session) {
  const auto path = DaemonPath();
  if (!path.has_value()) return path.error();
  UnblockSessionSignals();
  Exec(DaemonWords(*path, session));
}

Status StopDaemonAndWait(Session& session, const control::StopRequest& request,
                         std::vector<control::HolderInfo>* holders) {
  control::ControlClient client = session.RunningDaemon();
  ASSIGN_OR_RETURN(const control::VersionInfo daemon, client.Version());
  // Taken before it is told to end, so that it means this process whatever becomes of its number.
  const control::UniqueFd process(
      static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(daemon.pid), 0)));
  RETURN_IF_ERROR(client.StopDaemon(request, holders));
  if (!process.valid()) return {};  // gone already
  std::array<pollfd, 2> entries = {{{session.cancel_fd(), POLLIN, 0}, {process.get(), POLLIN, 0}}};
  for (int waited = 0; waited < kStopMilliseconds; waited += kStopLookMilliseconds) {
    const int ready = poll(entries.data(), entries.size(), kStopLookMilliseconds);
    if (ready > 0 && entries[0].revents != 0) return Fail(ErrorCode::kCancelled, "interrupted");
    if (ready > 0 || HasLeftOnlyStuckThreads(daemon.pid)) return {};
  }
  return Fail(ErrorCode::kUnavailable,
              "cofferd (pid " + std::to_string(daemon.pid) + ") has not ended within 15 seconds");
}

}  // namespace coffer::cli
