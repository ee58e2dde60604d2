#include "cli/foreground.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <variant>

#include "cli/common.h"
#include "cli/relay.h"
#include "core/base/log.h"

namespace coffer::cli {
namespace {

constexpr const char* kStdio = "stdio";
constexpr const char* kSocketActivation = "socket-activation";

Result<control::UniqueFd> Duplicate(int fd, const char* what) {
  control::UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!copy.valid()) return Fail(ErrorFromErrno(errno, what));
  return copy;
}

}  // namespace

Result<std::unique_ptr<Foreground>> Foreground::Take(Session& session, const std::string& nbd) {
  std::unique_ptr<Foreground> foreground;
  if (nbd != kStdio && nbd != kSocketActivation) return foreground;
  foreground.reset(new Foreground());
  foreground->socket_path_ =
      session.places().runtime + "/client-" + std::to_string(getpid()) + ".sock";
  if (nbd == kStdio) {
    RETURN_IF_ERROR(foreground->TakeStandardStreams(session));
  } else {
    RETURN_IF_ERROR(foreground->TakeListeners());
  }
  BlockPipeSignal();
  return foreground;
}

Status Foreground::TakeStandardStreams(Session& session) {
  const auto* source = std::get_if<FromDescriptor>(&session.options().password);
  if (source != nullptr && source->fd <= STDOUT_FILENO) {
    return Fail(ErrorCode::kInvalidArgument,
                "with --nbd=stdio the password cannot come from standard input",
                "--password-file, or --password-fd with another descriptor");
  }
  if (isatty(STDIN_FILENO) == 1 || isatty(STDOUT_FILENO) == 1) {
    return Fail(ErrorCode::kInvalidArgument, "--nbd=stdio: this is a terminal, no NBD client",
                "it is for programs, such as libnbd; nbdcopy takes --nbd=socket-activation");
  }
  ASSIGN_OR_RETURN(in_, Duplicate(STDIN_FILENO, "taking standard input"));
  ASSIGN_OR_RETURN(out_, Duplicate(STDOUT_FILENO, "taking standard output"));
  const control::UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (dup2(null.get(), STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return Fail(ErrorFromErrno(errno, "putting something else in the place of standard output"));
  }
  return {};
}

Status Foreground::TakeListeners() {
  ASSIGN_OR_RETURN(listeners_, control::TakeInheritedSockets());
  if (!listeners_.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "--nbd=socket-activation: no socket was handed over (LISTEN_FDS, LISTEN_PID)",
              "systemd, systemd-socket-activate or libnbd start it with one");
}

Status Foreground::CheckReach(const std::string& uri) const {
  constexpr std::string_view kWithTls = "nbds";
  if (uri.substr(0, kWithTls.size()) == kWithTls) return {};
  bool reachable = in_.valid() && (control::IsReachableFromOutside(in_.get()) ||
                                   control::IsReachableFromOutside(out_.get()));
  for (const auto& listener : listeners_) reachable = reachable || listener.reachable_from_outside;
  if (!reachable) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the socket handed over can be reached from other machines, and there is no TLS",
              "--tls-x509=DIR or --tls-psk=FILE");
}

// True: no client is left that could miss something.
Result<bool> Foreground::ServeUntilEnd(Session& session) {
  Relay relay(socket_path_, session.cancel_fd());
  if (in_.valid()) {
    ASSIGN_OR_RETURN(const Relay::End end, relay.ServePair(std::move(in_), std::move(out_)));
    return end == Relay::End::kClientsGone;
  }
  std::vector<control::UniqueFd> sockets;
  for (auto& listener : listeners_) sockets.push_back(std::move(listener.fd));
  RETURN_IF_ERROR(relay.ServeListeners(std::move(sockets)));
  return relay.clients() == 0;
}

Result<int> Foreground::Serve(Session& session, control::ControlClient& client,
                              const std::string& name, const std::string& uri) {
  Result<bool> orderly = false;
  if (const Status within_reach = CheckReach(uri); within_reach) {
    orderly = ServeUntilEnd(session);
  } else {
    orderly = Fail(within_reach.error());
  }
  session.ForgetSignals();  // this one has had its effect; the next ends the wait below
  control::CloseRequest request;
  request.no_wait = !orderly.value_or(false);
  ASSIGN_OR_RETURN(const auto job, client.Close(name, request));
  ASSIGN_OR_RETURN(const int code, FinishJob(session, client, job));
  if (!orderly) return Fail(orderly.error());
  return code;
}

}  // namespace coffer::cli
