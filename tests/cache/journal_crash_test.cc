// The machine stops at every call of short scripts: what is found afterwards is what was
// acknowledged, up to some point at or past the last sync.
#include <functional>

#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

using Script = std::function<Status(JournalWorld&)>;

Status Nothing(JournalWorld& world) { return world.Open(); }

Status AppendMany(JournalWorld& world, int count, std::uint64_t blocks) {
  for (int i = 0; i < count; ++i) RETURN_IF_ERROR(world.AppendOne(blocks));
  return {};
}

enum class End { kKill, kDropAll, kKeepAll, kPrefix, kRandom1, kRandom2, kRandom3 };
constexpr End kEnds[] = {End::kKill,    End::kDropAll, End::kKeepAll, End::kPrefix,
                         End::kRandom1, End::kRandom2, End::kRandom3};

void Stop(JournalWorld& world, End end) {
  switch (end) {
    case End::kKill:
      return world.Crash();
    case End::kDropAll:
      return world.PowerCut(CutMode::kDropAll);
    case End::kKeepAll:
      return world.PowerCut(CutMode::kKeepAll);
    case End::kPrefix:
      return world.PowerCut(CutMode::kPrefix);
    default:
      return world.PowerCut(CutMode::kRandomSubset);
  }
}

/// Whether the journal is whole and goes on.
void CheckGoesOn(JournalWorld& world) {
  ASSERT_OK(world.Open());
  world.CheckReads();
  world.journal().CheckInvariants();
  ASSERT_OK(world.AppendOne(3));
  ASSERT_OK(world.Sync());
  ASSERT_OK(world.AppendOne(1));
  world.RunTasks();
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
}

/// Runs `setup`, then `script` with a halt at its first call, its second, and so on.
void HaltEverywhere(const Script& setup, const Script& script) {
  const std::uint64_t seed = TestSeed();
  for (const End end : kEnds) {
    bool halted = true;
    for (std::uint64_t nth = 1; halted; ++nth) {
      SCOPED_TRACE(testing::Message() << "end " << static_cast<int>(end) << ", call " << nth);
      JournalWorld world(seed + nth * 16 + static_cast<std::uint64_t>(end));
      ASSERT_OK(setup(world));
      world.fs.HaltAt(nth);
      (void)script(world);
      world.RunTasks();
      halted = world.fs.halted();
      world.Close();
      Stop(world, end);
      CheckGoesOn(world);
      if (testing::Test::HasFatalFailure()) return;
      ASSERT_LT(nth, 500U);
    }
  }
}

TEST(JournalCrash, WhileAppendingAndSyncing) {
  HaltEverywhere(Nothing, [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(world.AppendOne(1));
    RETURN_IF_ERROR(world.Append({world.NewRequest(9), world.NewRequest(2)}));
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(world.AppendOne(3));
    RETURN_IF_ERROR(world.Sync());
    return world.AppendOne(1);
  });
}

TEST(JournalCrash, WhileGoingThroughSegments) {
  HaltEverywhere(Nothing, [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(AppendMany(world, 12, 7));
    RETURN_IF_ERROR(world.Sync());
    return AppendMany(world, 6, 7);
  });
}

TEST(JournalCrash, WhileSegmentsAreRecycled) {
  HaltEverywhere(Nothing, [](JournalWorld& world) -> Status {
    for (int round = 0; round < 3; ++round) {
      RETURN_IF_ERROR(AppendMany(world, 7, 8));
      RETURN_IF_ERROR(world.Commit());
      RETURN_IF_ERROR(world.AppendOne(2));
      world.RunTasks();
    }
    return AppendMany(world, 4, 8);
  });
}

TEST(JournalCrash, WhileMovingOnToASegmentThatNeedNotGrow) {
  const auto open = [](JournalWorld& world) {
    world.options.spare_syncs_min = 2;
    return world.Open();
  };
  HaltEverywhere(open, [](JournalWorld& world) -> Status {
    for (int i = 0; i < 6; ++i) {
      RETURN_IF_ERROR(world.AppendOne(2));
      RETURN_IF_ERROR(world.Sync());
      world.RunTasks();
    }
    if (world.SegmentFiles().size() != 2) return Fail(ErrorCode::kIoError, "it stayed");
    RETURN_IF_ERROR(world.Commit());  // both are free, one of them half grown
    for (int i = 0; i < 6; ++i) {
      RETURN_IF_ERROR(world.AppendOne(2));
      RETURN_IF_ERROR(world.Sync());
      world.RunTasks();
    }
    return {};
  });
}

// Killed while segments are given back, that is with a wipe in the page cache alone: whatever the
// next run makes durable stays in front of the segment that a power cut then brings back.
TEST(JournalCrash, WhileSegmentsAreGivenBackAndThenAgain) {
  for (int before = 0; before < 12; ++before) {  // so that the last segment gets any file
    bool halted = true;
    for (std::uint64_t nth = 1; halted; ++nth) {
      SCOPED_TRACE(testing::Message() << before << " appended before, call " << nth);
      JournalWorld world(1);
      ASSERT_OK(world.Open());
      for (int i = 0; i < before; ++i) ASSERT_OK(world.Append({world.NewWrite(8)}));
      ASSERT_OK(world.Commit());
      world.RunTasks();
      for (int i = 0; i < 4; ++i) ASSERT_OK(world.Append({world.NewWrite(8)}));
      ASSERT_OK(world.Sync());
      world.fs.HaltAt(nth);
      ASSERT_OK(world.Commit());
      world.RunTasks();
      halted = world.fs.halted();
      world.Close();
      world.Crash();
      CheckGoesOn(world);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(JournalCrash, WhileReplayingAfterAKill) {
  const Script setup = [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(world.Open());
    RETURN_IF_ERROR(AppendMany(world, 5, 8));
    RETURN_IF_ERROR(world.Commit());
    RETURN_IF_ERROR(AppendMany(world, 6, 8));
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(AppendMany(world, 2, 4));
    world.Crash();
    return {};
  };
  HaltEverywhere(setup, [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(world.Open());
    RETURN_IF_ERROR(world.AppendOne(1));
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(AppendMany(world, 3, 9));
    return world.Commit();
  });
}

TEST(JournalCrash, WhileReplayingAfterATornWrite) {
  const Script setup = [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(world.Open());
    RETURN_IF_ERROR(AppendMany(world, 4, 8));
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(AppendMany(world, 5, 8));
    world.PowerCut(CutMode::kRandomSubset);
    return {};
  };
  HaltEverywhere(setup, [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(world.Open());
    RETURN_IF_ERROR(AppendMany(world, 2, 3));
    RETURN_IF_ERROR(world.Sync());
    return AppendMany(world, 3, 9);
  });
}

TEST(JournalCrash, WhileWritingAgainAfterAFailedSync) {
  HaltEverywhere(Nothing, [](JournalWorld& world) -> Status {
    RETURN_IF_ERROR(AppendMany(world, 3, 4));
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(AppendMany(world, 6, 7));
    world.fs.AddFault({.call = FsCall::kSync, .path_contains = ".seg"});
    RETURN_IF_ERROR(world.Sync());
    RETURN_IF_ERROR(AppendMany(world, 3, 7));
    RETURN_IF_ERROR(world.Sync());
    return world.Commit();
  });
}

TEST(JournalCrash, WhileWritesFail) {
  HaltEverywhere(Nothing, [](JournalWorld& world) -> Status {
    for (int i = 0; i < 8; ++i) {
      if (i % 3 == 1) world.fs.AddFault({.call = FsCall::kWrite, .path_contains = ".seg"});
      (void)world.AppendOne(5);
      if (i % 4 == 3) RETURN_IF_ERROR(world.Sync());
    }
    return {};
  });
}

TEST(JournalCrash, TenTimesInARow) {
  const std::uint64_t seed = TestSeed();
  for (std::uint64_t round = 0; round < 100; ++round) {
    SCOPED_TRACE(round);
    JournalWorld world(seed + round);
    for (int crash = 0; crash < 10; ++crash) {
      world.fs.HaltAt(1 + world.seeded.Below(12));
      if (world.Open().has_value()) (void)AppendMany(world, 3, 6);
      if (HasFatalFailure()) return;
      world.Close();
      world.fs.Crash();
    }
    world.Crash();
    CheckGoesOn(world);
    if (HasFatalFailure()) return;
  }
}

TEST(JournalCrash, AKillBetweenAFailedSyncAndItsRewriteIsNoLoss) {
  // The kernel forgot the pages, nobody wrote them again: the next run must.
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(AppendMany(world, 3, 4));
  world.fs.AddFault({.call = FsCall::kSync, .path_contains = ".seg"});
  world.fs.AddFault({.call = FsCall::kOpen, .repeat = FaultRepeat::kSticky});
  EXPECT_FALSE(world.Sync().has_value());
  world.Crash();
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 3U);
  ASSERT_OK(world.Sync());
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 3U);
}

TEST(JournalCrash, ReplayLeavesWhatIsThereAsItIs) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(AppendMany(world, 9, 7));
  world.Crash();
  const std::uint64_t changes = world.fs.change_count();
  ASSERT_OK_AND_ASSIGN(auto journal, Journal::Open(world.fs, world.clock, world.seeded,
                                                   world.executor, JournalWorld::kDirectory,
                                                   world.key, world.identity, world.options));
  ASSERT_OK(journal->Replay({}, [](auto) -> Status { return {}; }));
  EXPECT_EQ(world.fs.change_count(), changes);
}

}  // namespace
}  // namespace coffer::cache
