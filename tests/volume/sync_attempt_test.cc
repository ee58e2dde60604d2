// A sync asked for while an attempt is under way: that one's failure is not its answer. With real
// threads, since the simulation runs the attempt and who waits for it on one.
#include <gtest/gtest.h>

#include <future>

#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

/// The first pack that is created after Hold() waits for Release(), then fails.
class HeldStore final : public store::ObjectStore {
 public:
  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override {
    if (name.starts_with("packs/") && held_.exchange(false)) {
      begun_.set_value();
      release_.get_future().wait();
      return Fail(ErrorCode::kUnavailable, "the store was away");
    }
    return inner_.Create(context, name, data, object_class);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return inner_.Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    return inner_.GetRange(context, name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    return inner_.List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return inner_.Delete(context, name);
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_.capabilities();
  }
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

  void Hold() { held_ = true; }
  void AwaitHeld() { begun_.get_future().wait(); }
  void Release() { release_.set_value(); }

 private:
  store::MemoryStore inner_;
  std::atomic<bool> held_ = false;
  std::promise<void> begun_;
  std::promise<void> release_;
};

TEST(SyncAttempt, ASyncIsNotAnsweredByTheFailureOfAnAttemptThatBeganBefore) {
  HeldStore provider;
  vault::Machine machine(provider, TestSeed());
  const auto fetch = NewThreadExecutor("fetch", 2);
  const auto work = NewThreadExecutor("work", 2);
  const auto sync = NewThreadExecutor("sync", 2);
  vault::Environment env{machine.fs,
                         machine.clock,
                         machine.random,
                         *sync,
                         *work,
                         *fetch,
                         vault::kCheapKdf,
                         vault::kCheapBounds,
                         machine.env.state_directory,
                         "threads"};
  ASSERT_OK_AND_ASSIGN(
      const auto vault,
      vault::Vault::Create(env, machine.Store(), vault::Password("x"),
                           {.name = "photos", .size = 1 << 20, .chunk_size = 16 * 1024}));
  cache::FrameCache frames(1 << 20);
  VaultResources resources(*vault, frames, nullptr);
  ASSERT_OK_AND_ASSIGN(const auto listed, vault->FindVolume("photos"));
  ASSERT_OK_AND_ASSIGN(const auto volume,
                       Volume::Open(resources, listed.id, {.settings = SmallSettings()}));

  ASSERT_OK(volume->Write(0, Bytes(4096, std::byte{1}), block::WriteFlag::kNone));
  provider.Hold();
  auto first = std::async(std::launch::async, [&] { return volume->Sync({}); });
  provider.AwaitHeld();
  bool waits = false;
  const Status second = volume->Sync([&](std::uint64_t, std::uint64_t) {
    if (!std::exchange(waits, true)) provider.Release();
  });
  (void)first.get();  // failed, or saw the second attempt done before it looked
  EXPECT_TRUE(waits);
  EXPECT_OK(second);
  EXPECT_EQ(volume->status().behind_bytes, 0u);
  ASSERT_OK(volume->Close(CloseMode::kUpload, {}));
}

/// Tells when one of its timers is ended.
class WatchedExecutor final : public Executor {
 public:
  explicit WatchedExecutor(Executor& inner) : inner_(inner) {}

  void Post(Task task) override { inner_.Post(std::move(task)); }
  [[nodiscard]] std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override {
    return std::make_unique<WatchedTimer>(*this, inner_.PostAfter(delay, std::move(task)));
  }
  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override {
    inner_.Await(lock, changed, done);
  }
  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override {
    return inner_.AwaitFor(lock, changed, timeout, done);
  }
  [[nodiscard]] int parallelism() const override { return inner_.parallelism(); }

  std::function<void()> on_end;

 private:
  class WatchedTimer final : public Timer {
   public:
    WatchedTimer(WatchedExecutor& executor, std::unique_ptr<Timer> inner)
        : executor_(executor), inner_(std::move(inner)) {}
    ~WatchedTimer() override {
      if (executor_.on_end) executor_.on_end();
    }

   private:
    WatchedExecutor& executor_;
    const std::unique_ptr<Timer> inner_;
  };

  Executor& inner_;
};

/// Its task may be running and takes the syncer's lock: whoever stops the syncer must not get past
/// the attempt meanwhile, since then the syncer goes.
TEST(SyncAttempt, ThatFailsEndsTheTimerThatItReplacesWhileItStillRuns) {
  store::MemoryStore provider;
  vault::Machine machine(provider, TestSeed());
  WatchedExecutor sync(machine.sync_executor);
  vault::Environment env{machine.fs,
                         machine.clock,
                         machine.random,
                         sync,
                         machine.work_executor,
                         machine.fetch_executor,
                         vault::kCheapKdf,
                         vault::kCheapBounds,
                         machine.env.state_directory,
                         "watched"};
  ASSERT_OK_AND_ASSIGN(
      const auto vault,
      vault::Vault::Create(env, machine.Store(), vault::Password("x"),
                           {.name = "photos", .size = 1 << 20, .chunk_size = 16 * 1024}));
  cache::FrameCache frames(1 << 20);
  VaultResources resources(*vault, frames, nullptr);
  ASSERT_OK_AND_ASSIGN(const auto listed, vault->FindVolume("photos"));
  ASSERT_OK_AND_ASSIGN(const auto volume,
                       Volume::Open(resources, listed.id, {.settings = SmallSettings()}));

  ASSERT_OK(volume->Write(0, Bytes(4096, std::byte{1}), block::WriteFlag::kNone));  // sets it
  machine.line.FailAll(ErrorCode::kUnavailable);
  int ended = 0;
  sync.on_end = [&] {
    ++ended;
    EXPECT_TRUE(volume->status().syncing);
  };
  EXPECT_FAILS(volume->Sync({}), kUnavailable);
  machine.scheduler.RunUntilIdle();
  sync.on_end = nullptr;
  EXPECT_EQ(ended, 1);
  machine.line.Heal();
  ASSERT_OK(volume->Close(CloseMode::kUpload, {}));
}

}  // namespace
}  // namespace coffer::volume
