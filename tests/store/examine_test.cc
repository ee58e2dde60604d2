#include "core/store/examine.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/log.h"
#include "core/store/memory_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_store.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::store {
namespace {

class ExamineTest : public testing::Test {
 protected:
  StoreExamination Examine() {
    return ExamineStore(faulty_, clock_, random_, {.pack_bytes = 100'000});
  }
  static CheckOutcome OutcomeOf(const StoreExamination& examination, const std::string& what) {
    for (const StoreCheck& check : examination.checks) {
      if (check.what == what) return check.outcome;
    }
    ADD_FAILURE() << "no check " << what;
    return CheckOutcome::kSkipped;
  }
  void Plant(StoreFaultKind kind, StoreOperation operation, std::uint64_t nth = 1) {
    faulty_.AddFault({.kind = kind, .operation = operation, .nth = nth});
  }

  FakeClock clock_;
  SeededRandom random_{1};
  MemoryStore memory_;
  FaultyStore faulty_{memory_};
};

TEST_F(ExamineTest, AGoodStorePassesAllChecksAndIsLeftAsItWas) {
  const StoreExamination found = Examine();
  EXPECT_EQ(found.checks.size(), 9U);
  for (const StoreCheck& check : found.checks) {
    EXPECT_EQ(check.outcome, CheckOutcome::kOk) << check.what << ": " << check.detail;
  }
  EXPECT_FALSE(found.holds_vault);
  EXPECT_TRUE(found.up_bytes_per_second && found.down_bytes_per_second && found.round_trip);
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(ExamineTest, SaysWhetherThereIsAVault) {
  ASSERT_OK(memory_.Create({}, "vault", AsBytes("marker"), ObjectClass::kControl));
  EXPECT_TRUE(Examine().holds_vault);
}

TEST_F(ExamineTest, AStoreThatOverwritesIsWeak) {
  Plant(StoreFaultKind::kConditionIgnored, StoreOperation::kCreate, 3);
  const StoreExamination found = Examine();
  EXPECT_EQ(OutcomeOf(found, "create only if absent"), CheckOutcome::kWeak);
  EXPECT_FALSE(found.Has(CheckOutcome::kFailed));
}

TEST_F(ExamineTest, AStoreThatDoesNotListWhatItJustTookIsWeak) {
  Plant(StoreFaultKind::kShortList, StoreOperation::kList, 2);
  EXPECT_EQ(OutcomeOf(Examine(), "list after write"), CheckOutcome::kWeak);
}

TEST_F(ExamineTest, AWriteWhoseReplyIsLostLeavesNothingBehind) {
  Plant(StoreFaultKind::kFailAfter, StoreOperation::kCreate);
  EXPECT_EQ(OutcomeOf(Examine(), "write"), CheckOutcome::kFailed);
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(ExamineTest, WhatCannotBeReachedHasOneErrorAndTheRestIsSkipped) {
  faulty_.FailAll(ErrorCode::kUnavailable);
  const StoreExamination found = Examine();
  EXPECT_EQ(found.checks.size(), 9U);
  EXPECT_EQ(OutcomeOf(found, "list"), CheckOutcome::kFailed);
  EXPECT_EQ(found.checks.front().error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(OutcomeOf(found, "write"), CheckOutcome::kSkipped);
}

TEST_F(ExamineTest, EachCheckFailsForItself) {
  const std::map<std::string, std::pair<StoreOperation, std::uint64_t>> requests = {
      {"write", {StoreOperation::kCreate, 1}},
      {"read", {StoreOperation::kGet, 1}},
      {"read back", {StoreOperation::kGet, 2}},
      {"list after write", {StoreOperation::kList, 2}},
      {"ranges", {StoreOperation::kGetRange, 1}},
      {"create only if absent", {StoreOperation::kCreate, 2}},
      {"a full pack", {StoreOperation::kCreate, 4}},
      {"delete", {StoreOperation::kDelete, 3}}};
  for (const auto& [what, request] : requests) {
    MemoryStore memory;
    FaultyStore faulty(memory);
    faulty.AddFault(
        {.operation = request.first, .nth = request.second, .code = ErrorCode::kUnauthenticated});
    const StoreExamination found = ExamineStore(faulty, clock_, random_, {.pack_bytes = 100'000});
    EXPECT_EQ(OutcomeOf(found, what), CheckOutcome::kFailed) << what;
    EXPECT_EQ(OutcomeOf(found, "list"), CheckOutcome::kOk) << what;
    // A read that is not allowed does not hide that writing is.
    if (what != "write") {
      EXPECT_EQ(OutcomeOf(found, "write"), CheckOutcome::kOk) << what;
    }
  }
}

}  // namespace
}  // namespace coffer::store
