#include "core/store/retrying_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "core/base/log.h"
#include "core/store/memory_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_store.h"
#include "tests/support/recording_store.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RetryingStoreTest : public testing::Test {
 protected:
  Status Put(const std::string& name, std::string_view text) {
    return store_.Create({}, name, AsBytes(text), ObjectClass::kHead);
  }
  std::string TextAt(const std::string& name) {
    const Result<Bytes> bytes = memory_.Get({}, name, 1000);
    return bytes.has_value() ? std::string(AsText(*bytes)) : TextOf(bytes.error());
  }
  /// The next `count` requests of `operation` fail in the way of `kind`.
  void Plant(StoreFaultKind kind, StoreOperation operation, std::uint64_t count,
             ErrorCode code = ErrorCode::kUnavailable) {
    faulty_.AddFault({.kind = kind, .operation = operation, .count = count, .code = code});
  }

  FakeClock clock_;
  SimExecutor executor_{clock_, 1};
  SeededRandom random_{1};
  MemoryStore memory_;
  RecordingStore recording_{memory_};
  FaultyStore faulty_{recording_};
  RecordingStore attempts_{faulty_};
  RetryOptions options_{.attempts_max = 4};
  RetryingStore store_{std::make_unique<FaultyStore>(attempts_), clock_, executor_, random_,
                       options_};
};

TEST_F(RetryingStoreTest, RepeatsWhatIsUnavailableUntilItWorks) {
  ASSERT_OK(memory_.Create({}, "heads/v/1", AsBytes("head"), ObjectClass::kHead));
  const MonotonicTime start = clock_.Now();
  faulty_.AddFault({.count = 3});
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store_.Get({}, "heads/v/1", 100));
  EXPECT_EQ(AsText(whole), "head");
  faulty_.AddFault({.count = 3});
  ASSERT_OK_AND_ASSIGN(const Bytes range, store_.GetRange({}, "heads/v/1", 1, 2));
  EXPECT_EQ(AsText(range), "ea");
  faulty_.AddFault({.count = 3});
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_.List({}, "heads/v/", "", 2));
  EXPECT_EQ(page.objects.size(), 1U);
  faulty_.AddFault({.count = 3});
  ASSERT_OK(Put("heads/v/2", "next"));
  faulty_.AddFault({.count = 3});
  ASSERT_OK(store_.Delete({}, "heads/v/1"));
  EXPECT_EQ(attempts_.requests().size(), 20U);
  EXPECT_GT(clock_.Now(), start);
}

TEST_F(RetryingStoreTest, GivesUpAfterItsAttempts) {
  faulty_.FailAll(ErrorCode::kUnavailable);
  const Status created = Put("heads/v/1", "x");
  ASSERT_FAILS(created, kUnavailable);
  EXPECT_NE(created.error().message.find("tried 4 times"), std::string::npos);
  EXPECT_EQ(attempts_.requests().size(), 4U);
}

TEST_F(RetryingStoreTest, RepeatsNothingButWhatIsUnavailable) {
  for (const ErrorCode code :
       {ErrorCode::kNotFound, ErrorCode::kAlreadyExists, ErrorCode::kInvalidArgument,
        ErrorCode::kCorruption, ErrorCode::kUnauthenticated, ErrorCode::kConflict,
        ErrorCode::kNoSpace, ErrorCode::kCancelled, ErrorCode::kUnsupported, ErrorCode::kIoError}) {
    faulty_.FailAll(code);
    attempts_.Clear();
    EXPECT_TRUE(FailsWith(Put("heads/v/1", "x"), code));
    EXPECT_TRUE(FailsWith(store_.Get({}, "heads/v/1", 1), code));
    EXPECT_TRUE(FailsWith(store_.GetRange({}, "heads/v/1", 0, 1), code));
    EXPECT_TRUE(FailsWith(store_.List({}, "", "", 1), code));
    EXPECT_TRUE(FailsWith(store_.Delete({}, "heads/v/1"), code));
    EXPECT_EQ(attempts_.requests().size(), 5U) << ErrorCodeName(code);
  }
}

TEST_F(RetryingStoreTest, WaitsLongerEachTimeAtRandomUpToItsBounds) {
  const RetryOptions options{.attempts_max = 12,
                             .wait_first_max = milliseconds(100),
                             .wait_max = seconds(2),
                             .total_max = seconds(600)};
  FaultyStore dead(memory_);
  dead.FailAll(ErrorCode::kUnavailable);
  Duration total_shortest = seconds(600);
  Duration total_longest{};
  for (int round = 0; round < 200; ++round) {
    RetryingStore store(std::make_unique<RecordingStore>(dead), clock_, executor_, random_,
                        options);
    const MonotonicTime start = clock_.Now();
    EXPECT_FAILS(store.Get({}, "a", 1), kUnavailable);
    const Duration total = clock_.Now() - start;
    total_shortest = std::min(total_shortest, total);
    total_longest = std::max(total_longest, total);
  }
  // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s and six times 2 s are the bounds; half of it is the mean.
  EXPECT_LE(total_longest, milliseconds(15'100));
  EXPECT_GT(total_longest, milliseconds(9'000));
  EXPECT_LT(total_shortest, milliseconds(6'000));
}

TEST_F(RetryingStoreTest, BeginsNoAttemptAfterItsTime) {
  const RetryOptions options{.attempts_max = 1'000'000,
                             .wait_first_max = seconds(1),
                             .wait_max = seconds(8),
                             .total_max = seconds(60)};
  faulty_.FailAll(ErrorCode::kUnavailable);
  RetryingStore store(std::make_unique<FaultyStore>(attempts_), clock_, executor_, random_,
                      options);
  const MonotonicTime start = clock_.Now();
  EXPECT_FAILS(store.Get({}, "a", 1), kUnavailable);
  EXPECT_LE(clock_.Now() - start, seconds(60));
  EXPECT_GT(clock_.Now() - start, seconds(30));
}

TEST_F(RetryingStoreTest, WhatBreaksOffWhileTheMachineSleepsIsTriedAgain) {
  ASSERT_OK(memory_.Create({}, "heads/v/1", AsBytes("head"), ObjectClass::kHead));
  faulty_.SetLatency(executor_, std::chrono::hours(12));
  faulty_.AddFault({.count = 1});
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store_.Get({}, "heads/v/1", 100));
  EXPECT_EQ(AsText(whole), "head");
  // But what takes long each time is no sleep.
  attempts_.Clear();
  faulty_.FailAll(ErrorCode::kUnavailable);
  ASSERT_FAILS(store_.Get({}, "heads/v/1", 100), kUnavailable);
  EXPECT_EQ(attempts_.requests().size(), 2U);
}

TEST_F(RetryingStoreTest, WaitsAsLongAsTheStoreAsksFor) {
  ASSERT_OK(Put("heads/v/1", "x"));
  faulty_.AddFault({.count = 1, .retry_after = seconds(17)});
  const MonotonicTime begin = clock_.Now();
  ASSERT_OK(store_.Get({}, "heads/v/1", 100));
  EXPECT_GE(clock_.Now() - begin, seconds(17));
}

TEST_F(RetryingStoreTest, DoesNotWaitBeyondItsTimeForAStoreThatAsksForMore) {
  faulty_.AddFault({.count = 1, .retry_after = std::chrono::hours(1)});
  const MonotonicTime begin = clock_.Now();
  const Result<Bytes> got = store_.Get({}, "heads/v/1", 100);
  ASSERT_FAILS(got, kUnavailable);
  EXPECT_EQ(got.error().retry_after, std::chrono::hours(1));
  EXPECT_EQ(clock_.Now(), begin);
}

TEST_F(RetryingStoreTest, DoesNotWaitBeyondTheRequestsDeadline) {
  faulty_.FailAll(ErrorCode::kUnavailable);
  const MonotonicTime begin = clock_.Now();
  EXPECT_FAILS(store_.Get({.deadline = begin + milliseconds(1)}, "heads/v/1", 100), kUnavailable);
  EXPECT_LE(clock_.Now() - begin, milliseconds(1));
}

TEST_F(RetryingStoreTest, ARequestThatIsStoppedWaitsNoMore) {
  faulty_.FailAll(ErrorCode::kUnavailable);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FAILS(store_.Get({.cancel = stop.get_token()}, "heads/v/1", 100), kCancelled);
  EXPECT_EQ(attempts_.requests().size(), 1U);
}

TEST_F(RetryingStoreTest, RepeatsOfABatchOnlyWhatFailed) {
  ASSERT_OK(Put("packs/a", "x"));
  ASSERT_OK(Put("packs/b", "x"));
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kDelete, 1);  // gone, and not said so
  const std::vector<Status> deleted = store_.DeleteMany({}, {"packs/a", "packs/b", "packs/c"});
  EXPECT_OK(deleted[0]);
  EXPECT_OK(deleted[1]);
  EXPECT_FAILS(deleted[2], kNotFound);
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(RetryingStoreTest, AReaderWaitsForAStoreThatIsAwayForTenSeconds) {
  ASSERT_OK(memory_.Create({}, "packs/p", AsBytes("frame"), ObjectClass::kData));
  RetryingStore store(std::make_unique<FaultyStore>(attempts_), clock_, executor_, random_);
  for (int round = 0; round < 20; ++round) {
    faulty_.FailAll(ErrorCode::kUnavailable);
    const auto back = executor_.PostAfter(seconds(10), [this] { faulty_.Heal(); });
    EXPECT_OK(store.GetRange({}, "packs/p", 0, 5));
  }
  faulty_.FailAll(ErrorCode::kUnavailable);
  const MonotonicTime start = clock_.Now();
  EXPECT_FAILS(store.GetRange({}, "packs/p", 0, 5), kUnavailable);
  EXPECT_LE(clock_.Now() - start, seconds(60));
}

TEST_F(RetryingStoreTest, ALostReplyToACreateIsSuccess) {
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kCreate, 1);
  ASSERT_OK(Put("heads/v/1", "mine"));
  EXPECT_EQ(TextAt("heads/v/1"), "mine");
  EXPECT_EQ(attempts_.count(StoreOperation::kCreate), 2U);
  EXPECT_EQ(attempts_.count(StoreOperation::kGet), 1U);
}

TEST_F(RetryingStoreTest, ReadingBackIsRepeatedToo) {
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kCreate, 1);
  Plant(StoreFaultKind::kFailBefore, StoreOperation::kGet, 2);
  ASSERT_OK(Put("heads/v/1", "mine"));
}

TEST_F(RetryingStoreTest, AnotherOnesObjectIsNotTakenForALostReply) {
  for (const std::string_view theirs : {"them", "theirs, longer", "t", ""}) {
    const std::string name = Concat("heads/v/", theirs.size());
    ASSERT_OK(memory_.Create({}, name, AsBytes(theirs), ObjectClass::kHead));
    Plant(StoreFaultKind::kFailBefore, StoreOperation::kCreate, 1);
    EXPECT_FAILS(Put(name, "mine"), kAlreadyExists) << theirs;
    EXPECT_EQ(TextAt(name), theirs);
  }
}

TEST_F(RetryingStoreTest, ExistsAtTheFirstAttemptIsNotReadBack) {
  ASSERT_OK(memory_.Create({}, "heads/v/1", AsBytes("mine"), ObjectClass::kHead));
  EXPECT_FAILS(Put("heads/v/1", "mine"), kAlreadyExists);
  EXPECT_EQ(attempts_.requests().size(), 1U);
}

TEST_F(RetryingStoreTest, ALateArrivalOfTheFirstAttemptIsSuccess) {
  Plant(StoreFaultKind::kLateApply, StoreOperation::kCreate, 1);  // lands before the second
  ASSERT_OK(Put("heads/v/1", "mine"));
  EXPECT_EQ(TextAt("heads/v/1"), "mine");
}

TEST_F(RetryingStoreTest, StaysUnavailableWhenItCannotReadBack) {
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kCreate, 1);
  Plant(StoreFaultKind::kFailBefore, StoreOperation::kGet, StoreFault::kForever);
  EXPECT_FAILS(Put("heads/v/1", "mine"), kUnavailable);
}

TEST_F(RetryingStoreTest, SaysUnavailableWhenTheObjectCameAndWent) {
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kCreate, 1);
  Plant(StoreFaultKind::kFailBefore, StoreOperation::kGet, 1, ErrorCode::kNotFound);
  EXPECT_FAILS(Put("heads/v/1", "mine"), kUnavailable);
}

TEST_F(RetryingStoreTest, ALostReplyToADeleteIsSuccess) {
  ASSERT_OK(memory_.Create({}, "packs/ab/x", AsBytes("x"), ObjectClass::kData));
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kDelete, 1);
  ASSERT_OK(store_.Delete({}, "packs/ab/x"));
  EXPECT_FAILS(store_.Delete({}, "packs/ab/x"), kNotFound);
}

// The lane's thread is free the moment that somebody must not wait, however long the back-off.
TEST_F(RetryingStoreTest, HurryAndCancelEndAWaitAtThatMoment) {
  const RetryOptions options{.attempts_max = 1'000'000,
                             .wait_first_max = std::chrono::hours(1000),
                             .wait_max = std::chrono::hours(1000),
                             .total_max = std::chrono::hours(1'000'000)};
  FaultyStore dead(memory_);
  dead.FailAll(ErrorCode::kUnavailable);
  for (const bool cancel : {false, true}) {
    const auto control = std::make_shared<CallControl>();
    ObjectStore& away = dead;
    RetryingStore store(std::make_unique<FaultyStore>(away), clock_, executor_, random_, options,
                        control);
    std::unique_ptr<Hurry> hurry;
    const auto timer = executor_.PostAfter(seconds(1), [&] {
      if (cancel) {
        control->Cancel();
      } else {
        hurry = std::make_unique<Hurry>(control);
      }
    });
    const MonotonicTime begin = clock_.Now();
    const auto got = store.Get({}, "a", 1);
    EXPECT_EQ(got.error().code, cancel ? ErrorCode::kCancelled : ErrorCode::kUnavailable);
    EXPECT_EQ(clock_.Now() - begin, seconds(1));
    EXPECT_FALSE(store.Get({}, "b", 1).has_value());  // nor does a later one wait
    EXPECT_EQ(clock_.Now() - begin, seconds(1));
  }
}

TEST_F(RetryingStoreTest, CancelEndsAWaitAndEveryLaterOne) {
  SystemClock clock;
  SystemRandom random;
  const auto executor = NewThreadExecutor("retry", 1);
  FaultyStore dead(memory_);
  dead.FailAll(ErrorCode::kUnavailable);
  RecordingStore tried(dead);
  const RetryOptions options{.attempts_max = 1'000'000,
                             .wait_first_max = std::chrono::hours(1000),
                             .wait_max = std::chrono::hours(1000),
                             .total_max = std::chrono::hours(1'000'000)};
  RetryingStore store(std::make_unique<FaultyStore>(tried), clock, *executor, random, options);
  std::thread waiting([&] { EXPECT_FAILS(store.Get({}, "a", 1), kCancelled); });
  while (tried.requests().empty()) std::this_thread::yield();
  store.Cancel();
  waiting.join();
  EXPECT_FAILS(store.Get({}, "a", 1), kCancelled);
}

}  // namespace
}  // namespace coffer::store
