#include "core/control/activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::control {
namespace {

/// Runs `check` in a child that has `fds` from 3 on and the variables of somebody who handed them
/// over; whether it said yes.
bool InChild(const std::vector<int>& fds, const char* names, const std::function<bool()>& check,
             pid_t pid_off_by = 0) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<int> high;
    for (const int fd : fds) high.push_back(fcntl(fd, F_DUPFD, 100));
    for (std::size_t i = 0; i < high.size(); ++i) dup2(high[i], 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid() + pid_off_by).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", names, 1);
    _exit(check() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int TcpSocket(std::uint32_t address, bool listening) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  if (listening) {
    EXPECT_EQ(listen(fd, 1), 0);
  }
  return fd;
}

TEST(Activation, SocketsAreTakenWithTheirNamesAndPathsAndTheVariablesAreGone) {
  TemporaryDirectory directory;
  const auto control = ListenUnix(directory / "control.sock");
  const auto nbd = ListenUnix(directory / "nbd.sock");
  ASSERT_OK(control);
  ASSERT_OK(nbd);
  EXPECT_TRUE(InChild({control->get(), nbd->get()}, "control:nbd", [&] {
    const auto sockets = TakeInheritedSockets();
    return sockets.has_value() && sockets->size() == 2 && (*sockets)[0].name == "control" &&
           (*sockets)[1].name == "nbd" && (*sockets)[0].fd.get() == 3 &&
           (*sockets)[1].path == directory / "nbd.sock" && !(*sockets)[0].reachable_from_outside &&
           (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(4, F_GETFL) & O_NONBLOCK) != 0 &&
           std::getenv("LISTEN_FDS") == nullptr && std::getenv("LISTEN_PID") == nullptr &&
           TakeInheritedSockets()->empty();
  }));
  EXPECT_TRUE(InChild({nbd->get()}, "", [] {
    const auto sockets = TakeInheritedSockets();
    return sockets.has_value() && sockets->size() == 1 && (*sockets)[0].name == "unknown";
  }));
}

TEST(Activation, WhatIsMeantForAnotherProcessIsLeftAlone) {
  TemporaryDirectory directory;
  const auto control = ListenUnix(directory / "control.sock");
  ASSERT_OK(control);
  EXPECT_TRUE(InChild(
      {control->get()}, "control",
      [] {
        const auto sockets = TakeInheritedSockets();
        return sockets.has_value() && sockets->empty();
      },
      1));
}

TEST(Activation, WhatDoesNotListenIsRefused) {
  const auto refused = [](const char* why) {
    return [why] {
      const auto sockets = TakeInheritedSockets();
      return !sockets.has_value() && sockets.error().message.find(why) != std::string::npos;
    };
  };
  const UniqueFd idle(TcpSocket(INADDR_LOOPBACK, false));
  EXPECT_TRUE(InChild({idle.get()}, "nbd", refused("does not listen")));
  const UniqueFd datagrams(socket(AF_UNIX, SOCK_DGRAM, 0));
  EXPECT_TRUE(InChild({datagrams.get()}, "nbd", refused("no stream socket")));
  const UniqueFd file(open("/dev/null", O_RDONLY));
  EXPECT_TRUE(InChild({file.get()}, "nbd", refused("no stream socket")));
  EXPECT_TRUE(InChild(std::vector<int>(17, idle.get()), "nbd", refused("LISTEN_FDS")));
}

TEST(Activation, OnlyLoopbackAndUnixSocketsStayOnThisMachine) {
  const UniqueFd loopback(TcpSocket(INADDR_LOOPBACK, true));
  const UniqueFd any(TcpSocket(INADDR_ANY, true));
  EXPECT_FALSE(IsReachableFromOutside(loopback.get()));
  EXPECT_TRUE(IsReachableFromOutside(any.get()));
  TemporaryDirectory directory;
  const auto unix_socket = ListenUnix(directory / "s");
  ASSERT_OK(unix_socket);
  EXPECT_FALSE(IsReachableFromOutside(unix_socket->get()));
  const UniqueFd file(open("/dev/null", O_RDONLY));
  EXPECT_FALSE(IsReachableFromOutside(file.get()));
}

}  // namespace
}  // namespace coffer::control
