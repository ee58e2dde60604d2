// What ends cofferd, and what ends it although it is stuck. Each runs in a process of its own,
// since signals and the exit guard belong to the whole process.
#include "core/daemon/signal_loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "core/base/clock.h"

namespace {
std::atomic<time_t> slept_seconds{0};
}  // namespace

/// For this program: the clock that counts the machine's sleep is further by slept_seconds.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const auto failed = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (failed == 0 && clock == CLOCK_BOOTTIME) time->tv_sec += slept_seconds;
  return failed;
}

namespace coffer::daemon {
namespace {

using testing::ExitedWithCode;

constexpr int kSeen = 42;  // the process got to see what it should

class SignalLoopDeathTest : public testing::Test {
 protected:
  SignalLoopDeathTest() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }

  static std::unique_ptr<SignalLoop> Loop() {
    auto loop = SignalLoop::Create();
    if (!loop.has_value()) std::abort();
    return std::move(*loop);
  }
  [[noreturn]] static void Sleep() {
    for (;;) pause();
  }
};

TEST_F(SignalLoopDeathTest, EachSignalMeansItsEvent) {
  EXPECT_EXIT(
      {
        using Event = SignalLoop::Event;
        const auto loop = Loop();
        for (const auto& [signal, event] :
             {std::pair{SIGUSR1, Event::kSyncAll}, std::pair{SIGHUP, Event::kReload},
              std::pair{SIGINT, Event::kStop}, std::pair{SIGTERM, Event::kStop}}) {
          kill(getpid(), signal);
          if (loop->Wait() != event) std::exit(signal);
        }
        kill(getpid(), SIGPIPE);  // of a client that went away: nothing
        loop->RequestStop();
        std::exit(loop->Wait() == Event::kStop ? kSeen : 1);
      },
      ExitedWithCode(kSeen), "");
}

TEST_F(SignalLoopDeathTest, ASecondSignalEndsAProcessThatIsStuckAtOnce) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          const auto loop = Loop();
          kill(getpid(), signal);
          if (loop->Wait() != SignalLoop::Event::kStop) std::exit(kSeen);
          loop->ExitAtLatestAfter(std::chrono::hours(1));
          kill(getpid(), SIGUSR1);  // neither does another signal end it
          kill(getpid(), signal);
          Sleep();
        },
        ExitedWithCode(1), "second signal");
  }
}

TEST_F(SignalLoopDeathTest, AProcessThatIsStuckEndsWhenItsTimeIsUp) {
  EXPECT_EXIT(
      {
        Loop()->ExitAtLatestAfter(std::chrono::milliseconds(1));
        Sleep();
      },
      ExitedWithCode(1), "not everything ended in time");
}

TEST_F(SignalLoopDeathTest, SleepOfTheMachineIsNoPartOfItsTime) {
  EXPECT_EXIT(
      {
        const auto loop = Loop();
        const MonotonicTime before = SystemClock().Now();
        loop->ExitAtLatestAfter(std::chrono::hours(1));
        slept_seconds = 12 * 3600;
        if (SystemClock().Now() - before < std::chrono::hours(12)) std::exit(kSeen);
        kill(getpid(), SIGUSR1);  // has the guard look; it is told first of the two
        kill(getpid(), SIGTERM);
        Sleep();
      },
      ExitedWithCode(1), "second signal");
}

}  // namespace
}  // namespace coffer::daemon
