// tests/testdata/vault-v1, a whole vault that another program made from docs/FORMAT.md, read the
// way a new machine reads it: from the store and the password alone. These files never change.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "core/cache/sealed_windows.h"
#include "core/crypto/hash.h"
#include "core/map/block_map.h"
#include "core/map/pieces.h"
#include "core/pack/frame_reader.h"
#include "core/store/directory_store.h"
#include "core/vault/head_chain.h"
#include "core/vault/vault.h"
#include "tests/support/temporary_directory.h"

namespace coffer {
namespace {

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;

struct Expected {
  std::string password;
  std::map<std::string, std::pair<std::uint64_t, std::string>> contents;  // name: size, SHA-256
};

Expected ReadExpected() {
  std::ifstream file(std::string(COFFER_TESTDATA) + "/vault-v1/EXPECTED");
  Expected expected;
  std::string word;
  file >> word >> std::ws;
  std::getline(file, expected.password);
  std::uint64_t size = 0;
  for (std::string hash; file >> word >> size >> hash;) expected.contents[word] = {size, hash};
  return expected;
}

/// The golden vault in a place of its own, since opening it leaves traces beside the store.
class GoldenVault : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy(std::string(COFFER_TESTDATA) + "/vault-v1/store", directory_ / "store",
                          std::filesystem::copy_options::recursive);
    ASSERT_TRUE(fs_->CreateDirectory(directory_ / "state").has_value());
  }

  Result<std::unique_ptr<vault::Vault>> Unlock(const std::string& password) {
    auto store = store::DirectoryStore::Open(*fs_, random_, directory_ / "store");
    if (!store.has_value()) return Fail(store.error());
    return vault::Vault::Unlock(env_, std::move(*store), SecretBytes::CopyOf(AsBytes(password)),
                                {});
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<Executor> sync_ = NewThreadExecutor("sync", 1);
  std::unique_ptr<Executor> fetch_ = NewThreadExecutor("fetch", 1);
  std::unique_ptr<Executor> work_ = NewThreadExecutor("work", 1);
  vault::Environment env_{*fs_,
                          clock_,
                          random_,
                          *sync_,
                          *work_,
                          *fetch_,
                          crypto::KdfPolicy{},
                          crypto::DefaultKdfBounds(4 * kGibibyte),
                          directory_ / "state",
                          "test"};
};

/// All bytes that `map` shows.
Result<Bytes> ReadAll(vault::Vault& vault, const format::MapRoot& map, std::uint32_t chunk_size) {
  cache::SealedWindows windows(vault.store(), vault.env().fetch_executor, vault.host().frame_cache,
                               nullptr);
  pack::FrameReader reader(windows, vault.keys());
  map::PageCache pages(reader);
  map::Overlay overlay;
  for (const format::DeltaRef& ref : map.deltas) {
    ASSIGN_OR_RETURN(const Bytes plain, reader.ReadDelta(ref.frame));
    ASSIGN_OR_RETURN(const format::Delta delta,
                     format::DecodeDelta(plain, ref.frame.pack, ref.frame.key_epoch));
    EXPECT_EQ(delta.entries.size(), ref.entry_count);
    overlay.Apply(delta);
  }
  const map::Tree tree{chunk_size, map.level, map.page};
  Bytes image(map.size + chunk_size, std::byte{0});
  for (std::uint64_t chunk = 0; chunk * chunk_size < map.size; ++chunk) {
    format::Pieces pieces;
    const std::optional<map::Overlay::Change> change = overlay.Find(chunk);
    if (!change.has_value() || !change->replaces) {
      ASSIGN_OR_RETURN(pieces, map::Lookup(pages, tree, chunk));
    }
    if (change.has_value())
      pieces.insert(pieces.end(), change->pieces.begin(), change->pieces.end());
    const auto blocks = static_cast<std::uint8_t>(chunk_size / format::kBlockBytes);
    for (const map::VisibleRun& run : map::Resolve(pieces, 0, blocks)) {
      if (run.piece == nullptr) continue;
      ASSIGN_OR_RETURN(const Bytes plain, reader.ReadData(run.piece->frame, run.piece->content));
      const std::size_t skip = (run.first_block - run.piece->first_block) * format::kBlockBytes;
      std::memcpy(&image[chunk * chunk_size + run.first_block * format::kBlockBytes], &plain[skip],
                  run.block_count * format::kBlockBytes);
    }
  }
  image.resize(map.size);
  return image;
}

TEST_F(GoldenVault, ReadsAsExpected) {
  const Expected expected = ReadExpected();
  ASSERT_EQ(expected.contents.size(), 3u);
  auto vault = Unlock(expected.password);
  ASSERT_TRUE(vault.has_value()) << vault.error().message;
  EXPECT_EQ((*vault)->keys().current().epoch, 3u);
  for (const auto& [full_name, content] : expected.contents) {
    const std::string name = full_name.substr(0, full_name.find('@'));
    const auto volume = (*vault)->FindVolume(name);
    ASSERT_TRUE(volume.has_value()) << volume.error().message;
    const std::string state = (*vault)->VolumeDirectory(volume->id).value();
    const auto newest = vault::HeadChain(**vault, volume->id, state).Load();
    ASSERT_TRUE(newest.has_value()) << newest.error().message;
    const format::Head& head = newest->head;
    ASSERT_EQ(head.snapshots.size(), name == "photos" ? 1u : 0u);
    const format::MapRoot& map = name == full_name ? head.map : head.snapshots[0].map;
    const Result<Bytes> image = ReadAll(**vault, map, head.chunk_size);
    ASSERT_TRUE(image.has_value()) << full_name << ": " << image.error().message;
    EXPECT_EQ(image->size(), content.first);
    EXPECT_EQ(crypto::Sha256(*image).ToString(), content.second) << full_name;
  }
}

TEST_F(GoldenVault, KnowsItsDeletedVolumeAndItsPasswords) {
  const Expected expected = ReadExpected();
  const auto wrong = Unlock("wrong");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code, ErrorCode::kUnauthenticated);
  auto vault = Unlock("another password, which opens the vault too");
  ASSERT_TRUE(vault.has_value()) << vault.error().message;
  const auto deleted = (*vault)->FindVolume("photos.old");
  ASSERT_FALSE(deleted.has_value());
  EXPECT_EQ(deleted.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace coffer
