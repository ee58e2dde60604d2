// The window against lines of which everything is known: round trip and rate.
#include "core/pack/upload_window.h"

#include <gtest/gtest.h>

#include <queue>
#include <vector>

#include "tests/support/fake_clock.h"

namespace coffer::pack {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kPack = 8 << 20;

/// A line that takes `rate` bytes a second in all, each pack at least `alone` (a server's or a
/// connection's own time), and somebody who always has a pack ready.
class Line {
 public:
  Line(FakeClock& clock, UploadWindow& window, double rate, Duration alone)
      : clock_(clock), window_(window), rate_(rate), alone_(alone) {}

  void Carry(int packs) {
    for (int i = 0; i < packs; ++i) {
      while (ends_.size() < window_.size()) Begin();
      window_.NoteWaiting();
      End({});
    }
  }
  void Refuse(const Status& why) { End(why); }

 private:
  void Begin() {
    const Duration one = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * kPack / rate_));
    line_free_ = std::max(line_free_, clock_.Now()) + one;
    ends_.push(std::max(line_free_, clock_.Now() + alone_));
  }
  void End(const Status& status) {
    if (ends_.empty()) Begin();
    clock_.AdvanceTo(ends_.top());
    ends_.pop();
    window_.NoteEnded(kPack, status);
  }

  FakeClock& clock_;
  UploadWindow& window_;
  const double rate_;
  const Duration alone_;
  MonotonicTime line_free_{};
  std::priority_queue<MonotonicTime, std::vector<MonotonicTime>, std::greater<>> ends_;
};

class UploadWindowTest : public testing::Test {
 protected:
  FakeClock clock_;
  UploadWindow window_{clock_, {}};
};

TEST_F(UploadWindowTest, BeginsAtThree) { EXPECT_EQ(window_.size(), 3U); }

TEST_F(UploadWindowTest, GrowsWhereMoreCarryMoreAndNotBeyondItsMost) {
  Line line(clock_, window_, 1e9, seconds(1));  // each alone takes a second, the line is wide
  line.Carry(200);
  EXPECT_EQ(window_.size(), 16U);
}

TEST_F(UploadWindowTest, StaysWhereTheLineIsFull) {
  Line line(clock_, window_, 10e6, milliseconds(50));  // three fill it
  line.Carry(100);
  EXPECT_LE(window_.size(), 4U);
  EXPECT_GE(window_.size(), 3U);
}

TEST_F(UploadWindowTest, FindsTheSizeThatFillsALine) {
  Line line(clock_, window_, 7.0 * kPack, seconds(1));  // seven at once fill it
  line.Carry(300);
  EXPECT_GE(window_.size(), 7U);
  EXPECT_LE(window_.size(), 10U);
}

TEST_F(UploadWindowTest, NoticesLaterThatALineHasBecomeWider) {
  Line narrow(clock_, window_, 10e6, milliseconds(50));
  narrow.Carry(100);
  Line wide(clock_, window_, 1e9, seconds(1));
  wide.Carry(1000);
  EXPECT_EQ(window_.size(), 16U);
}

TEST_F(UploadWindowTest, HalvesWhenTheStoreThrottlesOrFails) {
  Line line(clock_, window_, 1e9, seconds(1));
  line.Carry(200);
  Error throttled{ErrorCode::kUnavailable, "slow down"};
  throttled.cause = ErrorCause::kThrottled;
  line.Refuse(Fail(throttled));
  EXPECT_EQ(window_.size(), 8U);
  for (int i = 0; i < 10; ++i) line.Refuse(Fail(ErrorCode::kUnavailable, "gone"));
  EXPECT_EQ(window_.size(), 1U);
  line.Carry(1000);
  EXPECT_GT(window_.size(), 8U) << "and grows again";
}

TEST_F(UploadWindowTest, WhoeverMakesPacksTooSlowlyTellsNothingAboutTheLine) {
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(seconds(1));
    window_.NoteEnded(kPack, {});  // none waited
  }
  EXPECT_EQ(window_.size(), 3U);
}

TEST(UploadWindowLimits, AreWhatMemoryTakes) {
  const UploadWindowLimits limits = UploadWindowLimitsHere();
  EXPECT_GE(limits.most, 3U);
  EXPECT_LE(limits.most, 16U);
}

}  // namespace
}  // namespace coffer::pack
