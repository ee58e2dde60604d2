#include "core/daemon/upload_pause.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::daemon {
namespace {

using std::chrono::minutes;
using volume::Uploads;

class UploadPauseTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(CreateDirectories(fs_, "/state"));
    Start();
  }
  void Start() {
    pause_.reset();
    told_.clear();
    pause_ = std::make_unique<UploadPause>(fs_, clock_, executor_, "/state/paused",
                                           [this](Uploads uploads) { told_.push_back(uploads); });
  }
  void Pass(Duration time) { executor_.scheduler().RunFor(time); }

  FakeClock clock_;
  SimExecutor executor_{clock_, 7};
  FaultyFileSystem fs_;
  std::vector<Uploads> told_;
  std::unique_ptr<UploadPause> pause_;
};

TEST_F(UploadPauseTest, LastsAsLongAsItWasAskedFor) {
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  ASSERT_OK(pause_->Pause(600));
  EXPECT_EQ(pause_->until(), clock_.WallNow() + 600);
  Pass(minutes(9));
  EXPECT_EQ(pause_->uploads(), Uploads::kPaused);
  Pass(minutes(2));
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  EXPECT_EQ(told_, (std::vector{Uploads::kPaused, Uploads::kGoOn}));
}

TEST_F(UploadPauseTest, WithoutATimeItLastsUntilItIsResumed) {
  ASSERT_OK(pause_->Pause(std::nullopt));
  Pass(std::chrono::hours(24 * 100));
  EXPECT_EQ(pause_->until(), UploadPause::kUntilResumed);
  ASSERT_OK(pause_->Resume());
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  ASSERT_OK(pause_->Resume()) << "what is not paused is resumed already";
}

TEST_F(UploadPauseTest, EndsAlthoughTheClockWasSetBack) {
  ASSERT_OK(pause_->Pause(600));
  clock_.SetWall(clock_.WallNow() - 3600);
  Pass(minutes(11));
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  EXPECT_EQ(told_, (std::vector{Uploads::kPaused, Uploads::kGoOn}));
}

TEST_F(UploadPauseTest, TheLastWordCounts) {
  ASSERT_OK(pause_->Pause(60));
  ASSERT_OK(pause_->Pause(600));
  Pass(minutes(5));
  EXPECT_EQ(pause_->uploads(), Uploads::kPaused) << "the first pause's timer is void";
  ASSERT_OK(pause_->Pause(std::nullopt));
  Pass(minutes(20));
  EXPECT_EQ(pause_->uploads(), Uploads::kPaused);
}

TEST_F(UploadPauseTest, ADaemonThatIsStartedAnewGoesOnResting) {
  ASSERT_OK(pause_->Pause(600));
  Start();
  EXPECT_EQ(pause_->uploads(), Uploads::kPaused);
  Pass(minutes(11));
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  ASSERT_OK(pause_->Pause(60));
  pause_.reset();
  clock_.Advance(minutes(2));
  Start();
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn) << "its time passed meanwhile";
}

TEST_F(UploadPauseTest, WhatTheFileHoldsIsATimeOrNothing) {
  for (const char* text : {"", "\n", "tomorrow\n", "-5\n", "17", "99999999999999999999\n"}) {
    ASSERT_OK(ReplaceFile(fs_, "/state/paused", AsBytes(text)));
    Start();
    EXPECT_EQ(pause_->uploads(), Uploads::kGoOn) << text;
  }
}

TEST_F(UploadPauseTest, APauseThatCannotBeKeptChangesNothing) {
  fs_.SetReadOnly();
  EXPECT_FALSE(pause_->Pause(600).has_value());
  EXPECT_EQ(pause_->uploads(), Uploads::kGoOn);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace coffer::daemon
