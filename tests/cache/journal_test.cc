#include "core/cache/journal.h"

#include <algorithm>

#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

TEST(Journal, GivesBackWhatWasAppended) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 40; ++i) ASSERT_OK(world.AppendOne(1 + world.seeded.Below(8)));
  world.CheckReads();
  world.journal().CheckInvariants();
  world.Crash();
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 40U);
  EXPECT_GT(world.recovery().records, 0U);
}

TEST(Journal, CostsNoDiskBeforeTheFirstWrite) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Sync());
  world.journal().Release(0);
  world.RunTasks();
  EXPECT_TRUE(world.SegmentFiles().empty());
}

TEST(Journal, ModelOfRandomRequestsAndCrashes) {
  const std::uint64_t seed = TestSeed();
  constexpr CutMode kModes[] = {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset,
                                CutMode::kPrefix};
  for (std::uint64_t round = 0; round < 500; ++round) {
    SCOPED_TRACE(round);
    JournalWorld world(seed + round);
    SeededRandom& random = world.seeded;
    ASSERT_OK(world.Open());
    for (int step = 0; step < 60; ++step) {
      switch (random.Below(12)) {
        case 0:
          ASSERT_OK(world.Sync());
          break;
        case 1:
          if (random.OneIn(2)) break;
          ASSERT_OK(world.Commit());
          break;
        case 2:
          world.RunTasks();
          break;
        case 3:
          world.CheckReads();
          world.journal().CheckInvariants();
          break;
        case 4:
          if (!random.OneIn(4)) break;
          world.Crash();
          ASSERT_OK(world.Open());
          break;
        case 5:
          if (!random.OneIn(4)) break;
          world.PowerCut(kModes[random.Below(4)]);
          ASSERT_OK(world.Open());
          break;
        default: {
          std::vector<Request> requests(1 + random.Below(3));
          for (Request& request : requests) request = world.NewRequest(1 + random.Below(15));
          ASSERT_OK(world.Append(requests));
        }
      }
      if (HasFatalFailure()) return;
    }
  }
}

/// 44 bytes each: 100,000 are more than a group may have, and would fit into any segment.
TEST(Journal, RequestsWithoutDataBeyondAGroupGoIntoSeveral) {
  JournalWorld world;
  world.options.segment_bytes = 32 << 20;
  world.options.unsynced_bytes_max = 32 << 20;
  ASSERT_OK(world.Open());
  std::vector<Request> requests(format::kRecordsPerGroupMax + 30'000);
  for (std::size_t i = 0; i < requests.size(); ++i)
    requests[i] = {format::RecordKind::kZero, i * 4096, 4096, {}};
  ASSERT_OK(world.Append(requests));
  world.journal().CheckInvariants();
  ASSERT_OK(world.Sync());
  world.Crash();
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), requests.size());
}

TEST(Journal, SyncsWhenManyRequestsWithoutDataAreNotDurable) {
  JournalWorld world;
  world.options.segment_bytes = 32 << 20;
  world.options.unsynced_bytes_max = 32 << 20;
  ASSERT_OK(world.Open());
  const std::vector<Request> requests(
      30'000, Request{.kind = format::RecordKind::kZero, .offset = 0, .length = 4096, .data = {}});
  // No task runs meanwhile, so that only an append that waits makes anything durable.
  std::uint64_t most = 0;
  for (int i = 0; i < 12; ++i) {
    ASSERT_OK(world.Append(requests));
    most = std::max(most, world.journal().appended_seq() - world.journal().durable_seq());
  }
  EXPECT_GT(world.journal().durable_seq(), 0u);
  EXPECT_LE(most, (1u << 17) + format::kRecordsPerGroupMax);
  world.journal().CheckInvariants();
}

}  // namespace
}  // namespace coffer::cache
