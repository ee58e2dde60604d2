#include "core/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "core/base/check.h"
#include "core/base/unique_fd.h"

namespace coffer {
namespace {

constexpr std::size_t kOutputMax = 16 << 10;
constexpr int kSignalled = 128;  // and the signal's number, as shells have it

int PollMilliseconds(std::chrono::milliseconds limit) {
  return limit < std::chrono::milliseconds(0) ? -1 : static_cast<int>(limit.count());
}

UniqueFd OpenPid(pid_t pid) { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

/// False when time is up.
bool AwaitReadable(int fd, std::chrono::milliseconds limit) {
  pollfd entry{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, PollMilliseconds(limit));
  } while (ready < 0 && errno == EINTR);
  return ready != 0;
}

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? kSignalled + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int Reap(pid_t pid) {
  int wait_status = 0;
  while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  return ExitCodeOf(wait_status);
}

/// With the null that ends them.
std::vector<char*> PointersTo(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnPlan {
 public:
  /// `passed_fd`: -1 for none.
  SpawnPlan(int output_fd, int passed_fd)
      : SpawnPlan(Streams{-1, output_fd, output_fd}, passed_fd) {}

  struct Streams {
    int input_fd;  // -1: there is nothing to read
    int output_fd;
    int error_fd;
  };
  SpawnPlan(const Streams& streams, int passed_fd) {
    CHECK(passed_fd < 0 || passed_fd > STDERR_FILENO);
    posix_spawn_file_actions_init(&actions_);
    if (streams.input_fd < 0) {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    } else {
      posix_spawn_file_actions_adddup2(&actions_, streams.input_fd, STDIN_FILENO);
    }
    posix_spawn_file_actions_adddup2(&actions_, streams.output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, streams.error_fd, STDERR_FILENO);
    const bool passes = passed_fd >= 0;
    if (passes) posix_spawn_file_actions_adddup2(&actions_, passed_fd, kPassedAs);
    posix_spawn_file_actions_addclosefrom_np(&actions_, passes ? kPassedAs + 1 : kPassedAs);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // A session of its own: Ctrl-C at the daemon's terminal is not for it.
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  Result<pid_t> Spawn(const std::vector<std::string>& words,
                      std::vector<std::string> environment) const {
    environment.insert(environment.end(), {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"});
    pid_t pid = 0;
    const int error = posix_spawn(&pid, words.front().c_str(), &actions_, &attributes_,
                                  PointersTo(words).data(), PointersTo(environment).data());
    if (error != 0) return Fail(ErrorFromErrno(error, "running " + words.front()));
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

/// False when time is up and nothing has got on.
bool AwaitReadable(int fd, const RunOptions& options) {
  while (!AwaitReadable(fd, options.limit)) {
    if (!options.gets_on || !options.gets_on()) return false;
  }
  return true;
}

/// Everything that comes, of which the first kOutputMax bytes are kept; false when it is silent
/// for longer than `options` allow.
bool ReadAll(int fd, const RunOptions& options, std::string* output) {
  std::array<char, 4096> buffer;
  while (AwaitReadable(fd, options)) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    const std::size_t kept = std::min(static_cast<std::size_t>(count), kOutputMax - output->size());
    output->append(buffer.data(), kept);
  }
  return false;
}

void DropLastLineEnd(std::string* text) {
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
}

}  // namespace

std::vector<std::string> SystemProgramDirectories() {
  return {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
}

std::string FindProgram(const std::string& name, const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    std::string path = directory + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

std::string InOneLine(std::string_view output) {
  std::string line;
  bool between = false;
  for (const char c : output) {
    const bool breaks = c == '\n' || c == '\t' || c == '\r';
    if (breaks || (c == ' ' && between)) {
      between = true;
      continue;
    }
    if (between && !line.empty()) line.push_back(' ');
    between = false;
    line.push_back(c);
  }
  return line;
}

Result<ProgramEnd> RunProgram(const std::vector<std::string>& words, const RunOptions& options) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(ErrorFromErrno(errno, "making a pipe"));
  const UniqueFd read_end(ends[0]);
  pid_t pid = 0;
  {
    const UniqueFd write_end(ends[1]);
    ASSIGN_OR_RETURN(
        pid, SpawnPlan(write_end.get(), options.passed_fd).Spawn(words, options.environment));
  }
  ProgramEnd end{0, {}};
  const UniqueFd handle = OpenPid(pid);
  if (!ReadAll(read_end.get(), options, &end.output) ||
      (handle.valid() && !AwaitReadable(handle.get(), options))) {
    kill(pid, SIGKILL);
    // One that waits in the kernel ends later; whoever waits for it here would wait as long.
    if (handle.valid() && AwaitReadable(handle.get(), std::chrono::seconds(1))) Reap(pid);
    return Fail(ErrorCode::kUnavailable, words.front() + " did not end within " +
                                             std::to_string(options.limit.count() / 1000) +
                                             " s and was killed");
  }
  end.exit_code = Reap(pid);
  DropLastLineEnd(&end.output);
  return end;
}

Result<Child> Child::Start(const std::vector<std::string>& words, int output_fd) {
  ASSIGN_OR_RETURN(const pid_t pid, SpawnPlan(output_fd, -1).Spawn(words, {}));
  return Child(pid);
}

Result<ConnectedChild> Child::StartConnected(const std::vector<std::string>& words,
                                             const std::vector<std::string>& environment) {
  std::array<int, 2> stream{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream.data()) != 0) {
    return Fail(ErrorFromErrno(errno, "making a pair of sockets"));
  }
  UniqueFd near_end(stream[0]);
  const UniqueFd far_end(stream[1]);
  std::array<int, 2> errors{};
  if (pipe2(errors.data(), O_CLOEXEC) != 0) {
    return Fail(ErrorFromErrno(errno, "making a pipe"));
  }
  UniqueFd errors_end(errors[0]);
  const UniqueFd errors_far_end(errors[1]);
  for (const int fd : {near_end.get(), errors_end.get()}) {
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return Fail(ErrorFromErrno(errno, "setting a pipe"));
  }
  const SpawnPlan plan({far_end.get(), far_end.get(), errors_far_end.get()}, -1);
  ASSIGN_OR_RETURN(const pid_t pid, plan.Spawn(words, environment));
  return ConnectedChild{Child(pid), std::move(near_end), std::move(errors_end)};
}

std::optional<int> Child::EndOf(pid_t pid) {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) return 0;
  if (info.si_pid == 0) return std::nullopt;
  return info.si_code == CLD_EXITED ? info.si_status : kSignalled + info.si_status;
}

bool Child::HasEnded() {
  if (pid_ == 0) return true;
  int wait_status = 0;
  if (waitpid(pid_, &wait_status, WNOHANG) == 0) return false;
  exit_code_ = ExitCodeOf(wait_status);
  pid_ = 0;
  return true;
}

bool Child::AwaitEnd(std::chrono::milliseconds limit) {
  if (HasEnded()) return true;
  const UniqueFd handle = OpenPid(pid_);
  if (handle.valid() && !AwaitReadable(handle.get(), limit)) return false;
  return HasEnded();
}

void Child::Signal(int number) const {
  if (pid_ != 0) kill(pid_, number);
}

void Pause(std::chrono::milliseconds time) { poll(nullptr, 0, PollMilliseconds(time)); }

Result<ChildOutput> ChildOutput::Create() {
  UniqueFd file(memfd_create("coffer-child", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid() || ftruncate(file.get(), kOutputMax) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW) != 0) {
    return Fail(ErrorFromErrno(errno, "making a file in memory"));
  }
  const int fd = fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (fd < 0) return Fail(ErrorFromErrno(errno, "making a file in memory"));
  return ChildOutput(fd);
}

ChildOutput::ChildOutput(ChildOutput&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ChildOutput::~ChildOutput() {
  if (fd_ >= 0) close(fd_);
}

std::string ChildOutput::Text() const {
  std::string text(kOutputMax, '\0');
  const ssize_t count = pread(fd_, text.data(), text.size(), 0);
  text.resize(count < 0 ? 0 : std::min(static_cast<std::size_t>(count), text.find('\0')));
  DropLastLineEnd(&text);
  return text;
}

}  // namespace coffer
