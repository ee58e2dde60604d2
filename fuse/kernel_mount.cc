#include "fuse/kernel_mount.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "core/base/log.h"

namespace coffer::fuse {
namespace {

constexpr unsigned long kMountFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME;

/// Whether this machine's administrator lets users open their FUSE mounts to others: a line of
/// fuse.conf (mount.fuse3(8)).
bool OthersAllowed(FileSystem& fs, const MountTools& tools) {
  constexpr std::uint64_t kBytesMax = 64 << 10;
  const auto bytes = ReadWholeFile(fs, tools.configuration, kBytesMax);
  if (!bytes.has_value()) return false;
  std::istringstream lines{std::string(AsText(*bytes))};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::string more;
    if (words >> word && word == "user_allow_other" && !(words >> more)) return true;
  }
  return false;
}

Result<UniqueFd> MountDirectly(const MountTools& tools, const std::string& directory) {
  UniqueFd device(open(tools.device.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!device.valid()) return Fail(ErrorFromErrno(errno, "opening " + tools.device));
  const std::string options =
      Concat("fd=", device.get(), ",rootmode=40000,user_id=", getuid(), ",group_id=", getgid());
  if (mount(kMountSource, directory.c_str(), kMountType, kMountFlags, options.c_str()) == 0) {
    return device;
  }
  if (errno == EPERM) return UniqueFd();  // not this user's right: fusermount3's
  return Fail(ErrorFromErrno(errno, "mounting on " + directory));
}

// --- programs ---

constexpr std::size_t kComplaintBytesMax = 4096;
constexpr int kPassedAs = 3;

/// What a program is started with; both ends at its own.
class SpawnSettings {
 public:
  /// `errors` becomes its standard error; `passed`, unless it is -1, is kPassedAs in it.
  SpawnSettings(int errors, int passed) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files_, errors, STDERR_FILENO);
    if (passed >= 0) posix_spawn_file_actions_adddup2(&files_, passed, kPassedAs);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  /// 0 or an errno.
  int Spawn(std::vector<std::string>& words, pid_t* child) const {
    const std::string comm_fd = Concat("_FUSE_COMMFD=", kPassedAs);
    std::array<const char*, 4> environment = {comm_fd.c_str(), "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                                              "LC_ALL=C", nullptr};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    return posix_spawn(child, words.front().c_str(), &files_, &attributes_, arguments.data(),
                       const_cast<char**>(environment.data()));
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

std::string ReadComplaints(int pipe_end) {
  std::string said;
  std::array<char, 512> part{};
  for (ssize_t got = 0; (got = read(pipe_end, part.data(), part.size())) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0 && said.size() < kComplaintBytesMax) {
      said.append(part.data(), static_cast<std::size_t>(got));
    }
  }
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said;
}

/// Runs a program until it ends; what it says on standard error is the error's message.
Status RunProgram(std::vector<std::string> words, int passed) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(ErrorFromErrno(errno, "making a pipe"));
  const UniqueFd complaints(ends[0]);
  UniqueFd complaints_in(ends[1]);
  pid_t child = -1;
  const int spawned = SpawnSettings(complaints_in.get(), passed).Spawn(words, &child);
  if (spawned != 0) return Fail(ErrorFromErrno(spawned, "running " + words.front()));
  complaints_in = UniqueFd();
  const std::string said = ReadComplaints(complaints.get());
  int ended = 0;
  while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) return {};
  const bool busy = said.find("busy") != std::string::npos;
  return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError,
              said.empty() ? words.front() + " failed without a word" : EscapeForTerminal(said));
}

Status RunFusermount(const MountTools& tools, std::vector<std::string> words, int passed) {
  words.insert(words.begin(), tools.fusermount);
  Status ran = RunProgram(std::move(words), passed);
  if (ran.has_value() || ran.error().code != ErrorCode::kNotFound) return ran;
  return Fail(ErrorCode::kUnsupported,
              "there is no " + tools.fusermount + ", which mounts for users that are not root",
              "install the package fuse3");
}

/// The descriptor that fusermount3 has sent.
Result<UniqueFd> ReceiveConnection(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* const header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return Fail(ErrorCode::kIoError, "fusermount3 has sent no connection");
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  UniqueFd connection(fd);
  if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
    return Fail(ErrorFromErrno(errno, "setting up the FUSE connection"));
  }
  return connection;
}

Result<UniqueFd> MountThroughFusermount(const MountTools& tools, const std::string& directory,
                                        bool others) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Fail(ErrorFromErrno(errno, "making a pair of sockets"));
  }
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const std::string options = Concat("rw,nosuid,nodev,noexec,noatime,fsname=", kMountSource,
                                     ",subtype=coffer", others ? ",allow_other" : "");
  RETURN_IF_ERROR(RunFusermount(tools, {"-o", options, "--", directory}, theirs.get()));
  theirs = UniqueFd();
  return ReceiveConnection(ours.get());
}

}  // namespace

Result<KernelMount> MountConnection(FileSystem& fs, const MountTools& tools,
                                    const std::string& directory) {
  KernelMount mounted;
  ASSIGN_OR_RETURN(mounted.connection, MountDirectly(tools, directory));
  if (mounted.connection.valid()) return mounted;
  mounted.root_may_enter = OthersAllowed(fs, tools);
  auto connection = MountThroughFusermount(tools, directory, mounted.root_may_enter);
  if (!connection.has_value()) {
    Error error = connection.error().Within("mounting on " + directory);
    if (error.message.find("not permitted") != std::string::npos) {
      error.hint = "a systemd unit of cofferd must not say NoNewPrivileges=yes";
    }
    return Fail(std::move(error));
  }
  mounted.connection = std::move(*connection);
  return mounted;
}

Status UnmountConnection(const MountTools& tools, const std::string& directory, UnmountMode mode) {
  const int flags = UMOUNT_NOFOLLOW | (mode == UnmountMode::kLazy ? MNT_DETACH : 0);
  if (umount2(directory.c_str(), flags) == 0) return {};
  if (errno != EPERM) {
    const int error = errno;
    return Fail(error == EBUSY ? ErrorCode::kConflict : ErrorCode::kIoError,
                Concat("unmounting ", directory, ": ", std::strerror(error)));
  }
  std::vector<std::string> words = {"-u", "--", directory};
  if (mode == UnmountMode::kLazy) words.insert(words.begin(), "-z");
  const Status unmounted = RunFusermount(tools, std::move(words), -1);
  if (!unmounted.has_value()) {
    return Fail(unmounted.error().Within("unmounting " + directory));
  }
  return {};
}

Status SyncFile(const MountTools& tools, const std::string& path) {
  return RunProgram({tools.sync, "--", path}, -1);
}

}  // namespace coffer::fuse
