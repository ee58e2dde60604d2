// What rot does to the files in which a machine remembers a vault: trust file, host key, spooled
// head. Each byte of each is damaged, each is cut at every length. None is ever taken for another,
// made anew or written over: what is lost with it is told, and a person decides.
#include <gtest/gtest.h>

#include "tests/support/result_macros.h"
#include "tests/vault/needs_person.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

class StateRot : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Vault>> vault = machine_.Create();
    ASSERT_OK(vault);
    directory_ = "/home/user/state/coffer/vaults/" + (*vault)->id().ToString();
    ASSERT_OK_AND_ASSIGN(OpenChain open, ChainOf(std::move(*vault)));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    ASSERT_OK(open.chain->Append(NextHead(newest.head)));
  }
  /// As a start of the daemon and an open of the volume.
  Status Open() {
    ASSIGN_OR_RETURN(OpenChain open, OpenPhotos(machine_));
    ASSIGN_OR_RETURN(const HeadChain::Newest newest, open.chain->Load());
    return newest.point.seq == 2 ? Status{} : Fail(ErrorCode::kCorruption, "another head");
  }
  void CutTo(const std::string& path, std::size_t length) {
    ASSERT_OK_AND_ASSIGN(const auto file, machine_.fs.Open(path, FileSystem::OpenMode::kReadWrite));
    ASSERT_OK(file->Truncate(length));
  }
  /// The damaged file keeps a person from nothing but going on as if nothing were.
  void ExpectTold(const std::string& path, std::string_view state, bool may_be_newer = false) {
    const Bytes damaged = *machine_.fs.Contents(path);
    const auto objects = provider_.Snapshot();
    const Result<std::unique_ptr<Vault>> opened = machine_.Unlock();
    ASSERT_FALSE(opened.has_value());
    if (may_be_newer &&
        opened.error().code == ErrorCode::kUnsupported) {  // the bytes of version and suite
      ASSERT_TRUE(opened.error().message.starts_with("NEWER-FORMAT: ")) << TextOf(opened.error());
    } else {
      ASSERT_TRUE(NeedsPerson(opened, state, {path}));
    }
    ASSERT_EQ(*machine_.fs.Contents(path), damaged);
    ASSERT_EQ(provider_.Snapshot(), objects);
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  Machine machine_{provider_, seed_};
  SeededRandom random_{seed_ + 1};
  std::string directory_;
};

TEST_F(StateRot, TrustFileAndHostKeyDamagedInAnyByteAreToldAndLeft) {
  for (const auto& [name, state] :
       {std::pair("trust", "ROLLBACK"), std::pair("host-key", "DAMAGED-JOURNAL")}) {
    const std::string path = directory_ + "/" + name;
    const std::size_t size = machine_.fs.Contents(path)->size();
    for (std::size_t at = 0; at < size; ++at) {
      const auto flip = static_cast<std::byte>(1 + random_.Below(255));
      SCOPED_TRACE(testing::Message() << path << " byte " << at);
      machine_.fs.Damage(path, at, flip);
      ExpectTold(path, state, /*may_be_newer=*/at < 16);
      if (HasFatalFailure()) return;
      machine_.fs.Damage(path, at, flip);
    }
    EXPECT_OK(Open());
  }
}

TEST_F(StateRot, TrustFileAndHostKeyCutAtAnyLengthAreToldAndLeft) {
  const auto image = machine_.fs.Save();
  for (const auto& [name, state] :
       {std::pair("trust", "ROLLBACK"), std::pair("host-key", "DAMAGED-JOURNAL")}) {
    const std::string path = directory_ + "/" + name;
    const std::size_t size = machine_.fs.Contents(path)->size();
    for (std::size_t length = 0; length < size; ++length) {
      SCOPED_TRACE(testing::Message() << path << " of " << length << " bytes");
      machine_.fs.Load(*image);
      CutTo(path, length);
      ExpectTold(path, state);
      if (HasFatalFailure()) return;
    }
    machine_.fs.Load(*image);
    Bytes longer = *machine_.fs.Contents(path);
    longer.push_back(std::byte{0});
    ASSERT_OK(machine_.fs.Remove(path));
    machine_.fs.AddFile(path, longer);
    ExpectTold(path, state);
    machine_.fs.Load(*image);
    EXPECT_OK(Open());
  }
}

TEST_F(StateRot, AnotherMachinesTrustFileIsToldAndLeft) {
  const std::string path = directory_ + "/trust";
  Machine other(provider_, seed_ + 5, "b");
  ASSERT_OK(OpenPhotos(other));
  const Bytes own = *machine_.fs.Contents(path);
  ASSERT_OK(machine_.fs.Remove(path));
  machine_.fs.AddFile(path, *other.fs.Contents(path));
  ExpectTold(path, "ROLLBACK");
  ASSERT_OK(machine_.fs.Remove(path));
  machine_.fs.AddFile(path, own);
  EXPECT_OK(Open());
}

TEST_F(StateRot, ASpooledHeadCutAtAnyLengthStandsInNobodysWay) {
  {
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(machine_));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    machine_.line.AddFault(
        {.operation = store::StoreOperation::kCreate, .name_contains = "heads/"});
    EXPECT_FAILS(open.chain->Append(NextHead(newest.head)), kUnavailable);
  }
  std::string path;
  for (const std::string& file : machine_.fs.Files()) {
    if (file.ends_with("/spool")) path = file;
  }
  ASSERT_FALSE(path.empty());
  const auto image = machine_.fs.Save();
  const auto objects = provider_.Snapshot();
  const std::size_t size = machine_.fs.Contents(path)->size();
  for (std::size_t length = 0; length < size; length += length < 300 ? 1 : 61) {
    SCOPED_TRACE(testing::Message() << length << " bytes of " << size);
    machine_.fs.Load(*image);
    provider_.Restore(objects);
    CutTo(path, length);
    ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(machine_));
    ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
    ASSERT_EQ(newest.point.seq, 2U);
    ASSERT_TRUE(newest.ours);
    ASSERT_OK(open.chain->Append(NextHead(newest.head)));
  }
}

}  // namespace
}  // namespace coffer::vault
