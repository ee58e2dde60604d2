#include "core/daemon/signal_loop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "core/base/log.h"

namespace coffer::daemon {
namespace {

constexpr int kExitForced = 1;

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
  return set;
}

/// The next signal, 0 if none waits.
int ReadSignal(int fd) {
  signalfd_siginfo info{};
  if (read(fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace

Result<std::unique_ptr<SignalLoop>> SignalLoop::Create() {
  const sigset_t set = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  control::UniqueFd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  control::UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals.valid() || !stop.valid()) {
    return Fail(ErrorFromErrno(errno, "preparing to receive signals"));
  }
  return std::unique_ptr<SignalLoop>(new SignalLoop(std::move(signals), std::move(stop)));
}

SignalLoop::~SignalLoop() = default;

SignalLoop::Event SignalLoop::Wait() {
  for (;;) {
    std::array<pollfd, 2> entries = {{{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    if (poll(entries.data(), entries.size(), -1) < 0) continue;
    if (entries[1].revents != 0) return Event::kStop;
    switch (ReadSignal(signals_.get())) {
      case SIGTERM:
      case SIGINT:
        return Event::kStop;
      case SIGUSR1:
        return Event::kSyncAll;
      case SIGHUP:
        return Event::kReload;
      default:
        break;
    }
  }
}

void SignalLoop::RequestStop() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof one);
}

void SignalLoop::ExitAtLatestAfter(Duration limit) {
  // On the clock that stands still while the machine sleeps, unlike base/clock.h's.
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  itimerspec end{};
  end.it_value.tv_sec = seconds.count();
  end.it_value.tv_nsec = std::max<std::int64_t>((limit - seconds).count(), 1);  // 0 would be never
  if (timer < 0 || timerfd_settime(timer, 0, &end, nullptr) != 0) {
    LOG(kWarning, "ending without a limit of time: ", ErrorFromErrno(errno, "timerfd").message);
  }
  // Detached and on descriptors of its own: it must outlast whatever the process is stuck in.
  std::thread([fd = dup(signals_.get()), timer] {
    pthread_setname_np(pthread_self(), "exit-guard");
    for (;;) {
      std::array<pollfd, 2> entries = {{{fd, POLLIN, 0}, {timer, POLLIN, 0}}};
      if (poll(entries.data(), entries.size(), -1) < 0) continue;
      if (entries[1].revents != 0) {
        LOG(kWarning,
            "not everything ended in time: exiting; the journals hold what is not uploaded");
        _exit(kExitForced);
      }
      const int signal = ReadSignal(fd);
      if (signal == SIGTERM || signal == SIGINT) {
        LOG(kWarning, "second signal: exiting at once");
        _exit(kExitForced);
      }
    }
  }).detach();
}

}  // namespace coffer::daemon
