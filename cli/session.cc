#include "cli/session.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cli/daemon_start.h"

namespace coffer::cli {
namespace {

sigset_t SessionSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void BlockPipeSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void UnblockSessionSignals() {
  sigset_t set = SessionSignals();
  sigaddset(&set, SIGPIPE);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

Result<std::unique_ptr<Session>> Session::Create(Options options) {
  auto fs = NewPosixFileSystem();
  ASSIGN_OR_RETURN(control::Places places,
                   control::FindPlaces(*fs, control::SystemUserEnvironment()));
  const sigset_t set = SessionSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  control::UniqueFd cancel(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!cancel.valid()) return Fail(ErrorFromErrno(errno, "preparing to receive signals"));
  return std::unique_ptr<Session>(
      new Session(std::move(options), std::move(fs), std::move(places), std::move(cancel)));
}

void Session::ForgetSignals() const {
  signalfd_siginfo info;
  while (read(cancel_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
  }
}

/// Its usual place; else, for whoever has another runtime directory than the daemon (cron, su),
/// where the one that has this state says that it is.
std::string Session::control_socket() const {
  const std::string usual = places_.control_socket();
  if (control::ConnectUnix(usual).has_value()) return usual;
  const auto said = control::ReadSocketPointer(*fs_, places_);
  if (said.has_value() && control::ConnectUnix(*said).has_value()) return *said;
  return usual;
}

control::ControlClient Session::RunningDaemon() const {
  return control::ControlClient(control_socket(), cancel_.get());
}

Result<control::ControlClient> Session::Daemon() {
  RETURN_IF_ERROR(EnsureDaemonRuns(*this));
  return RunningDaemon();
}

}  // namespace coffer::cli
