// HeadChain under crashes: at every change of the disk, at every request, twice in a row, and in
// long random runs of several machines. The oracle: one chain (O6), no head lost that Append has
// confirmed, and after a crash the newest head is ours, old or new.
#include <gtest/gtest.h>

#include <set>

#include "core/format/chain_name.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

/// Opens on `machine` and appends until told otherwise; what was confirmed goes to `confirmed`.
struct Script {
  std::uint64_t confirmed = 1;
  std::uint64_t attempted = 1;

  void Run(Machine& machine) {
    Result<OpenChain> open = OpenPhotos(machine);
    if (!open.has_value()) return;
    Result<HeadChain::Newest> newest = open->chain->Load();
    for (int i = 0; i < 2; ++i) {
      if (!newest.has_value()) return;
      attempted = newest->point.seq + 1;
      newest = open->chain->Append(NextHead(newest->head));
      if (newest.has_value()) confirmed = newest->point.seq;
    }
  }
};

void ExpectRecovered(store::MemoryStore& provider, Machine& machine, const Script& script) {
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(machine));
  ASSERT_OK_AND_ASSIGN(HeadChain::Newest newest, open.chain->Load());
  EXPECT_TRUE(newest.ours);
  EXPECT_GE(newest.point.seq, script.confirmed);
  EXPECT_LE(newest.point.seq, std::max(script.confirmed, script.attempted));
  ASSERT_OK_AND_ASSIGN(newest, open.chain->Append(NextHead(newest.head)));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t length,
                       CheckChain(provider, open.vault->keys(), open.volume));
  EXPECT_EQ(length, newest.point.seq);
}

class HeadChainCrash : public testing::TestWithParam<CutMode> {};

TEST_P(HeadChainCrash, AtAnyChangeOfTheDisk) {
  const std::uint64_t seed = TestSeed();
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    store::MemoryStore provider;
    Machine a(provider, seed + nth);
    ASSERT_OK(a.Create());
    Script script;
    a.fs.HaltAt(nth);
    script.Run(a);
    if (!a.fs.halted()) break;
    a.fs.PowerCut(GetParam());
    ExpectRecovered(provider, a, script);
  }
}

TEST_P(HeadChainCrash, AtAnyRequest) {
  const std::uint64_t seed = TestSeed();
  for (const HaltMoment moment : {HaltMoment::kBefore, HaltMoment::kAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE(nth);
      store::MemoryStore provider;
      Machine a(provider, seed + nth);
      ASSERT_OK(a.Create());
      Script script;
      a.line.HaltAt(nth, moment);
      script.Run(a);
      if (!a.line.halted()) break;
      a.fs.PowerCut(GetParam());
      a.line.Heal();
      ExpectRecovered(provider, a, script);
    }
  }
}

TEST_P(HeadChainCrash, AgainDuringRecovery) {
  const std::uint64_t seed = TestSeed();
  SeededRandom random(seed);
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    store::MemoryStore provider;
    Machine a(provider, random.Next());
    ASSERT_OK(a.Create());
    Script script;
    for (int crash = 0; crash < 10; ++crash) {
      if (random.OneIn(2)) {
        a.fs.HaltAt(1 + random.Below(30));
      } else {
        a.line.HaltAt(1 + random.Below(16),
                      random.OneIn(2) ? HaltMoment::kBefore : HaltMoment::kAfter);
      }
      Script run;
      run.confirmed = script.confirmed;
      run.attempted = script.attempted;
      run.Run(a);
      script.confirmed = std::max(script.confirmed, run.confirmed);
      script.attempted = std::max(script.attempted, run.attempted);
      a.fs.PowerCut(GetParam());
      a.line.Heal();
    }
    ExpectRecovered(provider, a, script);
  }
}

TEST_P(HeadChainCrash, WithTheNextHeadStillUnderWay) {
  // The request that was given up lands at any point of the recovery.
  for (std::uint64_t late_by = 1; late_by <= 14; ++late_by) {
    SCOPED_TRACE(late_by);
    store::MemoryStore provider;
    Machine a(provider, late_by);
    ASSERT_OK(a.Create());
    a.line.AddFault({.kind = StoreFaultKind::kLateApply,
                     .operation = store::StoreOperation::kCreate,
                     .name_contains = "heads/",
                     .late_by = late_by});
    Script script;
    script.Run(a);
    a.fs.PowerCut(GetParam());
    ExpectRecovered(provider, a, script);
    a.line.LandLateRequests();
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    EXPECT_TRUE(newest.ours);
    EXPECT_OK(CheckChain(provider, open.vault->keys(), open.volume));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, HeadChainCrash,
                         testing::Values(CutMode::kDropAll, CutMode::kKeepAll,
                                         CutMode::kRandomSubset, CutMode::kPrefix),
                         [](const testing::TestParamInfo<CutMode>& mode) {
                           switch (mode.param) {
                             case CutMode::kDropAll:
                               return "DropAll";
                             case CutMode::kKeepAll:
                               return "KeepAll";
                             case CutMode::kRandomSubset:
                               return "RandomSubset";
                             case CutMode::kPrefix:
                               return "Prefix";
                           }
                           return "Unknown";
                         });

TEST(HeadChainSpool, LeftAfterAnotherWriterCameIsDropped) {
  store::MemoryStore provider;
  Machine a(provider, 1, "a");
  Machine b(provider, 1000, "b");
  ASSERT_OK(a.Create());
  a.line.AddFault({.operation = store::StoreOperation::kCreate, .name_contains = "heads/"});
  {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    EXPECT_FAILS(open.chain->Append(NextHead(newest.head)), kUnavailable);
  }
  {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(b));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    ASSERT_OK(open.chain->Append(NextHead(newest.head, 77)));
  }
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  EXPECT_FALSE(newest.ours);
  EXPECT_EQ(newest.head.journal.seq, 77u);
  for (const std::string& path : a.fs.Files()) EXPECT_FALSE(path.ends_with("/spool"));
}

TEST(HeadChainSpool, OfAHeadThatAnotherWriterWentOnFromCountsAsWritten) {
  store::MemoryStore provider;
  Machine a(provider, 1, "a");
  Machine b(provider, 1000, "b");
  ASSERT_OK(a.Create());
  a.line.AddFault({.kind = StoreFaultKind::kFailAfter,
                   .operation = store::StoreOperation::kCreate,
                   .name_contains = "heads/"});
  {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    EXPECT_FAILS(open.chain->Append(NextHead(newest.head)), kUnavailable);
  }
  {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(b));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    ASSERT_OK(open.chain->Append(NextHead(newest.head, 77)));
  }
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  EXPECT_EQ(newest.point.seq, 3u);
  EXPECT_FALSE(newest.ours);
  // Its own last head is known, so that only what lies beyond it is a tail.
  EXPECT_EQ(open.vault->trust().volume(open.volume)->own.seq, 2u);
}

/// A run is killed at any call around a commit; the next one, which may have offered what it found
/// spooled, meets a power cut at any call of its own. The third knows its head.
TEST(HeadChainSpool, OfAKilledRunIsDurableBeforeItIsOffered) {
  for (std::uint64_t killed_at = 1;; ++killed_at) {
    for (std::uint64_t cut_at = 1;; ++cut_at) {
      store::MemoryStore provider;
      Machine a(provider, killed_at, "a");
      ASSERT_OK(a.Create());
      bool killed = false;
      {
        ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
        ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
        a.fs.HaltAt(killed_at);
        (void)open.chain->Append(NextHead(newest.head));
        killed = a.fs.halted();
      }
      if (!killed) return;
      a.fs.Crash();
      a.fs.HaltAt(cut_at);
      {
        auto open = OpenPhotos(a);
        if (open.has_value()) (void)open->chain->Load();
      }
      const bool cut = a.fs.halted();
      a.fs.PowerCut(CutMode::kDropAll);
      ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
      ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
      ASSERT_TRUE(newest.ours) << "killed at " << killed_at << ", cut at " << cut_at;
      ASSERT_OK(open.chain->Append(NextHead(newest.head)));
      if (!cut) break;
    }
  }
}

TEST(HeadChainSpool, ThatIsDamagedStandsInNobodysWay) {
  for (std::uint64_t at = 0; at < 200; at += 3) {
    store::MemoryStore provider;
    Machine a(provider, 1, "a");
    ASSERT_OK(a.Create());
    a.line.AddFault({.operation = store::StoreOperation::kCreate, .name_contains = "heads/"});
    {
      ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
      ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
      EXPECT_FAILS(open.chain->Append(NextHead(newest.head)), kUnavailable);
    }
    for (const std::string& path : a.fs.Files()) {
      if (path.ends_with("/spool")) a.fs.Damage(path, at, std::byte{0x40});
    }
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(a));
    const auto loaded = open.chain->Load();
    if (!loaded.has_value()) {
      EXPECT_EQ(loaded.error().code, ErrorCode::kUnsupported) << TextOf(loaded.error());
      continue;
    }
    EXPECT_TRUE(loaded->ours);
    EXPECT_OK(open.chain->Append(NextHead(loaded->head)));
  }
}

/// Several machines open, append, retry, crash and close at random over lines that fail at random.
class RandomRun {
 public:
  explicit RandomRun(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 3; ++i) {
      machines_.push_back(std::make_unique<Host>(provider_, random_.Next(),
                                                 std::string(1, static_cast<char>('a' + i))));
    }
  }

  void Run(int steps) {
    ASSERT_OK(machines_[0]->machine.Create());
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) Step();
    Check();
  }

 private:
  struct Host {
    Host(store::ObjectStore& provider, std::uint64_t seed, std::string name)
        : machine(provider, seed, std::move(name)) {}
    Machine machine;
    std::optional<OpenChain> open;
    std::optional<HeadChain::Newest> newest;
  };

  void Step() {
    Host& host = *machines_[random_.Below(machines_.size())];
    if (random_.OneIn(3)) AddFault(host.machine);
    if (random_.OneIn(8)) {
      host.open.reset();
      host.newest.reset();
      host.machine.fs.PowerCut(CutMode::kRandomSubset);
      host.machine.line.Heal();
      return;
    }
    if (!host.open.has_value()) return Open(host);
    if (!host.newest.has_value() && !host.open->chain->pending()) return Load(host);
    const bool retry = host.open->chain->pending();
    Result<HeadChain::Newest> next =
        retry ? host.open->chain->Retry() : host.open->chain->Append(Next(host));
    if (next.has_value()) {
      Confirm(*next);
      host.newest = std::move(*next);
    } else if (next.error().code == ErrorCode::kNeedsPerson) {
      EXPECT_TRUE(next.error().message.starts_with("FENCED: ")) << next.error().message;
      host.open.reset();
      host.newest.reset();
    }
  }

  void Open(Host& host) {
    Result<OpenChain> open = OpenPhotos(host.machine);
    if (open.has_value()) {
      host.open = std::move(*open);
    } else {
      EXPECT_NE(open.error().code, ErrorCode::kNeedsPerson) << open.error().message;
    }
  }

  void Load(Host& host) {
    Result<HeadChain::Newest> newest = host.open->chain->Load();
    if (newest.has_value()) {
      host.newest = std::move(*newest);
    } else {
      EXPECT_NE(newest.error().code, ErrorCode::kNeedsPerson) << newest.error().message;
    }
  }

  format::Head Next(Host& host) {
    format::Head head = NextHead(host.newest->head, ++position_);
    if (!host.newest->ours) ++head.epoch;
    return head;
  }

  void Confirm(const HeadChain::Newest& newest) {
    EXPECT_TRUE(newest.ours);
    confirmed_.insert({newest.point.seq, newest.point.hash});
  }

  void AddFault(Machine& machine) {
    StoreFault fault;
    switch (random_.Below(4)) {
      case 0:
        fault.kind = StoreFaultKind::kFailAfter;
        break;
      case 1:
        fault.kind = StoreFaultKind::kLateApply;
        fault.operation = store::StoreOperation::kCreate;
        fault.name_contains = "heads/";
        fault.late_by = 1 + random_.Below(12);
        break;
      case 2:
        fault.kind = StoreFaultKind::kCorruptBody;
        break;
      default:
        break;
    }
    fault.nth = 1 + random_.Below(6);
    machine.line.AddFault(fault);
    if (random_.OneIn(4)) machine.fs.AddFault({.nth = 1 + random_.Below(40)});
  }

  void Check() {
    Machine fresh(provider_, 4242, "z");
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(fresh));
    ASSERT_OK(CheckChain(provider_, open.vault->keys(), open.volume));
    std::set<std::uint64_t> sequences;
    for (const auto& [seq, hash] : confirmed_) {
      EXPECT_TRUE(sequences.insert(seq).second) << "two heads were confirmed as " << seq;
      ASSERT_OK_AND_ASSIGN(const HeadChain::Newest standing, open.chain->ReadAt(seq));
      EXPECT_EQ(standing.point.hash, hash) << seq;
    }
  }

  SeededRandom random_;
  store::MemoryStore provider_;
  std::vector<std::unique_ptr<Host>> machines_;
  std::set<std::pair<std::uint64_t, ObjectHash>> confirmed_;
  std::uint64_t position_ = 0;
};

TEST(HeadChainRandom, KeepsOneHistoryWithSeveralMachinesAndFaults) {
  const std::uint64_t seed = TestSeed();
  for (std::uint64_t run = 0; run < 300 && !testing::Test::HasFailure(); ++run) {
    SCOPED_TRACE("run " + std::to_string(run) + " of seed " + std::to_string(seed));
    RandomRun(seed + run).Run(40);
  }
}

}  // namespace
}  // namespace coffer::vault
