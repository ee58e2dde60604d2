// The disk fails while the machine goes on: what Append and Sync then promise.
#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

/// Appends, syncs and commits through several segments, whatever fails on the way. What succeeded
/// is in the world's model.
void RunThrough(JournalWorld& world) {
  for (int i = 0; i < 24; ++i) {
    (void)world.AppendOne(1 + world.seeded.Below(10));
    if (i % 4 == 3) (void)world.Sync();
    if (i % 9 == 8) (void)world.Commit();
    if (i % 5 == 4) world.RunTasks();
  }
}

TEST(JournalFailure, OfTheNthCallLosesNothingThatWasPromised) {
  const std::uint64_t seed = TestSeed();
  constexpr FsCall kCalls[] = {FsCall::kWrite,    FsCall::kSync,          FsCall::kOpen,
                               FsCall::kAllocate, FsCall::kSyncDirectory, FsCall::kRemove};
  for (const FsCall call : kCalls) {
    for (const FaultRepeat repeat : {FaultRepeat::kOnce, FaultRepeat::kSticky}) {
      for (const bool power_cut : {false, true}) {
        for (std::uint64_t nth = 1;; ++nth) {
          SCOPED_TRACE(testing::Message() << "call " << static_cast<int>(call) << " number " << nth
                                          << (repeat == FaultRepeat::kSticky ? " and after" : "")
                                          << (power_cut ? ", power cut" : ", kill"));
          JournalWorld world(seed + nth);
          ASSERT_OK(world.Open());
          const std::uint64_t before = world.fs.call_count(call);
          world.fs.AddFault({.call = call, .nth = nth, .repeat = repeat});
          RunThrough(world);
          const bool reached = world.fs.call_count(call) - before >= nth;
          world.CheckReads();
          world.journal().CheckInvariants();
          if (power_cut) {
            world.PowerCut(nth % 2 == 0 ? CutMode::kDropAll : CutMode::kRandomSubset);
          } else {
            world.Crash();
          }
          ASSERT_OK(world.Open());
          ASSERT_OK(world.AppendOne(2));
          ASSERT_OK(world.Sync());
          if (HasFatalFailure() || !reached) break;
        }
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(JournalFailure, OfASyncIsAnsweredByWritingAgainElsewhere) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(3));
  ASSERT_OK(world.Sync());
  for (int i = 0; i < 5; ++i) ASSERT_OK(world.AppendOne(2));
  world.fs.AddFault({.call = FsCall::kSync});
  ASSERT_OK(world.Sync());
  EXPECT_GE(world.listener.relocated(), 5U);
  EXPECT_OK(world.journal().health());
  EXPECT_EQ(world.journal().durable_seq(), world.journal().appended_seq());
  world.CheckReads();
  world.journal().CheckInvariants();
  ASSERT_OK(world.AppendOne(2));
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 6U);
}

TEST(JournalFailure, OfADirectorySyncIsOneOfTheSync) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(3));
  world.fs.AddFault({.call = FsCall::kSyncDirectory});
  ASSERT_OK(world.Sync());
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 1U);
}

TEST(JournalFailure, OfTheRewriteTooIsForGood) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(3));
  ASSERT_OK(world.Sync());
  const std::uint64_t durable = world.journal().durable_seq();
  ASSERT_OK(world.AppendOne(4));
  world.fs.AddFault({.call = FsCall::kSync, .repeat = FaultRepeat::kSticky});
  EXPECT_FAILS(world.Sync(), kIoError);
  world.fs.ClearFaults();
  // The disk is well again, but nobody knows what is on it (fsyncgate).
  EXPECT_FAILS(world.Sync(), kIoError);
  EXPECT_FAILS(world.AppendOne(1), kIoError);
  EXPECT_FAILS(world.journal().health(), kIoError);
  EXPECT_EQ(world.journal().durable_seq(), durable);
  world.CheckReads();
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 1U);
}

TEST(JournalFailure, OfABadFileLeavesItsDurableRecordsThere) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 3; ++i) ASSERT_OK(world.AppendOne(2));
  ASSERT_OK(world.Sync());
  const std::string bad = world.SegmentFiles()[0];
  for (int i = 0; i < 3; ++i) ASSERT_OK(world.AppendOne(2));
  world.fs.AddFault({.call = FsCall::kSync});
  ASSERT_OK(world.Sync());
  world.RunTasks();
  EXPECT_TRUE(world.fs.Contents(bad).has_value());
  world.CheckReads();
  ASSERT_OK(world.Commit());
  world.RunTasks();
  // Everything is released: the bad file is gone, not recycled.
  EXPECT_FALSE(world.fs.Contents(bad).has_value());
}

TEST(JournalFailure, OfTheDiskBeingFullPasses) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 4; ++i) ASSERT_OK(world.Append({world.NewWrite(8)}));
  world.fs.SetTotalBytes(220 << 10);
  Status status;
  for (int i = 0; i < 30 && status.has_value(); ++i) status = world.Append({world.NewWrite(8)});
  EXPECT_FAILS(status, kNoSpace);
  EXPECT_FAILS(world.Append({world.NewWrite(8)}), kNoSpace);
  ASSERT_OK(world.Sync());
  world.CheckReads();
  ASSERT_OK(world.Commit());
  world.RunTasks();
  ASSERT_OK(world.Append({world.NewWrite(8)}));
  world.fs.SetTotalBytes(1 << 30);
  for (int i = 0; i < 9; ++i) ASSERT_OK(world.Append({world.NewWrite(8)}));
  world.Crash();
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 10U);
}

TEST(JournalFailure, OfFallocateThatIsNotThereCostsNothing) {
  JournalWorld world;
  world.fs.AddFault(
      {.call = FsCall::kAllocate, .repeat = FaultRepeat::kSticky, .error_number = 95});
  ASSERT_OK(world.Open());
  RunThrough(world);
  EXPECT_OK(world.journal().health());
  EXPECT_EQ(world.journal().appended_seq(), world.listener.records().back()->seq);
  ASSERT_OK(world.Sync());
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
}

TEST(JournalFailure, OfAWriteGoesOnElsewhere) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(2));
  world.fs.AddFault({.call = FsCall::kWrite});
  EXPECT_FAILS(world.AppendOne(2), kIoError);
  EXPECT_OK(world.journal().health());
  ASSERT_OK(world.AppendOne(2));
  EXPECT_EQ(world.SegmentFiles().size(), 2U);
  ASSERT_OK(world.Sync());
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 2U);
}

TEST(JournalFailure, OfEveryWriteLeavesNoFilesBehind) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(2));
  world.fs.AddFault({.call = FsCall::kWrite, .repeat = FaultRepeat::kSticky});
  for (int i = 0; i < 10; ++i) EXPECT_FAILS(world.AppendOne(2), kIoError);
  EXPECT_LE(world.SegmentFiles().size(), 2U);
}

}  // namespace
}  // namespace coffer::cache
