#include "tests/support/faulty_store.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/store/memory_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/recording_store.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer {
namespace {

using store::ListPage;
using store::ObjectClass;
using store::StoreOperation;

class FaultyStoreTest : public testing::Test {
 protected:
  Status Put(const std::string& name, std::string_view text = "text") {
    return faulty_.Create({}, name, AsBytes(text), ObjectClass::kData);
  }
  std::string TextAt(const std::string& name) {
    const Result<Bytes> bytes = faulty_.Get({}, name, 1000);
    return bytes.has_value() ? std::string(AsText(*bytes)) : TextOf(bytes.error());
  }
  std::size_t there() { return memory_.object_count(); }

  store::MemoryStore memory_;
  FaultyStore faulty_{memory_};
};

TEST_F(FaultyStoreTest, FailsBeforeOrAfterTheRequestTakesEffect) {
  faulty_.AddFault({.kind = StoreFaultKind::kFailBefore, .code = ErrorCode::kNoSpace});
  EXPECT_FAILS(Put("a"), kNoSpace);
  EXPECT_EQ(there(), 0U);
  faulty_.AddFault({.kind = StoreFaultKind::kFailAfter});
  EXPECT_FAILS(Put("a"), kUnavailable);
  EXPECT_EQ(there(), 1U);
  faulty_.AddFault({.kind = StoreFaultKind::kFailAfter});
  EXPECT_FAILS(faulty_.Delete({}, "a"), kUnavailable);
  EXPECT_EQ(there(), 0U);
  EXPECT_OK(Put("a"));
}

TEST_F(FaultyStoreTest, HitsTheRequestsThatWereMeant) {
  faulty_.AddFault(
      {.operation = StoreOperation::kCreate, .name_contains = "heads/", .nth = 2, .count = 2});
  EXPECT_OK(Put("packs/a"));
  EXPECT_OK(Put("heads/a"));
  EXPECT_OK(faulty_.Get({}, "heads/a", 100));
  EXPECT_OK(Put("packs/b"));
  EXPECT_FAILS(Put("heads/b"), kUnavailable);
  EXPECT_FAILS(Put("heads/b"), kUnavailable);
  EXPECT_OK(Put("heads/b"));
}

TEST_F(FaultyStoreTest, ALateRequestLandsAfterNewerOnes) {
  faulty_.AddFault({.kind = StoreFaultKind::kLateApply, .late_by = 2});
  EXPECT_FAILS(Put("a", "old"), kUnavailable);
  EXPECT_OK(Put("b"));
  EXPECT_EQ(there(), 1U);
  EXPECT_OK(Put("c"));
  EXPECT_EQ(there(), 3U);
  EXPECT_EQ(TextAt("a"), "old");

  faulty_.AddFault({.kind = StoreFaultKind::kLateApply, .late_by = 100});
  EXPECT_FAILS(faulty_.Delete({}, "a"), kUnavailable);
  EXPECT_EQ(there(), 3U);
  faulty_.LandLateRequests();
  EXPECT_EQ(there(), 2U);
}

TEST_F(FaultyStoreTest, DistortsBodies) {
  ASSERT_OK(Put("a", "0123456789"));
  faulty_.AddFault({.kind = StoreFaultKind::kTruncatedBody});
  EXPECT_EQ(TextAt("a"), "01234");
  faulty_.AddFault({.kind = StoreFaultKind::kLongBody});
  EXPECT_EQ(TextAt("a").size(), 11U);
  faulty_.AddFault({.kind = StoreFaultKind::kCorruptBody});
  const std::string corrupt = TextAt("a");
  EXPECT_EQ(corrupt.size(), 10U);
  EXPECT_NE(corrupt, "0123456789");
  faulty_.AddFault({.kind = StoreFaultKind::kTruncatedBody});
  ASSERT_OK_AND_ASSIGN(const Bytes range, faulty_.GetRange({}, "a", 2, 4));
  EXPECT_EQ(AsText(range), "23");
  EXPECT_EQ(TextAt("a"), "0123456789");
}

TEST_F(FaultyStoreTest, DistortsLists) {
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_OK(Put(name));
  const auto list = [&](StoreFaultKind kind) {
    faulty_.AddFault({.kind = kind, .operation = StoreOperation::kList});
    return *faulty_.List({}, "", "b", 3);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(list(StoreFaultKind::kShortList).names(), Names{"c"});
  EXPECT_EQ(list(StoreFaultKind::kUnsortedList).names(), (Names{"d", "c"}));
  EXPECT_EQ(list(StoreFaultKind::kDuplicateList).names(), (Names{"c", "c", "d", "d"}));
  const ListPage endless = list(StoreFaultKind::kEndlessList);
  EXPECT_EQ(endless.names(), (Names{"a", "b", "c"}));
  EXPECT_TRUE(endless.more);
}

TEST_F(FaultyStoreTest, ListsWhatWasThereWhenFrozen) {
  for (const char* name : {"a", "b", "c"}) ASSERT_OK(Put(name));
  faulty_.FreezeLists();
  ASSERT_OK(Put("d"));
  ASSERT_OK(faulty_.Delete({}, "a"));
  ASSERT_OK_AND_ASSIGN(const ListPage page, faulty_.List({}, "", "", 2));
  EXPECT_EQ(page.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(page.more);
  faulty_.ThawLists();
  ASSERT_OK_AND_ASSIGN(const ListPage now, faulty_.List({}, "", "", 10));
  EXPECT_EQ(now.names(), (std::vector<std::string>{"b", "c", "d"}));
}

TEST_F(FaultyStoreTest, OverwritesWhenTheConditionIsIgnored) {
  ASSERT_OK(Put("a", "first"));
  faulty_.AddFault({.kind = StoreFaultKind::kConditionIgnored});
  EXPECT_OK(Put("a", "second"));
  EXPECT_EQ(TextAt("a"), "second");
  EXPECT_FAILS(Put("a", "third"), kAlreadyExists);
}

TEST_F(FaultyStoreTest, ClaimsSuccessAndDoesNothing) {
  faulty_.AddFault({.kind = StoreFaultKind::kFalseSuccess, .count = 2});
  EXPECT_OK(Put("a"));
  EXPECT_EQ(there(), 0U);
  EXPECT_OK(faulty_.Delete({}, "b"));
  EXPECT_OK(Put("a"));
  EXPECT_EQ(there(), 1U);
}

TEST_F(FaultyStoreTest, SwapsObjects) {
  ASSERT_OK(Put("a", "of a"));
  ASSERT_OK(Put("b", "of b"));
  faulty_.SwapObjects("a", "b");
  EXPECT_EQ(TextAt("a"), "of b");
  EXPECT_EQ(TextAt("b"), "of a");
}

TEST_F(FaultyStoreTest, CutsOffOneClientOfTwo) {
  FaultyStore other(memory_);
  faulty_.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(Put("a"), kUnavailable);
  EXPECT_OK(other.Create({}, "a", AsBytes("x"), ObjectClass::kData));
  faulty_.Heal();
  EXPECT_EQ(TextAt("a"), "x");
}

TEST_F(FaultyStoreTest, RunsOutOfQuota) {
  faulty_.SetQuota(10);
  EXPECT_OK(Put("a", "123456"));
  EXPECT_FAILS(Put("b", "123456"), kNoSpace);
  EXPECT_OK(Put("c", "1234"));
}

TEST_F(FaultyStoreTest, HaltsAroundTheNthRequest) {
  for (const HaltMoment moment : {HaltMoment::kBefore, HaltMoment::kAfter}) {
    store::MemoryStore memory;
    FaultyStore client(memory);
    client.HaltAt(2, moment);
    EXPECT_OK(client.Create({}, "a", {}, ObjectClass::kData));
    EXPECT_FAILS(client.Create({}, "b", {}, ObjectClass::kData), kCancelled);
    EXPECT_FAILS(client.Create({}, "c", {}, ObjectClass::kData), kCancelled);
    EXPECT_TRUE(client.halted());
    EXPECT_EQ(memory.object_count(), moment == HaltMoment::kBefore ? 1U : 2U);
  }
}

TEST_F(FaultyStoreTest, TakesItsTime) {
  FakeClock clock;
  SimExecutor executor(clock, 1);
  faulty_.SetLatency(executor, std::chrono::milliseconds(80));
  const MonotonicTime start = clock.Now();
  EXPECT_OK(Put("a"));
  EXPECT_OK(faulty_.List({}, "", "", 1));
  EXPECT_EQ(clock.Now() - start, std::chrono::milliseconds(160));
}

TEST_F(FaultyStoreTest, TheRecordShowsWhatTheProviderSees) {
  RecordingStore recording(faulty_);
  ASSERT_OK(recording.Create({}, "packs/ab/x", AsBytes("0123456789"), ObjectClass::kData));
  ASSERT_OK(recording.GetRange({}, "packs/ab/x", 4, 3));
  ASSERT_OK(recording.List({}, "packs/", "packs/a", 5));
  EXPECT_FAILS(recording.Delete({}, "packs/ab/y"), kNotFound);
  std::vector<std::string> seen;
  for (const StoreRequest& request : recording.requests()) seen.push_back(ToString(request));
  EXPECT_EQ(seen, (std::vector<std::string>{
                      "create packs/ab/x (10)", "get-range packs/ab/x 4+3 (3)",
                      "list packs/ after packs/a (1)", "delete packs/ab/y (0) -> not-found"}));
  EXPECT_EQ(recording.count(StoreOperation::kGetRange), 1U);
}

}  // namespace
}  // namespace coffer
