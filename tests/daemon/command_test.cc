// What commands leave when the store fails under them. Every call in turn: command_faults.cc.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/daemon/command_world.h"

namespace coffer::daemon {
namespace {

using store::StoreOperation;

class CommandTest : public testing::Test {
 protected:
  CommandTest() {
    machine_.Start();
    EXPECT_OK(machine_.Init("photos", CommandMachine::kStore));
    EXPECT_OK(machine_.Open("photos", CommandMachine::kPassword));
    EXPECT_OK(machine_.Write("photos", 1, 'a'));
    EXPECT_OK(machine_.Close("photos", /*no_wait=*/false));
  }
  void Restart() {
    machine_.Stop();
    machine_.fs.Crash();
    machine_.line.Heal();
    machine_.Start();
  }
  void RefuseCreates(ErrorCode code) {
    machine_.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                            .operation = StoreOperation::kCreate,
                            .count = StoreFault::kForever,
                            .code = code});
  }
  control::VolumeStatus Photos() {
    const auto status = machine_.manager().Volume("photos");
    EXPECT_OK(status);
    return status.value_or(control::VolumeStatus{});
  }
  static control::OpenRequest ReadOnly() {
    control::OpenRequest request;
    request.read_only = true;
    return request;
  }
  char At(std::uint64_t block) {
    Bytes bytes(block::kBlockSize);
    EXPECT_OK(machine_.device("photos")->Read(block * block::kBlockSize, bytes));
    return static_cast<char>(bytes[0]);
  }

  store::MemoryStore provider_;
  CommandMachine machine_{provider_, 1};
};

TEST_F(CommandTest, ADeleteThatTheStoreRefusesIsNotCarriedOutLater) {
  RefuseCreates(ErrorCode::kIoError);  // as a read-only directory does
  EXPECT_FAILS(machine_.Delete("photos"), kIoError);
  EXPECT_TRUE(Photos().needs.empty());
  Restart();
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword, ReadOnly()));
  EXPECT_EQ(At(1), 'a');
  ASSERT_OK(machine_.Close("photos", false));
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  EXPECT_EQ(At(1), 'a');
}

TEST_F(CommandTest, ADeleteWithoutAnAnswerIsShownAndTakenBackByOpening) {
  RefuseCreates(ErrorCode::kUnavailable);  // whether it has arrived nobody knows
  EXPECT_FAILS(machine_.Delete("photos"), kUnavailable);
  ASSERT_EQ(Photos().needs.size(), 1U);
  EXPECT_TRUE(Photos().needs[0].starts_with("UNFINISHED: "));
  Restart();
  ASSERT_EQ(Photos().needs.size(), 1U);
  const auto objects = provider_.Snapshot();
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword, ReadOnly()));
  ASSERT_OK(machine_.Close("photos", false));
  EXPECT_EQ(provider_.Snapshot(), objects);
  EXPECT_EQ(Photos().needs.size(), 1U);
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  EXPECT_TRUE(Photos().needs.empty());
  EXPECT_EQ(At(1), 'a');
  ASSERT_OK(machine_.Close("photos", false));
  ASSERT_OK(machine_.Delete("photos"));
  EXPECT_TRUE(machine_.manager().Volumes().volumes.empty());
}

TEST_F(CommandTest, AShrinkWhoseUploadFailsHasSucceededAndSaysSo) {
  machine_.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                          .operation = StoreOperation::kCreate,
                          .name_contains = "/heads/",
                          .count = StoreFault::kForever});
  ASSERT_OK(machine_.Resize("photos", 16384, /*discard_tail=*/true));
  EXPECT_EQ(Photos().size_bytes, 16384U);
  Restart();
  EXPECT_EQ(Photos().size_bytes, 16384U);
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  EXPECT_EQ(machine_.device("photos")->size(), 16384U);
}

TEST_F(CommandTest, ReadOnlyAfterACrashShowsTheJournalAndChangesNothingInTheStore) {
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  ASSERT_OK(machine_.Write("photos", 2, 'b'));
  // A head is spooled and nobody knows of it.
  machine_.line.AddFault({.kind = StoreFaultKind::kFailBefore,
                          .operation = StoreOperation::kCreate,
                          .name_contains = "/heads/",
                          .count = StoreFault::kForever});
  EXPECT_FAILS(machine_.Sync("photos"), kUnavailable);
  Restart();
  RefuseCreates(ErrorCode::kIoError);  // a medium that can only be read
  const auto objects = provider_.Snapshot();
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword, ReadOnly()));
  EXPECT_EQ(At(1), 'a');
  EXPECT_EQ(At(2), 'b');
  ASSERT_OK(machine_.Close("photos", false));
  EXPECT_EQ(provider_.Snapshot(), objects);
}

TEST_F(CommandTest, StatusTellsWhatIsNotUploadedWhileItCloses) {
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  ASSERT_OK(machine_.Write("photos", 2, 'b'));
  machine_.line.SetLatency(machine_.work(), std::chrono::seconds(10));
  control::VolumeStatus seen;
  const auto look = machine_.work().PostAfter(std::chrono::seconds(5), [&] { seen = Photos(); });
  ASSERT_OK(machine_.Close("photos", /*no_wait=*/false));
  EXPECT_EQ(seen.state, "closing");
  EXPECT_EQ(seen.waiting_bytes, block::kBlockSize);
  EXPECT_EQ(Photos().state, "closed");
  EXPECT_EQ(Photos().waiting_bytes, 0U);
}

TEST_F(CommandTest, AFlushWhileItClosesIsNeverSaidToBeUploadedWhenItIsNot) {
  control::OpenRequest request;
  request.settings = {{"durability", "cloud"}};
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword, std::move(request)));
  machine_.exporter.connected = {{42, "qemu", "is connected over NBD and has written"}};
  RefuseCreates(ErrorCode::kUnavailable);
  Status flushed;
  machine_.exporter.at_withdraw = [&](const std::string&) {
    const Bytes block(block::kBlockSize, std::byte{'b'});
    ASSERT_OK(machine_.device("photos")->Write(0, block, block::WriteFlag::kNone));
    flushed = machine_.device("photos")->Flush();
  };
  EXPECT_FAILS(machine_.CloseByForce("photos"), kUnavailable);
  EXPECT_FAILS(flushed, kCancelled);
  EXPECT_EQ(Photos().waiting_bytes, block::kBlockSize);
}

TEST_F(CommandTest, ADiskThatTakesNoMoreRecordsLeavesNoOldSizeOrName) {
  machine_.Stop();
  const auto disk = machine_.fs.Save();
  const auto objects = provider_.Snapshot();
  const auto with_fault_at = [&](std::uint64_t nth, const std::function<Status()>& command) {
    provider_.Restore(objects);
    machine_.fs.Load(*disk);
    machine_.Start();
    machine_.fs.AddFault({.path_contains = "/known",
                          .nth = nth,
                          .repeat = FaultRepeat::kSticky,
                          .error_number = ENOSPC});
    const bool done = command().has_value();
    machine_.fs.ClearFaults();
    Restart();
    return done;
  };
  for (std::uint64_t nth = 1; nth <= 20; ++nth) {
    SCOPED_TRACE(nth);
    const bool resized =
        with_fault_at(nth, [&] { return machine_.Resize("photos", 2 << 20, false); });
    if (Photos().needs.empty()) {
      EXPECT_EQ(Photos().size_bytes, resized ? 2U << 20 : 1U << 20);
    }
    machine_.Stop();
    const bool renamed = with_fault_at(nth, [&] { return machine_.Rename("photos", "pics"); });
    const auto volumes = machine_.manager().Volumes().volumes;
    ASSERT_EQ(volumes.size(), 1U);
    if (volumes[0].needs.empty()) {
      EXPECT_EQ(volumes[0].volume, renamed ? "pics" : "photos");
    }
    machine_.Stop();
  }
}

TEST_F(CommandTest, ByForceAStoreThatTakesNothingIsNotWaitedForAnyLonger) {
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  ASSERT_OK(machine_.Write("photos", 2, 'b'));
  // From the head on. A task that uploads a pack stands below the timers: simulated time has one
  // thread, and would show them no moment of its wait.
  machine_.DelayCalls(2, UINT64_MAX);
  const MonotonicTime begin = machine_.clock.Now();
  const Status closed = machine_.CloseByForce("photos");
  ASSERT_FAILS(closed, kUnavailable);
  EXPECT_NE(closed.error().message.find("has taken nothing for 60 s"), std::string::npos);
  EXPECT_LE(machine_.clock.Now() - begin, std::chrono::seconds(70));
  EXPECT_EQ(Photos().state, "locked");
  EXPECT_EQ(Photos().waiting_bytes, block::kBlockSize);
  machine_.LandCalls();
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  EXPECT_EQ(At(2), 'b');
  ASSERT_OK(machine_.Close("photos", false));
  EXPECT_EQ(Photos().waiting_bytes, 0U);
}

TEST_F(CommandTest, ByForceASlowStoreThatGetsOnIsWaitedFor) {
  ASSERT_OK(machine_.Open("photos", CommandMachine::kPassword));
  ASSERT_OK(machine_.Write("photos", 2, 'b'));
  machine_.line.SetLatency(machine_.work(), std::chrono::seconds(50));
  EXPECT_OK(machine_.CloseByForce("photos"));
  EXPECT_EQ(Photos().waiting_bytes, 0U);
}

}  // namespace
}  // namespace coffer::daemon
