#include "core/control/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace coffer::control {
namespace {

constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un{}.sun_path) - 1;
constexpr int kBacklog = 64;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Fail(ErrorFromErrno(errno, "making a socket"));
  return fd;
}

}  // namespace

Status CheckSocketPath(const std::string& path) {
  if (path.size() > kPathBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                "the socket path " + path + " is " + std::to_string(path.size()) +
                    " bytes long; the system takes at most " + std::to_string(kPathBytesMax),
                "set XDG_RUNTIME_DIR to a shorter directory");
  }
  return {};
}

Result<UniqueFd> ListenUnix(const std::string& path) {
  RETURN_IF_ERROR(CheckSocketPath(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const sockaddr_un address = AddressOf(path);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) {
      return Fail(ErrorCode::kConflict, "something stands at " + path + " already");
    }
    return Fail(ErrorFromErrno(errno, "binding the socket " + path));
  }
  // Until listen() a connect is refused, so nobody meets the socket with its first mode.
  if (chmod(path.c_str(), 0600) != 0) {
    return Fail(ErrorFromErrno(errno, "setting the mode of " + path));
  }
  if (listen(fd.get(), kBacklog) != 0) {
    return Fail(ErrorFromErrno(errno, "listening at " + path));
  }
  return fd;
}

Result<UniqueFd> ConnectUnix(const std::string& path) {
  RETURN_IF_ERROR(CheckSocketPath(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const sockaddr_un address = AddressOf(path);
  // A Unix socket connects at once or not at all; EAGAIN is a full backlog.
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  const int error = errno;
  if (error == ENOENT || error == ECONNREFUSED) {
    return Fail(ErrorCode::kNotFound, "cofferd is not running: nobody listens at " + path,
                "coffer open NAME and coffer status start it");
  }
  if (error == EAGAIN) return Fail(ErrorCode::kConflict, "cofferd has too many clients just now");
  return Fail(ErrorFromErrno(error, "connecting to " + path));
}

namespace {

Result<ucred> PeerOf(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return Fail(ErrorFromErrno(errno, "asking who is at the other end of a socket"));
  }
  return credentials;
}

}  // namespace

Result<uid_t> PeerUid(int fd) {
  ASSIGN_OR_RETURN(const ucred peer, PeerOf(fd));
  return peer.uid;
}

Result<pid_t> PeerPid(int fd) {
  ASSIGN_OR_RETURN(const ucred peer, PeerOf(fd));
  return peer.pid;
}

}  // namespace coffer::control
