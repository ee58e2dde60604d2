// A vault in a directory, store and state on one disk that loses power: marker, mount guard and
// half-vault checks of the store layer together with the order in which Create works.
#include <gtest/gtest.h>

#include <cerrno>

#include "core/store/directory_store.h"
#include "tests/support/result_macros.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

constexpr char kStore[] = "/mnt/disk/backup";

class DirectoryWorld {
 public:
  explicit DirectoryWorld(std::uint64_t seed) : machine_(unused_, seed) {
    machine_.fs.AddDirectories("/mnt/disk");
  }

  Result<std::unique_ptr<Vault>> Init(const Vault::CreateOptions& options = {}) {
    ASSIGN_OR_RETURN(auto store,
                     store::DirectoryStore::OpenForInit(machine_.fs, machine_.random, kStore));
    return Vault::Create(machine_.env, std::move(store), Password("x"), Machine::Photos(), options);
  }
  Result<std::unique_ptr<Vault>> Open(const Vault::UnlockOptions& options = {}) {
    ASSIGN_OR_RETURN(auto store, store::DirectoryStore::Open(machine_.fs, machine_.random, kStore));
    return Vault::Unlock(machine_.env, std::move(store), Password("x"), options);
  }
  Status AppendTwice(const Vault::UnlockOptions& options = {}) {
    ASSIGN_OR_RETURN(auto vault, Open(options));
    ASSIGN_OR_RETURN(OpenChain open, ChainOf(std::move(vault)));
    ASSIGN_OR_RETURN(HeadChain::Newest newest, open.chain->Load());
    for (int i = 0; i < 2; ++i) {
      ASSIGN_OR_RETURN(newest, open.chain->Append(NextHead(newest.head)));
    }
    return {};
  }
  FaultyFileSystem& fs() { return machine_.fs; }

 private:
  store::MemoryStore unused_;
  Machine machine_;
};

TEST(DirectoryVault, IsMadeAndOpened) {
  DirectoryWorld world(1);
  ASSERT_OK(world.Init());
  EXPECT_OK(world.AppendTwice());
  EXPECT_FAILS(world.Init(), kAlreadyExists);
}

TEST(DirectoryVault, IsWholeOrRefusedWhenPowerGoesAtAnyChangeOfInit) {
  const std::uint64_t seed = TestSeed();
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    int whole = 0;
    int half = 0;
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE(nth);
      DirectoryWorld world(seed + nth);
      world.fs().HaltAt(nth);
      const bool made = world.Init().has_value();
      if (!world.fs().halted()) {
        EXPECT_TRUE(made);
        break;
      }
      world.fs().PowerCut(mode);
      if (world.Open().has_value()) {
        ++whole;
        EXPECT_OK(world.AppendTwice());
        continue;
      }
      // No vault: the next init makes one, or says that half a one is in the way.
      const auto again = world.Init();
      if (!again.has_value()) {
        ++half;
        EXPECT_EQ(again.error().code, ErrorCode::kCorruption) << again.error().message;
        EXPECT_NE(again.error().message.find("half a vault"), std::string::npos)
            << again.error().message;
        EXPECT_FALSE(again.error().hint.empty());
      }
    }
    EXPECT_GT(half, 0);
    if (mode == CutMode::kKeepAll) {
      EXPECT_GT(whole, 0);
    }
  }
}

TEST(DirectoryVault, ThatAFullDiskKeptFromBeingMadeIsMadeOnceThereIsRoom) {
  bool was_full = false;
  for (std::uint64_t room = 512;; room += 512) {
    SCOPED_TRACE(room);
    DirectoryWorld world(room);
    world.fs().SetTotalBytes(room);
    const auto made = world.Init();
    if (made.has_value()) break;
    ASSERT_FAILS(made, kNoSpace);
    was_full = true;
    EXPECT_EQ(world.fs().Files(), std::vector<std::string>{});
    world.fs().SetTotalBytes(1 << 20);
    ASSERT_OK(world.Init());
    EXPECT_OK(world.AppendTwice());
  }
  EXPECT_TRUE(was_full);
}

TEST(DirectoryVault, GoesOnWhenPowerGoesAtAnyChangeOfAnAppend) {
  const std::uint64_t seed = TestSeed();
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE(nth);
      DirectoryWorld world(seed + nth);
      ASSERT_OK(world.Init());
      world.fs().HaltAt(nth);
      const bool appended = world.AppendTwice().has_value();
      if (!world.fs().halted()) {
        EXPECT_TRUE(appended);
        break;
      }
      world.fs().PowerCut(mode);
      ASSERT_OK_AND_ASSIGN(auto vault, world.Open());
      ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(vault)));
      ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
      EXPECT_TRUE(newest.ours);
      EXPECT_OK(open.chain->Append(NextHead(newest.head)));
    }
  }
}

/// rclone's mount, some shares: hard links are refused with EIO, renames have no flags.
TEST(DirectoryVault, WithoutLinksAndRenameFlagsNeedsTheOwnersWordAndThenWorks) {
  DirectoryWorld world(1);
  world.fs().AddFault(
      {.call = FsCall::kLink, .path_contains = kStore, .repeat = FaultRepeat::kSticky});
  world.fs().AddFault({.call = FsCall::kRenameNoReplace,
                       .path_contains = kStore,
                       .repeat = FaultRepeat::kSticky,
                       .error_number = EINVAL});
  const auto refused = world.Init();
  ASSERT_FAILS(refused, kNeedsPerson);
  EXPECT_TRUE(refused.error().message.starts_with("WEAK-STORE: ")) << refused.error().message;
  EXPECT_NE(refused.error().hint.find("coffer init --single-writer"), std::string::npos);
  ASSERT_OK(world.Init({.single_writer = true}));
  EXPECT_OK(world.AppendTwice({.single_writer = true}));
  const Status unsaid = world.AppendTwice();
  ASSERT_FAILS(unsaid, kNeedsPerson);
  EXPECT_NE(unsaid.error().hint.find("coffer open --single-writer"), std::string::npos);
}

TEST(DirectoryVault, ThatLostItsMountIsNotMadeAnew) {
  DirectoryWorld world(1);
  ASSERT_OK(world.Init());
  ASSERT_OK_AND_ASSIGN(auto vault, world.Open());
  ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(vault)));
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  ASSERT_OK(world.fs().Rename("/mnt/disk", "/mnt/elsewhere"));
  world.fs().AddDirectories(kStore);  // the empty mount point
  const auto files = world.fs().Files();
  const auto appended = open.chain->Append(NextHead(newest.head));
  ASSERT_FAILS(appended, kUnavailable);
  for (const std::string& path : world.fs().Files()) {
    EXPECT_FALSE(path.starts_with("/mnt/disk")) << path;
  }
  ASSERT_OK(world.fs().Rename("/mnt/disk", "/mnt/nothing"));
  ASSERT_OK(world.fs().Rename("/mnt/elsewhere", "/mnt/disk"));
  EXPECT_OK(open.chain->pending() ? open.chain->Retry()
                                  : open.chain->Append(NextHead(newest.head)));
}

}  // namespace
}  // namespace coffer::vault
