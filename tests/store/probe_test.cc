#include "core/store/probe.h"

#include <gtest/gtest.h>

#include "core/store/directory_store.h"
#include "core/store/memory_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/faulty_store.h"
#include "tests/support/partial_file_system.h"
#include "tests/support/recording_store.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

class ProbeTest : public testing::Test {
 protected:
  Result<ProbeReport> Probe() { return ProbeStore(faulty_, random_); }
  void ExpectWeak(std::string_view because) {
    const Result<ProbeReport> report = Probe();
    ASSERT_OK(report);
    EXPECT_EQ(report->strength, StoreStrength::kWeak);
    EXPECT_NE(report->reason.find(because), std::string::npos) << report->reason;
  }

  SeededRandom random_{1};
  MemoryStore memory_;
  RecordingStore recording_{memory_};
  FaultyStore faulty_{recording_};
};

TEST_F(ProbeTest, FindsAGoodStoreStrongAndLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, Probe());
  EXPECT_EQ(report.strength, StoreStrength::kStrong);
  EXPECT_EQ(report.reason, "");
  EXPECT_EQ(memory_.object_count(), 0U);
  EXPECT_LE(recording_.requests().size(), 7U);
  for (const StoreRequest& request : recording_.requests()) {
    EXPECT_TRUE(request.name.starts_with("probe/")) << request;
  }
}

TEST_F(ProbeTest, FindsAStoreThatOverwritesWeak) {
  faulty_.AddFault({.kind = StoreFaultKind::kConditionIgnored,
                    .operation = StoreOperation::kCreate,
                    .count = StoreFault::kForever});
  ExpectWeak("overwrote");
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(ProbeTest, FindsAStoreWithoutTheConditionWeak) {
  faulty_.AddFault(
      {.operation = StoreOperation::kCreate, .nth = 2, .code = ErrorCode::kUnsupported});
  ExpectWeak("no create-if-absent");
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(ProbeTest, FindsAStaleListWeak) {
  faulty_.FreezeLists();
  ExpectWeak("does not show an object");
  EXPECT_EQ(memory_.object_count(), 0U);
}

TEST_F(ProbeTest, FindsAStoreThatClaimsASecondCreateWeak) {
  faulty_.AddFault(
      {.kind = StoreFaultKind::kFalseSuccess, .operation = StoreOperation::kCreate, .nth = 2});
  ExpectWeak("claimed to create");
}

TEST_F(ProbeTest, FindsAListThatKeepsTheDeletedWeak) {
  faulty_.AddFault({.kind = StoreFaultKind::kFalseSuccess, .operation = StoreOperation::kDelete});
  ExpectWeak("still shows an object");
}

TEST_F(ProbeTest, TakesTheStoresOwnWordThatItIsWeak) {
  faulty_.SetStrength(StoreStrength::kWeak);
  ExpectWeak("no way to create");
}

TEST_F(ProbeTest, FailsWhereTheStoreFails) {
  faulty_.FailAll(ErrorCode::kUnauthenticated);
  EXPECT_FAILS(Probe(), kUnauthenticated);
  faulty_.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(Probe(), kUnavailable);
  faulty_.Heal();
  faulty_.SetQuota(0);
  EXPECT_FAILS(Probe(), kNoSpace);
  faulty_.Heal();
  for (std::uint64_t n = 1; n <= 6; ++n) {  // whichever request it is, no false finding
    faulty_.AddFault({.nth = n});
    EXPECT_FAILS(Probe(), kUnavailable) << n;
    faulty_.Heal();
  }
}

TEST_F(ProbeTest, FindsADirectoryStoreAsStrongAsItsFileSystem) {
  FaultyFileSystem fs;
  PartialFileSystem without_links(fs, PartialFileSystem::Renames::kNoReplace);
  PartialFileSystem without_flags(fs, PartialFileSystem::Renames::kPlainOnly);
  const auto probe = [&](FileSystem& seen, const std::string& path) {
    auto store = DirectoryStore::OpenForInit(seen, random_, path);
    EXPECT_OK(store);
    auto report = ProbeStore(**store, random_);
    EXPECT_OK(report);
    EXPECT_OK(DirectoryStore::OpenForInit(seen, random_, path));  // the probe is no vault
    return report->strength;
  };
  EXPECT_EQ(probe(fs, "/a"), StoreStrength::kStrong);
  EXPECT_EQ(probe(without_links, "/b"), StoreStrength::kStrong);
  EXPECT_EQ(probe(without_flags, "/c"), StoreStrength::kWeak);
}

}  // namespace
}  // namespace coffer::store
