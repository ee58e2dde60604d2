// Bandwidth, and the store that keeps to it, in virtual time.
#include "core/store/throttled_store.h"

#include <gtest/gtest.h>

#include <stop_token>

#include "core/base/log.h"
#include "core/store/memory_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::store {
namespace {

using Direction = Bandwidth::Direction;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class ThrottledStoreTest : public testing::Test {
 protected:
  static RateSchedule Always(std::uint64_t bytes_per_second) { return {{0, bytes_per_second}}; }
  Status Put(std::size_t size, const RequestContext& context = {}) {
    return store_.Create(context, Concat("packs/", ++count_), Bytes(size), ObjectClass::kData);
  }
  Duration Time(const std::function<void()>& deed) {
    const MonotonicTime begin = clock_.Now();
    deed();
    return clock_.Now() - begin;
  }

  FakeClock clock_;
  SimExecutor executor_{clock_, 1};
  Bandwidth bandwidth_{clock_};
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  ThrottledStore store_{std::make_unique<MemoryStore>(), bandwidth_, clock_, executor_, control_};
  int count_ = 0;
};

TEST_F(ThrottledStoreTest, WithoutALimitNothingWaits) {
  EXPECT_EQ(Time([&] {
              for (int i = 0; i < 100; ++i) ASSERT_OK(Put(1 << 20));
            }),
            Duration::zero());
}

TEST_F(ThrottledStoreTest, SendsInTheLongRunWhatTheLimitSays) {
  bandwidth_.Set(Direction::kUp, Always(1 << 20));
  const Duration took = Time([&] {
    for (int i = 0; i < 61; ++i) ASSERT_OK(Put(1 << 20));
  });
  EXPECT_EQ(took, seconds(60)) << "the first one goes at once";
}

TEST_F(ThrottledStoreTest, WhatComesBackIsCountedAsItIs) {
  ASSERT_OK(store_.Create({}, "packs/a", Bytes(1 << 20), ObjectClass::kData));
  bandwidth_.Set(Direction::kDown, Always(1 << 20));
  const Duration took = Time([&] {
    for (int i = 0; i < 11; ++i) ASSERT_OK(store_.Get({}, "packs/a", 16 << 20));
    for (int i = 0; i < 4; ++i) ASSERT_OK(store_.GetRange({}, "packs/a", 0, 512 << 10));
  });
  EXPECT_EQ(took, seconds(11) + milliseconds(1500));
}

TEST_F(ThrottledStoreTest, UpAndDownDoNotHinderEachOther) {
  bandwidth_.Set(Direction::kUp, Always(1000));
  ASSERT_OK(store_.Create({}, "packs/a", Bytes(100'000), ObjectClass::kData));
  EXPECT_EQ(Time([&] { ASSERT_OK(store_.Get({}, "packs/a", 100'000)); }), Duration::zero());
}

TEST_F(ThrottledStoreTest, ALimitThatIsLiftedOrItsHourPassesFreesWhoWaits) {
  bandwidth_.Set(Direction::kUp, Always(1000));
  ASSERT_OK(Put(10'000'000));  // hours
  const auto lifts =
      executor_.PostAfter(minutes(1), [this] { bandwidth_.Set(Direction::kUp, {}); });
  EXPECT_LE(Time([&] { ASSERT_OK(Put(1000)); }), minutes(1) + seconds(5));
}

TEST_F(ThrottledStoreTest, TheRateIsThatOfTheHour) {
  setenv("TZ", "UTC", 1);
  tzset();
  bandwidth_.Set(Direction::kUp, {{8 * 60, 1000}, {20 * 60, std::nullopt}});
  const UnixSeconds midnight = clock_.WallNow() / 86400 * 86400;
  clock_.SetWall(midnight + 23 * 3600);
  EXPECT_EQ(Time([&] {
              for (int i = 0; i < 5; ++i) ASSERT_OK(Put(1'000'000));
            }),
            Duration::zero());
  clock_.SetWall(midnight + 86400 + 5 * 3600);
  EXPECT_EQ(Time([&] { ASSERT_OK(Put(1'000'000)); }), Duration::zero())
      << "before the first step the last one holds";
  clock_.SetWall(midnight + 86400 + 9 * 3600);
  ASSERT_OK(Put(10'000));
  EXPECT_EQ(Time([&] { ASSERT_OK(Put(10'000)); }), seconds(10));
}

TEST_F(ThrottledStoreTest, WhoIsStoppedOrOutOfTimeWaitsNoMore) {
  bandwidth_.Set(Direction::kUp, Always(1000));
  ASSERT_OK(Put(10'000'000));
  EXPECT_FAILS(Put(1000, {.deadline = clock_.Now() + seconds(30)}), kUnavailable);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FAILS(Put(1000, {.cancel = stop.get_token()}), kCancelled);
  const auto ends = executor_.PostAfter(seconds(7), [this] { control_->Cancel(); });
  EXPECT_EQ(Time([&] { EXPECT_FAILS(Put(1000), kCancelled); }), seconds(7));
}

TEST_F(ThrottledStoreTest, WhoIsInAHurryGoesAtOnce) {
  bandwidth_.Set(Direction::kUp, Always(1000));
  ASSERT_OK(Put(10'000'000));
  const Hurry hurry(control_);
  EXPECT_EQ(Time([&] { ASSERT_OK(Put(1000)); }), Duration::zero());
}

}  // namespace
}  // namespace coffer::store
