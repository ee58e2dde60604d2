// A sync gives way to requests, until somebody waits for it, it is late, or the journal fills.
#include "core/volume/pace.h"

#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonotonicTime kStart{hours(1)};

TEST(Pace, WithoutRequestsThereIsNoPause) {
  Pace pace(2);
  pace.Resume(kStart);
  EXPECT_EQ(pace.PauseAt(kStart + milliseconds(5)), std::nullopt);
}

TEST(Pace, WhileRequestsComeItTakesATwentiethOfAllProcessors) {
  for (const auto& [processors, pause] : {std::pair{1, milliseconds(95)},
                                          {2, milliseconds(45)},
                                          {4, milliseconds(20)},
                                          {20, milliseconds(0)},
                                          {64, milliseconds(0)}}) {
    Pace pace(processors);
    (void)pace.PauseAt(kStart);
    pace.Resume(kStart);
    for (int i = 0; i < 6; ++i) pace.NoteRequest(4096);
    EXPECT_EQ(pace.PauseAt(kStart + milliseconds(5)), pause) << processors << " processors";
  }
}

TEST(Pace, AFewRequestsAreNoReason) {
  Pace pace(2);
  (void)pace.PauseAt(kStart);
  for (int i = 0; i < 50; ++i) pace.NoteRequest(4096);
  EXPECT_EQ(pace.PauseAt(kStart + milliseconds(100)), std::nullopt);
}

TEST(Pace, ABurstAfterALongTimeCounts) {
  Pace pace(2);
  pace.Resume(kStart);
  for (int i = 0; i < 2000; ++i) pace.NoteRequest(4096);
  EXPECT_NE(pace.PauseAt(kStart), std::nullopt);
}

TEST(Pace, LargeRequestsWeighMore) {
  Pace pace(2);
  (void)pace.PauseAt(kStart);
  for (int i = 0; i < 10; ++i) pace.NoteRequest(1 << 20);
  EXPECT_NE(pace.PauseAt(kStart + milliseconds(100)), std::nullopt);
}

TEST(Pace, APauseIsASecondAtMost) {
  Pace pace(2);
  (void)pace.PauseAt(kStart);
  pace.Resume(kStart);
  for (int i = 0; i < 100'000; ++i) pace.NoteRequest(4096);
  EXPECT_EQ(pace.PauseAt(kStart + seconds(10)), seconds(1));
}

/// Goes on by a millisecond whenever it is looked at: work takes time.
class TickingClock final : public Clock {
 public:
  explicit TickingClock(FakeClock& clock) : clock_(clock) {}
  [[nodiscard]] MonotonicTime Now() const override {
    clock_.Advance(milliseconds(1));
    return clock_.Now();
  }
  [[nodiscard]] UnixSeconds WallNow() const override { return clock_.WallNow(); }

 private:
  FakeClock& clock_;
};

class PacedSync : public testing::Test {
 protected:
  static constexpr std::uint64_t kSyncBytes = 8 << 20;  // as many steps of a busy volume
  static constexpr auto kPauses = milliseconds(8 * 19);

  void SetUp() override {
    settings_.sync_bytes = kSyncBytes;
    settings_.sync_age = hours(1);
    settings_.journal_bytes_max = 64 << 20;
    settings_.segment_bytes = 1 << 20;
  }
  void Open() {
    ASSERT_OK_AND_ASSIGN(
        vault_,
        vault::Vault::Create(env_, machine_.Store(), vault::Password("x"),
                             {.name = "photos", .size = 2 * kSyncBytes, .chunk_size = 128 * 1024}));
    resources_ = std::make_unique<VaultResources>(*vault_, frames_, nullptr);
    ASSERT_OK_AND_ASSIGN(const auto listed, vault_->FindVolume("photos"));
    ASSERT_OK_AND_ASSIGN(volume_, Volume::Open(*resources_, listed.id, {.settings = settings_}));
  }
  void BeBusy() {
    Ask();
    machine_.sync_executor.scheduler().RunFor(seconds(1));
  }
  /// One request in 50 us of virtual time, for as long as the test runs.
  void Ask() {
    Bytes block(4096);
    (void)volume_->TryRead(0, block);
    asking_.push_back(
        machine_.fetch_executor.PostAfter(std::chrono::microseconds(50), [this] { Ask(); }));
  }
  void WriteWhatIsToBeSynced() {
    const Bytes data = random_.NewBytes(1 << 20);
    for (std::uint64_t at = 0; at < kSyncBytes; at += data.size())
      ASSERT_OK(volume_->Write(at, data, block::WriteFlag::kNone));
  }
  [[nodiscard]] bool synced() { return volume_->status().behind_bytes == 0; }
  /// Virtual time until the store has it all.
  Duration Elapsed(const std::function<void()>& go_on) {
    const MonotonicTime start = machine_.clock.Now();
    while (!synced()) go_on();
    return machine_.clock.Now() - start;
  }
  Duration TimeOfSync() {
    return Elapsed([this] { machine_.sync_executor.scheduler().RunFor(milliseconds(1)); });
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_{provider_, seed_};
  SeededRandom random_{seed_ + 1};
  TickingClock clock_{machine_.clock};
  vault::Environment env_{machine_.fs,
                          clock_,
                          machine_.random,
                          machine_.sync_executor,
                          machine_.work_executor,
                          machine_.fetch_executor,
                          vault::kCheapKdf,
                          vault::kCheapBounds,
                          machine_.env.state_directory,
                          "ticking"};
  Settings settings_ = SmallSettings();
  std::unique_ptr<vault::Vault> vault_;
  cache::FrameCache frames_{1 << 20};
  std::unique_ptr<VaultResources> resources_;
  std::unique_ptr<Volume> volume_;
  std::vector<std::unique_ptr<Executor::Timer>> asking_;
};

TEST_F(PacedSync, AQuietVolumesSyncDoesNotPause) {
  Open();
  WriteWhatIsToBeSynced();
  machine_.clock.Advance(seconds(60));  // since the writes, which are requests too
  EXPECT_LT(TimeOfSync(), kPauses);
}

TEST_F(PacedSync, ABusyVolumesSyncGivesWay) {
  Open();
  BeBusy();
  WriteWhatIsToBeSynced();
  EXPECT_GE(TimeOfSync(), kPauses);
}

TEST_F(PacedSync, NotWhenSomebodyWaits) {
  Open();
  BeBusy();
  WriteWhatIsToBeSynced();
  EXPECT_LT(Elapsed([this] { ASSERT_OK(volume_->Sync({})); }), kPauses);
}

TEST_F(PacedSync, NotWhenItIsLate) {
  settings_.sync_age = milliseconds(1);
  Open();
  BeBusy();
  WriteWhatIsToBeSynced();
  EXPECT_LT(TimeOfSync(), kPauses);
}

TEST_F(PacedSync, NotWhenTheJournalFills) {
  settings_.journal_bytes_max = 2 * kSyncBytes;
  Open();
  BeBusy();
  WriteWhatIsToBeSynced();
  EXPECT_LT(TimeOfSync(), kPauses);
}

}  // namespace
}  // namespace coffer::volume
