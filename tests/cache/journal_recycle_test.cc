// What the journal costs: files, bytes, directory operations, memory for what is not durable.
#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

std::uint64_t SegmentsUsed(JournalWorld& world) {
  return world.journal().used_bytes() / world.options.segment_bytes;
}

void AppendAndSync(JournalWorld& world) {
  ASSERT_OK(world.AppendOne(1));
  ASSERT_OK(world.journal().Sync());
  world.RunTasks();
}

TEST(JournalRecycle, SteadyStateMakesNoFiles) {
  JournalWorld world;
  world.options.free_segments_max = 8;  // more than fill up between two commits
  ASSERT_OK(world.Open());
  const auto run = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(world.Append({world.NewWrite(6)}));
      world.RunTasks();
      if (i % 8 != 7) continue;
      ASSERT_OK(world.Commit());
      world.RunTasks();
    }
  };
  run(160);
  const std::uint64_t opened = world.fs.call_count(FsCall::kOpen);
  const std::uint64_t removed = world.fs.call_count(FsCall::kRemove);
  const std::uint64_t directories = world.fs.call_count(FsCall::kSyncDirectory);
  run(200);
  EXPECT_EQ(world.fs.call_count(FsCall::kOpen), opened);
  EXPECT_EQ(world.fs.call_count(FsCall::kRemove), removed);
  EXPECT_EQ(world.fs.call_count(FsCall::kSyncDirectory), directories);
  world.journal().CheckInvariants();
}

TEST(JournalRecycle, KeepsFewFreeSegments) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 40; ++i) ASSERT_OK(world.AppendOne(8));
  EXPECT_GE(world.SegmentFiles().size(), 13U);
  EXPECT_GE(world.journal().used_bytes(), 13 * world.options.segment_bytes);
  ASSERT_OK(world.Commit());
  EXPECT_EQ(world.journal().used_bytes(), 0U);
  world.RunTasks();
  EXPECT_EQ(world.SegmentFiles().size(), world.options.free_segments_max);
  world.PowerCut(CutMode::kRandomSubset);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 0U);
}

TEST(JournalRecycle, AClosedJournalKeepsFewerFreeSegments) {
  JournalWorld world;
  world.options.free_segments_max = 6;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 40; ++i) ASSERT_OK(world.AppendOne(8));
  ASSERT_OK(world.Commit());
  world.RunTasks();
  EXPECT_EQ(world.SegmentFiles().size(), 6U);
  world.Close();
  EXPECT_EQ(world.SegmentFiles().size(), world.options.free_segments_kept);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 0U);
}

TEST(JournalRecycle, ManySyncsMoveOnToASegmentThatNeedNotGrow) {
  JournalWorld world;
  world.options.spare_syncs_min = 3;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 3; ++i) AppendAndSync(world);
  EXPECT_EQ(world.SegmentFiles().size(), 1U);
  AppendAndSync(world);
  EXPECT_EQ(world.SegmentFiles().size(), 2U);  // filled with zeros
  EXPECT_EQ(SegmentsUsed(world), 1U);
  AppendAndSync(world);
  EXPECT_EQ(SegmentsUsed(world), 2U);
  world.Crash();
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 5U);
}

TEST(JournalRecycle, PreparesASuccessorOnceHalfOfASegmentThatNeedNotGrowIsUsed) {
  JournalWorld world;
  world.options.spare_syncs_min = 0;
  ASSERT_OK(world.Open());
  while (SegmentsUsed(world) < 2) {
    ASSERT_OK(world.AppendOne(1));
    world.RunTasks();
  }
  ASSERT_EQ(world.SegmentFiles().size(), 2U);
  std::uint64_t bytes = 0;
  for (; world.SegmentFiles().size() == 2; bytes += 4096) {
    ASSERT_OK(world.AppendOne(1));
    world.RunTasks();
  }
  EXPECT_GT(bytes, world.options.segment_bytes / 4);
  EXPECT_EQ(SegmentsUsed(world), 2U);
  ASSERT_OK(world.journal().Sync());
  const std::uint64_t opened = world.fs.call_count(FsCall::kOpen);
  const std::uint64_t directories = world.fs.call_count(FsCall::kSyncDirectory);
  while (SegmentsUsed(world) < 3) ASSERT_OK(world.AppendOne(4));
  EXPECT_EQ(world.fs.call_count(FsCall::kOpen), opened);
  EXPECT_EQ(world.fs.call_count(FsCall::kSyncDirectory), directories);
}

TEST(JournalRecycle, AFreeFileThatWouldGrowIsFilledRatherThanANewOneMade) {
  JournalWorld world;
  world.options.spare_syncs_min = 2;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.AppendOne(1));
  ASSERT_OK(world.Commit());
  world.Close();
  ASSERT_OK(world.Open());
  for (int i = 0; i < 2; ++i) ASSERT_OK(world.AppendOne(8));
  ASSERT_OK(world.Commit());  // the second file: one was free
  for (int i = 0; i < 4; ++i) AppendAndSync(world);
  EXPECT_EQ(world.SegmentFiles().size(), 2U);
}

TEST(JournalRecycle, ASuccessorIsPreparedForManySyncsNotForABulkWrite) {
  const auto files_at_the_end_of_a_segment = [](std::uint32_t syncs) {
    JournalWorld world;
    world.options.spare_syncs_min = 4;  // one comes by itself
    EXPECT_OK(world.Open());
    for (std::uint32_t i = 0; i < syncs; ++i) {
      EXPECT_OK(world.AppendOne(1));
      EXPECT_OK(world.journal().Sync());
    }
    while (world.journal().used_bytes() == world.options.segment_bytes &&
           world.SegmentFiles().size() == 1) {
      EXPECT_OK(world.AppendOne(1));
      world.RunTasks();
    }
    return std::pair(world.SegmentFiles().size(),
                     world.journal().used_bytes() / world.options.segment_bytes);
  };
  using FilesAndUsed = std::pair<std::size_t, std::uint64_t>;
  EXPECT_EQ(files_at_the_end_of_a_segment(4), FilesAndUsed(2, 1));  // one waits
  EXPECT_EQ(files_at_the_end_of_a_segment(2), FilesAndUsed(2, 2));  // made when needed
}

TEST(JournalRecycle, AnEmptyJournalNamesNoStream) {
  // Another machine goes on, and its head says nothing of this journal's stream: what was
  // committed must not come up again.
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 9; ++i) ASSERT_OK(world.AppendOne(8));
  ASSERT_OK(world.Commit());
  world.Close();
  ASSERT_OK_AND_ASSIGN(auto journal, Journal::Open(world.fs, world.clock, world.seeded,
                                                   world.executor, JournalWorld::kDirectory,
                                                   world.key, world.identity, world.options));
  const format::JournalPosition foreign{world.seeded.NewId<StreamId>(), 3};
  ASSERT_OK_AND_ASSIGN(auto recovery, journal->Replay(foreign, [](auto) -> Status { return {}; }));
  EXPECT_EQ(recovery.records, 0U);
  EXPECT_FALSE(recovery.damaged);
}

TEST(JournalRecycle, SegmentsOfARunBeforeAreReused) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 9; ++i) ASSERT_OK(world.AppendOne(8));
  world.Crash();
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Commit());
  world.RunTasks();
  const std::uint64_t opened = world.fs.call_count(FsCall::kOpen);
  ASSERT_OK(world.AppendOne(8));
  EXPECT_EQ(world.fs.call_count(FsCall::kOpen), opened);
}

TEST(JournalRecycle, StaleRecordsBehindTheLastGroupAreNotReplayed) {
  JournalWorld world;
  world.options.free_segments_max = 1;
  ASSERT_OK(world.Open());
  for (int i = 0; i < 20; ++i) ASSERT_OK(world.Append({world.NewWrite(1)}));
  ASSERT_OK(world.Commit());
  world.RunTasks();
  ASSERT_EQ(world.SegmentFiles().size(), 1U);
  for (int i = 0; i < 3; ++i) ASSERT_OK(world.Append({world.NewWrite(1)}));
  world.Crash();
  // The file still holds whole groups of its former life behind the new ones.
  const Bytes file = *world.fs.Contents(world.SegmentFiles()[0]);
  std::size_t groups = 0;
  for (std::size_t at = 0; at + 4 <= file.size(); at += 4) {
    if (LoadLe<std::uint32_t>(&file[at]) == format::kGroupMagic) ++groups;
  }
  EXPECT_GT(groups, 15U);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 3U);
}

TEST(JournalRecycle, AGroupIsFollowedByZerosUpToAPage) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Append({world.NewWrite(1)}));
  const Bytes file = *world.fs.Contents(world.SegmentFiles()[0]);
  ASSERT_EQ(file.size(), world.options.segment_bytes);
  EXPECT_TRUE(IsZero(ByteView(file).subspan(2 * 4096 + 256)));
}

TEST(JournalRecycle, ASyncStartsByItselfAndMemoryIsBounded) {
  JournalWorld world;
  world.options.segment_bytes = 256 << 10;
  world.options.unsynced_bytes_max = 64 << 10;
  ASSERT_OK(world.Open());
  const std::uint64_t syncs = world.fs.call_count(FsCall::kSync);
  for (int i = 0; i < 20; ++i) ASSERT_OK(world.AppendOne(3));
  EXPECT_EQ(world.journal().durable_seq(), 0U);
  world.RunTasks();
  EXPECT_GT(world.journal().durable_seq(), 0U);
  EXPECT_GT(world.fs.call_count(FsCall::kSync), syncs);
  // Nobody runs tasks now: the writers have to sync themselves.
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(world.AppendOne(3));
    world.journal().CheckInvariants();  // among others: the bound
  }
}

TEST(JournalRecycle, AReleasedRecordIsNotFoundRatherThanCorrupt) {
  JournalWorld world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Append({world.NewWrite(2)}));
  const RecordPtr record = world.listener.records()[0];
  Bytes data(record->header.length);
  ASSERT_OK(world.journal().ReadRecord(*record, record->location, 0, data));
  ASSERT_OK(world.Commit());
  EXPECT_FAILS(world.journal().ReadRecord(*record, record->location, 0, data), kNotFound);
  world.RunTasks();
  for (int i = 0; i < 10; ++i) ASSERT_OK(world.AppendOne(8));
  EXPECT_FAILS(world.journal().ReadRecord(*record, record->location, 0, data), kNotFound);
}

}  // namespace
}  // namespace coffer::cache
