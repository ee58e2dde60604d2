#include "core/base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

#include "core/base/awake_clock.h"
#include "tests/support/fake_clock.h"

namespace coffer {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

TEST(SystemClock, NeverGoesBack) {
  const SystemClock clock;
  MonotonicTime last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const MonotonicTime now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(SystemClock, CountsTimeSuspended) {
  timespec boot{};
  ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
  const auto now = std::chrono::duration_cast<seconds>(SystemClock().Now().time_since_epoch());
  EXPECT_NEAR(static_cast<double>(now.count()), static_cast<double>(boot.tv_sec), 2.0);
}

TEST(AwakeClock, CountsOnlyTimeAwake) {
  timespec awake{};
  ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &awake), 0);
  const auto now = std::chrono::duration_cast<seconds>(AwakeClock().Now().time_since_epoch());
  EXPECT_NEAR(static_cast<double>(now.count()), static_cast<double>(awake.tv_sec), 2.0);
}

TEST(SystemClock, WallTimeIsThatOfTheMachine) {
  const std::time_t now = std::time(nullptr);
  EXPECT_NEAR(static_cast<double>(SystemClock().WallNow()), static_cast<double>(now), 2.0);
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  const MonotonicTime start = clock.Now();
  const UnixSeconds wall = clock.WallNow();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(seconds(90));
  EXPECT_EQ(clock.Now() - start, Duration(seconds(90)));
  EXPECT_EQ(clock.WallNow(), wall + 90);
  clock.AdvanceTo(start);  // has passed
  EXPECT_EQ(clock.Now() - start, Duration(seconds(90)));
}

TEST(FakeClock, WallTimeMayJumpWhileTimeGoesOn) {
  FakeClock clock;
  const MonotonicTime start = clock.Now();
  clock.SetWall(0);
  EXPECT_EQ(clock.WallNow(), 0);
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(hours(1));
  EXPECT_EQ(clock.WallNow(), 3600);
}

}  // namespace
}  // namespace coffer
