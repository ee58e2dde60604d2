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
  Status Create(const std::string& name, ByteView data, store::ObjectClass object_class) override {
    if (name.starts_with("packs/") && held_.exchange(false)) {
      begun_.set_value();
      release_.get_future().wait();
      return Fail(ErrorCode::kUnavailable, "the store was away");
    }
    return inner_.Create(name, data, object_class);
  }
  Result<Bytes> Get(const std::string& name, std::uint64_t size_max) override {
    return inner_.Get(name, size_max);
  }
  Result<Bytes> GetRange(const std::string& name, std::uint64_t offset,
                         std::uint64_t length) override {
    return inner_.GetRange(name, offset, length);
  }
  Result<store::ListPage> List(const std::string& prefix, const std::string& start_after,
                               std::size_t limit) override {
    return inner_.List(prefix, start_after, limit);
  }
  Status Delete(const std::string& name) override { return inner_.Delete(name); }
  [[nodiscard]] store::StoreStrength strength() const override { return inner_.strength(); }
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

}  // namespace
}  // namespace coffer::volume
