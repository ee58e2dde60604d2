#include "fuse/kernel_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/base/process.h"

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

/// Runs a program to its end; what it says is the error's message.
Status Run(const std::vector<std::string>& words, const RunOptions& options = {}) {
  ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram(words, options));
  if (end.ok()) return {};
  const bool busy = end.output.find("busy") != std::string::npos;
  return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError,
              end.output.empty() ? words.front() + " failed without a word"
                                 : EscapeForTerminal(end.output));
}

Status RunFusermount(const MountTools& tools, std::vector<std::string> words,
                     const RunOptions& options = {}) {
  words.insert(words.begin(), tools.fusermount);
  Status ran = Run(words, options);
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
  RETURN_IF_ERROR(RunFusermount(
      tools, {"-o", options, "--", directory},
      {.passed_fd = theirs.get(), .environment = {Concat("_FUSE_COMMFD=", kPassedAs)}}));
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
  const Status unmounted = RunFusermount(tools, std::move(words));
  if (!unmounted.has_value()) {
    return Fail(unmounted.error().Within("unmounting " + directory));
  }
  return {};
}

Status SyncFile(const MountTools& tools, const std::string& path) {
  return Run({tools.sync, "--", path});
}

Status TellSize(const MountTools& tools, const std::string& directory, const std::string& name,
                std::uint64_t size) {
  if (!IsCofferMount(directory)) return {};
  return Run({tools.truncate, "--no-create", "--size=" + std::to_string(size), "--",
              directory + "/" + name});
}

}  // namespace coffer::fuse
