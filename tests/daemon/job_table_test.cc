#include "core/daemon/job_table.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::daemon {
namespace {

class JobTableTest : public testing::Test {
 protected:
  FakeClock clock_;
  SimExecutor executor_{clock_, 7};
  control::EventHub events_;
  JobTable jobs_{executor_, clock_, events_};
};

TEST_F(JobTableTest, AJobRunsAndKeepsItsResult) {
  ASSERT_OK_AND_ASSIGN(const auto started,
                       jobs_.Start("sync", "home/photos", "bytes", [](auto& reporter) -> Status {
                         reporter.Progress(3, 7);
                         reporter.WaitingBytes(4);
                         return {};
                       }));
  EXPECT_EQ(started.state, "running");
  EXPECT_TRUE(jobs_.FindRunning("sync", "home/photos").has_value());
  EXPECT_FALSE(jobs_.FindRunning("close", "home/photos").has_value());
  executor_.scheduler().RunUntilIdle();
  ASSERT_OK_AND_ASSIGN(const auto ended, jobs_.Find(started.id));
  EXPECT_EQ(ended.state, "done");
  EXPECT_EQ(ended.done, 3U);
  EXPECT_EQ(ended.total, 7U);
  EXPECT_EQ(ended.waiting_bytes, 4U);
  EXPECT_FALSE(jobs_.FindRunning("sync", "home/photos").has_value());
}

TEST_F(JobTableTest, AFailedJobCarriesItsError) {
  ASSERT_OK_AND_ASSIGN(const auto started, jobs_.Start("sync", "", "bytes", [](auto&) -> Status {
    return Fail(ErrorCode::kUnavailable, "store gone", "mount it");
  }));
  executor_.scheduler().RunUntilIdle();
  ASSERT_OK_AND_ASSIGN(const auto ended, jobs_.Find(started.id));
  EXPECT_EQ(ended.state, "failed");
  ASSERT_TRUE(ended.error.has_value());
  EXPECT_EQ(ended.error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(ended.error->hint, "mount it");
}

TEST_F(JobTableTest, StartAndEndAreEventsAndProgressIsNotAFlood) {
  std::vector<std::string> states;
  const auto subscription = events_.Subscribe(
      [&states](const control::Event& event) { states.push_back(event.job->state); });
  ASSERT_OK(jobs_.Start("sync", "", "bytes", [](auto& reporter) -> Status {
    for (std::uint64_t i = 0; i < 1000; ++i) reporter.Progress(i, 1000);
    return {};
  }));
  executor_.scheduler().RunUntilIdle();
  ASSERT_GE(states.size(), 2U);
  EXPECT_LE(states.size(), 3U);
  EXPECT_EQ(states.front(), "running");
  EXPECT_EQ(states.back(), "done");
}

TEST_F(JobTableTest, UnknownIdsAreNotFound) {
  for (const std::string id : {"", "0", "1", "x", "1x", "-1", "99999999999999999999999"}) {
    EXPECT_FAILS(jobs_.Find(id), kNotFound) << id;
  }
}

TEST_F(JobTableTest, TooManyAtOnceAreRefused) {
  const auto start = [this](const std::string& volume) {
    return jobs_.Start("sync", volume, "", [](auto&) -> Status { return {}; });
  };
  for (std::size_t i = 0; i < JobTable::kRunningMax; ++i) {
    ASSERT_OK(start(Concat("vault", i / JobTable::kRunningOfVaultMax, "/a")));
  }
  EXPECT_FAILS(start("other/a"), kConflict);
  executor_.scheduler().RunUntilIdle();
  EXPECT_OK(start("other/a"));
  executor_.scheduler().RunUntilIdle();
}

TEST_F(JobTableTest, AVaultWhoseJobsAllHangLeavesRoomForOthers) {
  const auto start = [this](const std::string& volume) {
    return jobs_.Start("sync", volume, "", [](auto&) -> Status { return {}; });
  };
  for (std::size_t i = 0; i < JobTable::kRunningOfVaultMax; ++i) ASSERT_OK(start("sick/a"));
  EXPECT_FAILS(start("sick/b"), kConflict);
  EXPECT_OK(start("well/a"));
  EXPECT_OK(start(""));
  executor_.scheduler().RunUntilIdle();
}

TEST_F(JobTableTest, OldJobsAreForgotten) {
  for (std::size_t i = 0; i < JobTable::kKept + 10; ++i) {
    ASSERT_OK(jobs_.Start("sync", "", "", [](auto&) -> Status { return {}; }));
    executor_.scheduler().RunUntilIdle();
  }
  EXPECT_EQ(jobs_.List().jobs.size(), JobTable::kKept);
  EXPECT_FAILS(jobs_.Find("1"), kNotFound);
  EXPECT_OK(jobs_.Find(std::to_string(JobTable::kKept + 10)));
}

}  // namespace
}  // namespace coffer::daemon
