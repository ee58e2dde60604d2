#include "cli/progress.h"

#include <gtest/gtest.h>

namespace coffer::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

control::JobInfo Sync(std::uint64_t done, std::uint64_t total) {
  control::JobInfo job;
  job.kind = "sync";
  job.volume = "home/photos";
  job.unit = "bytes";
  job.done = done;
  job.total = total;
  return job;
}

TEST(ProgressText, SaysWhatHowFarHowFastAndHowLongYet) {
  EXPECT_EQ(
      ProgressText(Sync(128 << 20, 256 << 20), 2 << 20, 90),
      "sync home/photos  50% [############             ] 128 MiB of 256 MiB  2.0 MiB/s  1:04 left");
  EXPECT_EQ(ProgressText(Sync(256 << 20, 256 << 20), 2 << 20, 60),
            "sync home/photos 100% [#################] 256 MiB of 256 MiB");
}

TEST(ProgressText, WithoutARateThereIsNoTimeLeft) {
  EXPECT_EQ(ProgressText(Sync(0, 256 << 20), 0, 40), "sync home/photos   0% 0 B of 256 MiB");
}

TEST(ProgressText, IsNeverWiderThanTheTerminal) {
  for (std::size_t columns = 1; columns < 200; ++columns) {
    EXPECT_LE(ProgressText(Sync(12'345'678, 987'654'321), 1'000'000, columns).size(), columns);
  }
}

TEST(ProgressText, BeforeAnAmountIsKnownItSaysWhatIsDone) {
  control::JobInfo job = Sync(0, 0);
  job.kind = "open";
  job.message = "unlocking vault \x1b[2Jhome";
  const std::string text = ProgressText(job, 0, 80);
  EXPECT_EQ(text.find("open home/photos: unlocking vault "), 0u);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(ProgressText, OtherUnitsAreCounted) {
  control::JobInfo job = Sync(3, 12);
  job.kind = "survey";
  job.unit = "chunks";
  EXPECT_EQ(ProgressText(job, 3, 56), "survey home/photos  25% 3 of 12 chunks  3/s  0:03 left");
}

TEST(DurationText, CountsHoursOnlyWhenThereAreSome) {
  EXPECT_EQ(DurationText(0), "0:00");
  EXPECT_EQ(DurationText(65), "1:05");
  EXPECT_EQ(DurationText(3723), "1:02:03");
}

TEST(RateMeter, TellsASteadyRateAndNothingInTheFirstSecond) {
  RateMeter rate;
  MonotonicTime now{};
  rate.Note(now, 0);
  now += milliseconds(200);
  rate.Note(now, 20);
  EXPECT_EQ(rate.per_second(), 0);
  for (std::uint64_t i = 2; i < 100; ++i) {
    now += milliseconds(200);
    rate.Note(now, 20 * i);
  }
  EXPECT_NEAR(rate.per_second(), 100, 1);
}

TEST(RateMeter, FollowsAChangeWithinSecondsAndFallsToNothingWhenNothingMoves) {
  RateMeter rate;
  MonotonicTime now{};
  rate.Note(now, 0);
  now += seconds(10);
  rate.Note(now, 1000);
  now += seconds(15);
  rate.Note(now, 1000);
  EXPECT_LT(rate.per_second(), 10);
}

TEST(RateMeter, StartsAnewWhenTheCountFalls) {
  RateMeter rate;
  MonotonicTime now{};
  rate.Note(now, 0);
  now += seconds(2);
  rate.Note(now, 1000);
  EXPECT_GT(rate.per_second(), 0);
  rate.Note(now + seconds(1), 10);
  EXPECT_EQ(rate.per_second(), 0);
}

}  // namespace
}  // namespace coffer::cli
