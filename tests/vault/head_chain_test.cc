// HeadChain: one history of heads, whatever the store, the clock or another machine does.
#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/head_record.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

using store::StoreOperation;

class HeadChainTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(a_.Create());
    Result<OpenChain> open = OpenPhotos(a_);
    ASSERT_OK(open);
    open_ = std::move(*open);
    prefix_ = format::HeadPrefix(open_.volume);
    ASSERT_OK(open_.chain->Load());
  }

  HeadChain& chain() { return *open_.chain; }
  std::string NameOf(std::uint64_t seq) const { return format::ChainName(prefix_, seq); }
  /// Appends `count` heads by `open`, the first as the start of a new epoch.
  static HeadChain::Newest AppendMany(OpenChain& open, int count) {
    HeadChain::Newest newest = *open.chain->Load();
    for (int i = 0; i < count; ++i) {
      Result<HeadChain::Newest> next = open.chain->Append(NextHead(newest.head));
      EXPECT_OK(next);
      if (next.has_value()) newest = std::move(*next);
    }
    return newest;
  }
  HeadChain::Newest AppendMany(int count) { return AppendMany(open_, count); }
  /// Closes everything on a_, as a process that ends does.
  void CloseA() {
    open_.chain.reset();
    open_.vault.reset();
  }
  /// Opens the volume on a_ again.
  Result<HeadChain::Newest> ReopenA() {
    CloseA();
    ASSIGN_OR_RETURN(open_, OpenPhotos(a_));
    return open_.chain->Load();
  }
  /// What GC puts over a silent volume.
  format::Head BarrierOver(const format::Head& below, const format::ChainPoint& point,
                           std::uint64_t gc_seen) {
    format::Head barrier = below;
    barrier.seq = below.seq + 1;
    barrier.parent = point.hash;
    barrier.barrier = true;
    barrier.host = b_.random.NewId<HostId>();
    barrier.host_name = "gc";
    barrier.created_unix += 1;
    barrier.gc_seen = gc_seen;
    return barrier;
  }
  format::ChainPoint Store(const format::Head& head) {
    const Bytes bytes = SealHead(open_.vault->keys(), head, b_.random);
    Plant(provider_, NameOf(head.seq), &bytes);
    return {head.seq, crypto::Sha256(bytes)};
  }
  void ExpectOneChain(std::uint64_t newest) {
    if (open_.vault == nullptr) open_ = *OpenPhotos(a_);
    const Result<std::uint64_t> checked = CheckChain(provider_, open_.vault->keys(), open_.volume);
    ASSERT_OK(checked);
    EXPECT_EQ(*checked, newest);
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1, "a"};
  Machine b_{provider_, 1000, "b"};
  OpenChain open_;
  std::string prefix_;
};

TEST_F(HeadChainTest, AppendsOneHeadAfterTheOther) {
  HeadChain::Newest newest = *chain().Load();
  EXPECT_TRUE(newest.ours);
  for (std::uint64_t seq = 2; seq <= 5; ++seq) {
    const format::ChainPoint parent = newest.point;
    ASSERT_OK_AND_ASSIGN(newest, chain().Append(NextHead(newest.head)));
    EXPECT_EQ(newest.point.seq, seq);
    EXPECT_EQ(newest.head.parent, parent.hash);
    EXPECT_EQ(newest.head.host, open_.vault->host().id);
    EXPECT_EQ(newest.head.host_name, "a");
    EXPECT_EQ(newest.head.catalog_seq_min, 1u);
    EXPECT_EQ(newest.head.header_seq_min, 1u);
    EXPECT_TRUE(newest.ours);
    EXPECT_EQ(open_.vault->trust().volume(open_.volume)->own, newest.point);
  }
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest read, chain().ReadAt(5));
  EXPECT_EQ(read.head, newest.head);
  EXPECT_EQ(read.point, newest.point);
  EXPECT_TRUE(read.ours);
  EXPECT_FALSE(chain().ReadAt(4)->ours);
  EXPECT_FAILS(chain().ReadAt(6), kNotFound);
  ExpectOneChain(5);
}

/// Snapshots are what makes a head large: so many of them, each with deltas of its own, that it
/// would have more bytes than any reader takes.
TEST_F(HeadChainTest, AHeadThatNobodyCouldReadIsNotWritten) {
  const HeadChain::Newest newest = *chain().Load();
  format::Head large = NextHead(newest.head);
  format::Snapshot snapshot{.id = 0, .name = "s", .created_unix = 1, .map = {.size = 4096}};
  snapshot.map.deltas.assign(
      format::kDeltasMax,
      {.frame = {a_.random.NewId<PackId>(), 1, 65000, 1 << 20, 5000, 5000, 2}, .entry_count = 1});
  for (; snapshot.id * format::kDeltasMax * 48 < format::kHeadBytesMax;) {
    ++snapshot.id;
    snapshot.name = "s" + std::to_string(snapshot.id);
    large.snapshots.push_back(snapshot);
  }
  large.snapshot_id_next = snapshot.id + 1;
  EXPECT_FAILS(chain().Append(large), kUnsupported);
  EXPECT_FALSE(chain().pending());
  ExpectOneChain(newest.point.seq);
  EXPECT_OK(chain().Append(NextHead(newest.head)));
}

TEST_F(HeadChainTest, CostsOneCreateAndOneListPerHeadAndReadsNothing) {
  AppendMany(1);
  const HeadChain::Newest newest = *chain().Load();
  a_.wire.Clear();
  ASSERT_OK(chain().Append(NextHead(newest.head)));
  EXPECT_EQ(a_.wire.requests().size(), 2u);
  EXPECT_EQ(a_.wire.count(StoreOperation::kCreate), 1u);
  EXPECT_EQ(a_.wire.count(StoreOperation::kList), 1u);
  a_.wire.Clear();
  ASSERT_OK(chain().Load());
  EXPECT_EQ(a_.wire.requests().size(), 2u);
  EXPECT_EQ(a_.wire.count(StoreOperation::kList), 1u);
  EXPECT_EQ(a_.wire.count(StoreOperation::kGet), 1u);
}

TEST_F(HeadChainTest, TakesALostReplyForWhatItIs) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.AddFault({.kind = StoreFaultKind::kFailAfter, .operation = StoreOperation::kCreate});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  EXPECT_TRUE(chain().pending());
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest retried, chain().Retry());
  EXPECT_FALSE(chain().pending());
  EXPECT_EQ(retried.point.seq, 4u);
  EXPECT_TRUE(retried.ours);
  ExpectOneChain(4);
}

TEST_F(HeadChainTest, RepeatsTheVeryBytesThatItSpooled) {
  const HeadChain::Newest newest = AppendMany(1);
  a_.line.AddFault({.operation = StoreOperation::kCreate, .count = 3});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  std::string spool_path;
  for (const std::string& path : a_.fs.Files()) {
    if (path.ends_with("/spool")) spool_path = path;
  }
  ASSERT_NE(spool_path, "");
  const Result<format::Spool> spool = format::DecodeSpool(*a_.fs.Contents(spool_path));
  ASSERT_OK(spool);
  EXPECT_EQ(spool->seq, 3u);
  for (int i = 0; i < 2; ++i) {
    a_.clock.Advance(std::chrono::minutes(5));
    EXPECT_FAILS(chain().Retry(), kUnavailable);
  }
  ASSERT_OK(chain().Retry());
  EXPECT_EQ(ObjectAt(provider_, NameOf(3)), spool->sealed_head);
  EXPECT_EQ(a_.fs.Contents(spool_path), std::nullopt);
}

TEST_F(HeadChainTest, StaysPendingThroughEveryOtherFailureToo) {
  for (const ErrorCode code : {ErrorCode::kNoSpace, ErrorCode::kUnauthenticated,
                               ErrorCode::kCancelled, ErrorCode::kIoError}) {
    const HeadChain::Newest newest = *chain().Load();
    a_.line.AddFault({.operation = StoreOperation::kCreate, .code = code});
    const auto appended = chain().Append(NextHead(newest.head));
    ASSERT_FALSE(appended.has_value());
    EXPECT_EQ(appended.error().code, code);
    EXPECT_TRUE(chain().pending());
    ASSERT_OK(chain().Retry());
  }
  ExpectOneChain(5);
}

TEST_F(HeadChainTest, OffersNothingWhenItCannotSpool) {
  const HeadChain::Newest newest = *chain().Load();
  ASSERT_OK(open_.vault->PrepareToWrite());
  const auto before = provider_.Snapshot();
  a_.fs.AddFault({.path_contains = "spool"});
  EXPECT_FALSE(chain().Append(NextHead(newest.head)).has_value());
  EXPECT_FALSE(chain().pending());
  EXPECT_EQ(provider_.Snapshot(), before);
  EXPECT_OK(chain().Append(NextHead(newest.head)));
}

TEST_F(HeadChainTest, IsNotDoneUntilTheTrustFileKnows) {
  const HeadChain::Newest newest = AppendMany(1);
  a_.fs.AddFault({.path_contains = "trust"});
  EXPECT_FALSE(chain().Append(NextHead(newest.head)).has_value());
  EXPECT_TRUE(chain().pending());
  ASSERT_OK(chain().Retry());
  EXPECT_EQ(open_.vault->trust().volume(open_.volume)->own.seq, 3u);
}

TEST_F(HeadChainTest, FencesTheSlowerOfTwoWriters) {
  const HeadChain::Newest newest = AppendMany(2);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest of_b, b.chain->Load());
  EXPECT_FALSE(of_b.ours);
  format::Head taken_over = NextHead(of_b.head);
  ++taken_over.epoch;
  ASSERT_OK(b.chain->Append(taken_over));

  const auto before = provider_.Snapshot();
  ASSERT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "FENCED",
                          {"host 'b'", "head 4", "goes on from is 3"}));
  EXPECT_FALSE(chain().pending());
  // For good.
  EXPECT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "FENCED"));
  EXPECT_TRUE(NeedsPerson(chain().Retry(), "FENCED"));
  EXPECT_TRUE(NeedsPerson(chain().Load(), "FENCED"));
  EXPECT_OK(chain().ReadAt(3));
  EXPECT_EQ(provider_.Snapshot(), before);
  // Opened again it sees the other's history, and that it is the other's.
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  EXPECT_EQ(again.point.seq, 4u);
  EXPECT_FALSE(again.ours);
  EXPECT_EQ(again.head.epoch, taken_over.epoch);
  ExpectOneChain(4);
}

TEST_F(HeadChainTest, FencesAWriterThatSleptWhileAnotherWentOn) {
  const HeadChain::Newest newest = AppendMany(2);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  AppendMany(b, 5);
  EXPECT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "FENCED"));
  ExpectOneChain(8);
}

TEST_F(HeadChainTest, FencesAZombieWhoseNameGcHasFreed) {
  const HeadChain::Newest newest = AppendMany(2);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  AppendMany(b, 5);
  for (std::uint64_t seq = 1; seq <= 6; ++seq) Plant(provider_, NameOf(seq), nullptr);
  EXPECT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "FENCED"));
  // Readers go by the newest and never meet it.
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest of_b, b.chain->Load());
  EXPECT_EQ(of_b.point.seq, 8u);
  EXPECT_TRUE(of_b.ours);
}

TEST_F(HeadChainTest, LetsNoLateRequestPastAnotherWritersHead) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.AddFault(
      {.kind = StoreFaultKind::kLateApply, .operation = StoreOperation::kCreate, .late_by = 1000});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  AppendMany(b, 1);
  const auto before = provider_.Snapshot();
  a_.line.LandLateRequests();
  EXPECT_EQ(provider_.Snapshot(), before);
  EXPECT_TRUE(NeedsPerson(chain().Retry(), "FENCED"));
}

TEST_F(HeadChainTest, TakesALateRequestForItsOwn) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.AddFault(
      {.kind = StoreFaultKind::kLateApply, .operation = StoreOperation::kCreate, .late_by = 1000});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  a_.line.LandLateRequests();
  ASSERT_OK(chain().Retry());
  ExpectOneChain(4);
}

TEST_F(HeadChainTest, WaitsUntilListShowsItsHead) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.FreezeLists();
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  EXPECT_TRUE(chain().pending());
  EXPECT_EQ(open_.vault->trust().volume(open_.volume)->own.seq, 3u);
  EXPECT_FAILS(chain().Retry(), kUnavailable);
  a_.line.ThawLists();
  ASSERT_OK(chain().Retry());
  ExpectOneChain(4);
}

TEST_F(HeadChainTest, DoesNotWaitForListWhereItIsTheOnlyWriter) {
  CloseA();
  open_ = *OpenPhotos(a_, {.single_writer = true});
  const HeadChain::Newest newest = *chain().Load();
  a_.line.FreezeLists();
  ASSERT_OK(chain().Append(NextHead(newest.head)));
}

TEST_F(HeadChainTest, BelievesNoListThatLeavesTheParentOut) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.AddFault({.kind = StoreFaultKind::kShortList, .operation = StoreOperation::kList});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  ASSERT_OK(chain().Retry());
}

TEST_F(HeadChainTest, WritesIntoNoStoreThatIsWeak) {
  a_.line.SetStrength(store::StoreStrength::kWeak);
  const HeadChain::Newest newest = *chain().Load();
  EXPECT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "WEAK-STORE"));
  EXPECT_FALSE(chain().pending());
  ExpectOneChain(1);
}

// Barriers.

TEST_F(HeadChainTest, TakesOverABarrierInItsWay) {
  const HeadChain::Newest newest = AppendMany(2);
  const format::ChainPoint barrier = Store(BarrierOver(newest.head, newest.point, 7));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest next, chain().Append(NextHead(newest.head)));
  EXPECT_EQ(next.point.seq, 5u);
  EXPECT_EQ(next.head.parent, barrier.hash);
  EXPECT_EQ(next.head.gc_seen, 7u);
  EXPECT_FALSE(next.head.barrier);
  ExpectOneChain(5);
}

TEST_F(HeadChainTest, TakesOverSeveralBarriers) {
  const HeadChain::Newest newest = AppendMany(2);
  format::Head below = newest.head;
  format::ChainPoint point = newest.point;
  for (std::uint64_t gc_seen = 1; gc_seen <= 3; ++gc_seen) {
    below = BarrierOver(below, point, gc_seen);
    point = Store(below);
  }
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest next, chain().Append(NextHead(newest.head)));
  EXPECT_EQ(next.point.seq, 7u);
  EXPECT_EQ(next.head.gc_seen, 3u);
  ExpectOneChain(7);
}

TEST_F(HeadChainTest, GoesOnOverABarrierAfterADiskError) {
  const HeadChain::Newest newest = AppendMany(2);
  Store(BarrierOver(newest.head, newest.point, 7));
  // The spool is written once for head 4, and fails when it is written again for head 5.
  a_.fs.AddFault({.call = FsCall::kRename, .path_contains = "spool", .nth = 2});
  EXPECT_FALSE(chain().Append(NextHead(newest.head)).has_value());
  EXPECT_TRUE(chain().pending());
  ASSERT_OK(chain().Retry());
  ExpectOneChain(5);
}

TEST_F(HeadChainTest, KeepsItsHeadUnderABarrierThatCameRightAfter) {
  const HeadChain::Newest newest = AppendMany(2);
  a_.line.AddFault({.kind = StoreFaultKind::kFailAfter, .operation = StoreOperation::kCreate});
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest mine, chain().ReadAt(4));
  const format::ChainPoint barrier = Store(BarrierOver(mine.head, mine.point, 9));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest settled, chain().Retry());
  EXPECT_EQ(settled.point, barrier);
  EXPECT_TRUE(settled.ours);
  EXPECT_EQ(settled.head.map, mine.head.map);
  EXPECT_EQ(settled.head.journal, mine.head.journal);
  EXPECT_EQ(open_.vault->trust().volume(open_.volume)->own, mine.point);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest next, chain().Append(NextHead(settled.head)));
  EXPECT_EQ(next.head.gc_seen, 9u);
  EXPECT_FALSE(next.head.barrier);
  ExpectOneChain(6);
}

TEST_F(HeadChainTest, StillCallsAHeadUnderBarriersItsOwn) {
  const HeadChain::Newest newest = AppendMany(2);
  const format::Head barrier = BarrierOver(newest.head, newest.point, 7);
  const format::ChainPoint point = Store(barrier);
  Store(BarrierOver(barrier, point, 8));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  EXPECT_EQ(again.point.seq, 5u);
  EXPECT_TRUE(again.ours);
}

TEST_F(HeadChainTest, IsFencedByABarrierThatIsMoreThanThat) {
  const auto changes = std::vector<void (*)(format::Head&)>{
      [](format::Head& head) { head.map.size += 4096; },
      [](format::Head& head) { head.epoch += 1; },
      [](format::Head& head) { head.journal.seq += 1; },
      [](format::Head& head) { head.released = !head.released; },
      [](format::Head& head) { head.barrier = false; },
      [](format::Head& head) { head.parent.bytes[0] ^= std::byte{1}; },
      [](format::Head& head) { head.tombstone = true; },
  };
  for (const auto change : changes) {
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, ReopenA());
    format::Head barrier = BarrierOver(newest.head, newest.point, 7);
    change(barrier);
    Store(barrier);
    EXPECT_TRUE(NeedsPerson(chain().Append(NextHead(newest.head)), "FENCED"));
    Plant(provider_, NameOf(barrier.seq), nullptr);
    ASSERT_OK(ReopenA());
    // And likewise right above its own head.
    a_.line.AddFault({.kind = StoreFaultKind::kFailAfter, .operation = StoreOperation::kCreate});
    EXPECT_FAILS(chain().Append(NextHead(newest.head)), kUnavailable);
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest mine, chain().ReadAt(newest.point.seq + 1));
    barrier = BarrierOver(mine.head, mine.point, 7);
    change(barrier);
    Store(barrier);
    EXPECT_TRUE(NeedsPerson(chain().Retry(), "FENCED"));
    Plant(provider_, NameOf(barrier.seq), nullptr);
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
    EXPECT_TRUE(again.ours);  // its head does stand, and the spool remembers
  }
}

TEST_F(HeadChainTest, GoesNotOnAboveATombstone) {
  HeadChain::Newest newest = *chain().Load();
  format::Head last = NextHead(newest.head);
  last.tombstone = true;
  ASSERT_OK_AND_ASSIGN(newest, chain().Append(last));
  EXPECT_FAILS(chain().Append(NextHead(newest.head)), kNotFound);
}

// What Load makes of a store that has changed.

TEST_F(HeadChainTest, DetectsRollback) {
  AppendMany(3);
  const auto old = provider_.Snapshot();
  AppendMany(5);
  provider_.Restore(old);
  EXPECT_TRUE(NeedsPerson(ReopenA(), "ROLLBACK", {"volume", "seen 9", "offers 4"}));
  EXPECT_TRUE(NeedsPerson(ReopenA(), "ROLLBACK"));  // and does not forget
}

TEST_F(HeadChainTest, DetectsThatAllHeadsAreGone) {
  AppendMany(3);
  auto objects = provider_.Snapshot();
  std::erase_if(objects, [](const auto& object) { return object.first.starts_with("heads/"); });
  provider_.Restore(std::move(objects));
  EXPECT_TRUE(NeedsPerson(ReopenA(), "ROLLBACK", {"seen 4", "offers none"}));
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  EXPECT_FAILS(b.chain->Load(), kCorruption);
}

TEST_F(HeadChainTest, UsesItsOwnKnowledgeWhenListHidesHeads) {
  a_.line.FreezeLists();
  CloseA();
  a_.line.ThawLists();
  open_ = *OpenPhotos(a_);
  ASSERT_OK(chain().Load());
  const auto early = provider_.Snapshot();
  const HeadChain::Newest newest = AppendMany(3);
  const auto late = provider_.Snapshot();
  provider_.Restore(early);
  a_.line.FreezeLists();
  provider_.Restore(late);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  EXPECT_EQ(again.point, newest.point);
  EXPECT_TRUE(again.ours);
}

TEST_F(HeadChainTest, RaisesNoAlarmWhileItCannotAsk) {
  const auto early = provider_.Snapshot();
  AppendMany(3);
  const auto late = provider_.Snapshot();
  provider_.Restore(early);
  a_.line.FreezeLists();
  provider_.Restore(late);
  CloseA();
  open_ = *OpenPhotos(a_);
  a_.line.AddFault({.operation = StoreOperation::kGet,
                    .name_contains = "heads/",
                    .code = ErrorCode::kUnauthenticated});
  EXPECT_FAILS(chain().Load(), kUnauthenticated);
  EXPECT_OK(chain().Load());
}

TEST_F(HeadChainTest, DetectsAHistoryThatSplit) {
  AppendMany(1);
  for (int longer = 0; longer <= 3; ++longer) {
    const auto common = provider_.Snapshot();
    store::MemoryStore other_view;
    other_view.Restore(common);
    Machine c(other_view, 500 + static_cast<std::uint64_t>(longer), "c");
    ASSERT_OK_AND_ASSIGN(OpenChain of_c, OpenPhotos(c));
    const HeadChain::Newest mine = AppendMany(1);
    AppendMany(of_c, 1 + longer);
    const auto ours = provider_.Snapshot();
    const Bytes seen = ObjectAt(provider_, NameOf(mine.point.seq));
    provider_.Restore(other_view.Snapshot());
    EXPECT_TRUE(NeedsPerson(ReopenA(), "FORK", {"volume"})) << longer;
    if (longer > 0) {
      Plant(provider_, NameOf(mine.point.seq), &seen);
      EXPECT_TRUE(NeedsPerson(ReopenA(), "FORK")) << longer;
      Plant(provider_, NameOf(mine.point.seq), nullptr);
      EXPECT_TRUE(NeedsPerson(ReopenA(), "FORK")) << longer;
    }
    provider_.Restore(ours);
    ASSERT_OK(ReopenA());
  }
}

TEST_F(HeadChainTest, FollowsAnotherMachinesHeads) {
  AppendMany(1);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  const HeadChain::Newest newest = AppendMany(b, 6);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  EXPECT_EQ(again.point, newest.point);
  EXPECT_FALSE(again.ours);
  const auto trusted = open_.vault->trust().volume(open_.volume);
  EXPECT_EQ(trusted->seen, newest.point);
  EXPECT_EQ(trusted->own.seq, 2u);
}

TEST_F(HeadChainTest, FollowsFarAndStillDetectsASplit) {
  const HeadChain::Newest seen = AppendMany(1);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  AppendMany(b, static_cast<int>(kDescentStepsMax) + 30);
  const auto whole = provider_.Snapshot();
  // What a saw is no longer there, though it can't have been deleted yet.
  Plant(provider_, NameOf(seen.point.seq), nullptr);
  EXPECT_TRUE(NeedsPerson(ReopenA(), "FORK"));
  provider_.Restore(whole);
  CloseA();
  ASSERT_OK_AND_ASSIGN(open_, OpenPhotos(a_));
  a_.wire.Clear();
  ASSERT_OK(chain().Load());
  EXPECT_LE(a_.wire.requests().size(), kDescentStepsMax + 4);
}

TEST_F(HeadChainTest, TakesItsOwnForgottenHeadsForAnotherMachines) {
  // A virtual machine goes back to a snapshot of itself.
  AppendMany(2);
  CloseA();
  const auto image = a_.fs.Save();
  open_ = *OpenPhotos(a_);
  const HeadChain::Newest newest = AppendMany(3);
  CloseA();
  a_.fs.Load(*image);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  EXPECT_EQ(again.point, newest.point);
  EXPECT_EQ(again.head.host, open_.vault->host().id);
  EXPECT_FALSE(again.ours);
}

TEST_F(HeadChainTest, LetsOneOfTwoClonedMachinesGoOn) {
  const HeadChain::Newest newest = AppendMany(2);
  CloseA();
  b_.fs.Load(*a_.fs.Save());
  open_ = *OpenPhotos(a_);
  ASSERT_OK_AND_ASSIGN(OpenChain clone, OpenPhotos(b_));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest of_clone, clone.chain->Load());
  EXPECT_TRUE(of_clone.ours);  // nobody can know yet
  ASSERT_OK(chain().Load());
  ASSERT_OK(chain().Append(NextHead(newest.head)));
  EXPECT_TRUE(NeedsPerson(clone.chain->Append(NextHead(newest.head)), "FENCED"));
  ExpectOneChain(4);
}

TEST_F(HeadChainTest, DetectsHeadsOfAnotherVolumeOrPlace) {
  ASSERT_OK_AND_ASSIGN(const VolumeId music, open_.vault->CreateVolume(Machine::Spec("music")));
  AppendMany(2);
  const auto whole = provider_.Snapshot();
  const Bytes foreign = ObjectAt(provider_, format::ChainName(format::HeadPrefix(music), 1));
  const Bytes older = ObjectAt(provider_, NameOf(2));
  for (const Bytes* bytes : {&foreign, &older}) {
    Plant(provider_, NameOf(3), bytes);
    Machine c(provider_, 9);
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(c));
    EXPECT_TRUE(NeedsPerson(open.chain->Load(), "ROLLBACK", {"head 3", "is damaged"}));
    provider_.Restore(whole);
  }
  Plant(provider_, NameOf(9), &older);
  EXPECT_FAILS(ReopenA(), kCorruption);
}

TEST_F(HeadChainTest, DetectsADamagedHeadAndReadsABrokenTransferAgain) {
  AppendMany(2);
  a_.line.AddFault({.kind = StoreFaultKind::kCorruptBody, .operation = StoreOperation::kGet});
  EXPECT_OK(chain().Load());
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  Bytes damaged = ObjectAt(provider_, NameOf(3));
  for (std::size_t at = 0; at < damaged.size(); at += 97) {
    damaged[at] ^= std::byte{4};
    Plant(provider_, NameOf(3), &damaged);
    const auto loaded = b.chain->Load();
    ASSERT_FALSE(loaded.has_value()) << at;
    EXPECT_TRUE(loaded.error().code == ErrorCode::kNeedsPerson ||
                loaded.error().code == ErrorCode::kUnsupported)
        << TextOf(loaded.error());
    damaged[at] ^= std::byte{4};
  }
}

TEST_F(HeadChainTest, NeverTakesGarbageInItsWayForAnotherWriter) {
  const HeadChain::Newest newest = AppendMany(2);
  const Bytes garbage(5000, std::byte{9});
  Plant(provider_, NameOf(4), &garbage);
  const auto appended = chain().Append(NextHead(newest.head));
  ASSERT_FAILS(appended, kCorruption);
  EXPECT_NE(appended.error().message.find("what stands as head 4"), std::string::npos);
  EXPECT_NE(appended.error().hint.find(NameOf(4)), std::string::npos);
  EXPECT_TRUE(chain().pending());
  Plant(provider_, NameOf(4), nullptr);
  ASSERT_OK(chain().Retry());
}

TEST_F(HeadChainTest, DetectsACatalogOlderThanTheHeadKnows) {
  ASSERT_OK(open_.vault->CreateVolume(Machine::Spec("music")));
  AppendMany(1);
  Plant(provider_, format::ChainName(format::kCatalogPrefix, 2), nullptr);
  // A machine that has seen nothing: the head vouches for the catalog.
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  EXPECT_TRUE(NeedsPerson(b.chain->Load(), "ROLLBACK", {"catalog", "seen 2", "offers 1"}));
}

TEST_F(HeadChainTest, DetectsAKeyHeaderOlderThanTheHeadKnows) {
  const HeadChain::Newest newest = AppendMany(1);
  format::Head head = NextHead(newest.head);
  head.seq = newest.point.seq + 1;
  head.parent = newest.point.hash;
  head.header_seq_min = 2;
  Store(head);
  ASSERT_OK_AND_ASSIGN(OpenChain b, OpenPhotos(b_));
  EXPECT_TRUE(NeedsPerson(b.chain->Load(), "HEADER-ROLLBACK", {"2", "offers 1"}));
  // If header 2 is there, somebody changed the password while this machine had the vault open.
  const Bytes header = ObjectAt(provider_, format::ChainName(format::kKeysPrefix, 1));
  Plant(provider_, format::ChainName(format::kKeysPrefix, 2), &header);
  EXPECT_OK(b.chain->Load());
}

TEST_F(HeadChainTest, ReadsButDoesNotExtendWhatANewerVersionMarked) {
  const HeadChain::Newest newest = AppendMany(1);
  format::Head head = NextHead(newest.head);
  head.seq = newest.point.seq + 1;
  head.parent = newest.point.hash;
  head.features.read_only_compatible = 1;
  Store(head);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest again, ReopenA());
  const auto appended = chain().Append(NextHead(again.head));
  ASSERT_FAILS(appended, kUnsupported);
  EXPECT_TRUE(appended.error().message.starts_with("NEWER-FORMAT: "));
}

/// More of them than a listing holds, ahead of every head and between the heads.
TEST_F(HeadChainTest, PassesOverNamesThatAreNotOursHoweverMany) {
  const Bytes text = ToBytes(AsBytes("not coffer's"));
  for (int i = 1000; i < 3500; ++i) {
    Plant(provider_, Concat(prefix_, "desktop-", i, ".ini"), &text);
  }
  for (const char* suffix : {".partial", ".conflict", "-1", "/below"}) {
    Plant(provider_, NameOf(1) + suffix, &text);
    Plant(provider_, NameOf(2) + suffix, &text);
    Plant(provider_, NameOf(1000) + suffix, &text);
  }
  for (const char* prefix : {"keys/", "catalog/", "heads/", "packs/"}) {
    for (const char* name : {"0", "zzz", "ffffffffffffffff", "ffffffffffffffffe"}) {
      Plant(provider_, Concat(prefix, name), &text);
    }
  }
  AppendMany(3);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, ReopenA());
  EXPECT_EQ(newest.point.seq, 4U);
  EXPECT_TRUE(newest.ours);
  ASSERT_OK(open_.vault->ChangePassword(Password(Machine::kPassword), Password("new")));
  EXPECT_EQ(provider_.Snapshot().count(format::ChainName(format::kKeysPrefix, 1)), 0U);
  ASSERT_OK(open_.vault->RenameVolume(open_.volume, "pictures"));
  open_.chain.reset();
  EXPECT_OK(open_.vault->DeleteVolume(open_.volume));
}

}  // namespace
}  // namespace coffer::vault
