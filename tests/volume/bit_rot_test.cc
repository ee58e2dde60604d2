// faults.md 20 and 21 as an open volume shows them: the journal or the disk cache damaged at each
// place of a small instance. Reads are right or an error, never invented; what is lost is named.
#include <gtest/gtest.h>

#include "tests/cache/memory_index.h"
#include "tests/vault/needs_person.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;

constexpr std::uint64_t kSize = 64 * 4096;

/// Without an assertion: many are tried.
Result<Bytes> ReadAll(Volume& volume) {
  Bytes bytes(volume.size());
  RETURN_IF_ERROR(volume.Read(0, bytes));
  return bytes;
}

class JournalBitRot : public testing::Test {
 protected:
  JournalBitRot() : machine_(provider_, seed_), random_(seed_ + 1), now_(kSize, std::byte{0}) {}

  /// Something committed; then requests in the journal, the first `durable_` of them flushed, and
  /// the process killed.
  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    ASSERT_OK_AND_ASSIGN(auto opened, Open());
    Write(**opened, 0, 20);
    ASSERT_OK((*opened)->Sync({}));
    states_ = {now_};
    Write(**opened, 2, 3);
    Write(**opened, 30, 8);
    ASSERT_OK((*opened)->Trim(std::uint64_t{5} * 4096, std::uint64_t{4} * 4096, WriteFlag::kNone));
    std::fill_n(now_.begin() + 5 * 4096, 4 * 4096, std::byte{0});
    states_.push_back(now_);
    Write(**opened, 3, 1);
    ASSERT_OK((*opened)->Flush());
    durable_ = states_.size() - 1;
    Write(**opened, 40, 2);
    Write(**opened, 2, 1);
    machine_.fs.Halt();
    opened.reset();
    machine_.fs.Crash();
    for (const std::string& path : machine_.fs.Files()) {
      if (path.ends_with(".seg")) journal_ = path;
    }
    ASSERT_FALSE(journal_.empty());
    image_ = machine_.fs.Save();
  }

  Result<std::unique_ptr<OpenedVolume>> Open(OpenOptions options = {}) {
    options.settings = SmallSettings();
    options.settings.segment_bytes = 256 << 10;  // the sooner it is set up again
    return OpenedVolume::Open(machine_, options);
  }
  void Write(Volume& volume, std::uint64_t block, std::uint64_t count) {
    const Bytes data = random_.NewBytes(count * 4096);
    ASSERT_OK(volume.Write(block * 4096, data, WriteFlag::kNone));
    std::copy(data.begin(), data.end(), now_.begin() + static_cast<std::ptrdiff_t>(block * 4096));
    states_.push_back(now_);
  }
  [[nodiscard]] std::size_t heads() const {
    std::size_t count = 0;
    for (const auto& [name, object] : provider_.Snapshot()) count += name.starts_with("heads/");
    return count;
  }
  /// After how many of the requests the volume looks like this; nullopt: it never did.
  [[nodiscard]] std::optional<std::size_t> StateOf(const Bytes& bytes) const {
    const auto found = std::find(states_.rbegin(), states_.rend(), bytes);
    if (found == states_.rend()) return std::nullopt;
    return static_cast<std::size_t>(states_.rend() - found) - 1;
  }
  /// Opens what was damaged, every way there is, and holds what it shows against what was written.
  void Check() {
    auto opened = Open();
    const bool told = !opened.has_value();
    if (told) {
      if (opened.error().code == ErrorCode::kUnsupported) return;  // a newer coffer's, by its bytes
      ASSERT_TRUE(vault::NeedsPerson(opened, "DAMAGED-JOURNAL", {"wrote is not known"}));
      const bool named =
          opened.error().message.find("lost, with them writes to bytes ") != std::string::npos;
      ++(named ? named_ : unnamed_);
      opened = Open({.read_only = true});
    }
    ASSERT_OK(opened);
    ASSERT_OK_AND_ASSIGN(const Bytes bytes, ReadAll(***opened));
    const auto state = StateOf(bytes);
    ASSERT_TRUE(state.has_value()) << "it never held this";
    if (!told) {
      ASSERT_GE(*state, durable_);
      return;
    }
    opened->reset();
    ASSERT_OK_AND_ASSIGN(const auto accepted, Open({.accept_damage = true}));
    ASSERT_OK_AND_ASSIGN(const Bytes after, ReadAll(**accepted));
    ASSERT_EQ(StateOf(after), state);
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  Bytes now_;
  std::vector<Bytes> states_;  // after each request, the first: committed
  std::size_t durable_ = 0;
  std::string journal_;
  std::shared_ptr<const FaultyFileSystem::Image> image_;
  int named_ = 0;
  int unnamed_ = 0;
};

TEST_F(JournalBitRot, F21DamageAnywhereInTheJournalShowsAnEarlierStateAndIsTold) {
  const std::size_t end = machine_.fs.Contents(journal_)->size();
  for (std::size_t at = 0; at < std::min<std::size_t>(end, 96 << 10);
       at += at % 4096 < 260 ? 29 : 509) {
    SCOPED_TRACE(testing::Message() << "byte " << at);
    const store::MemoryStore::Objects objects = provider_.Snapshot();
    machine_.fs.Load(*image_);
    for (std::uint64_t i = 0; i <= random_.Below(3); ++i) {
      machine_.fs.Damage(journal_, at + i, static_cast<std::byte>(1 + random_.Below(255)));
    }
    Check();
    if (HasFatalFailure()) return;
    provider_.Restore(objects);
  }
  EXPECT_GT(named_, 40);
  EXPECT_GT(unnamed_, 0);
}

TEST_F(JournalBitRot, F19AReadErrorAnywhereInTheJournalShowsAnEarlierStateAndIsTold) {
  for (std::uint64_t nth = 1; nth < 20; ++nth) {
    SCOPED_TRACE(testing::Message() << "read " << nth);
    machine_.fs.Load(*image_);
    machine_.fs.AddFault({.call = FsCall::kRead,
                          .path_contains = ".seg",
                          .nth = nth,
                          .repeat = FaultRepeat::kSticky});
    const auto opened = Open();
    if (!opened.has_value()) {
      ASSERT_TRUE(vault::NeedsPerson(opened, "DAMAGED-JOURNAL") ||
                  opened.error().code == ErrorCode::kIoError)
          << TextOf(opened.error());
      continue;
    }
    ASSERT_OK_AND_ASSIGN(const Bytes bytes, ReadAll(***opened));
    ASSERT_EQ(StateOf(bytes), states_.size() - 1);
  }
}

TEST_F(JournalBitRot, F21OfARecordThatIsNeededNowIsAnErrorOfReadAndSyncAndNothingElse) {
  machine_.fs.Load(*image_);
  ASSERT_OK_AND_ASSIGN(auto opened, Open());
  Volume& volume = **opened;
  Write(volume, 44, 1);
  for (int i = 0; i < 4; ++i) Write(volume, 48, 8);  // more than is kept in memory
  const std::size_t before = heads();
  for (const std::string& path : machine_.fs.Files()) {
    if (!path.ends_with(".seg")) continue;
    const std::size_t end = machine_.fs.Contents(path)->size();
    for (std::size_t at = 4096 + 200; at < end; at += 1000) machine_.fs.Damage(path, at);
  }
  int failed = 0;
  for (std::uint64_t block = 0; block < kSize / 4096; ++block) {
    Bytes out(4096);
    const Status read = volume.Read(block * 4096, out);
    const auto expected = ByteView(now_).subspan(block * 4096, 4096);
    if (read.has_value()) {
      ASSERT_TRUE(std::equal(out.begin(), out.end(), expected.begin())) << block;
    } else {
      ASSERT_EQ(read.error().code, ErrorCode::kCorruption) << TextOf(read.error());
      ++failed;
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 30);
  EXPECT_FAILS(volume.Sync({}), kCorruption);
  EXPECT_FALSE(volume.status().trouble.message.empty());
  EXPECT_EQ(heads(), before);
}

class CacheBitRot : public testing::Test {
 protected:
  static constexpr char kDirectory[] = "/home/user/cache/coffer";
  static constexpr char kFrames[] = "/home/user/cache/coffer/frames";

  CacheBitRot() : writer_(provider_, seed_), machine_(provider_, seed_ + 9, "b") {}

  /// A small volume of another machine; read once here, so that the cache has all of it.
  void SetUp() override {
    ASSERT_OK(writer_.Create({.name = "photos", .size = kSize, .chunk_size = 16 * 1024}));
    {
      ASSERT_OK_AND_ASSIGN(const auto writer,
                           OpenedVolume::Open(writer_, {.settings = SmallSettings()}));
      const Bytes data = random_.NewBytes(4 * 4096);
      for (const std::uint64_t chunk : {0U, 3U}) {
        ASSERT_OK((*writer)->Write(chunk * 16384, data, WriteFlag::kNone));
        model_.Write(chunk * 16384, data);
      }
      const Bytes text(3 * 4096, std::byte{'x'});
      ASSERT_OK((*writer)->Write(std::uint64_t{8} * 16384, text, WriteFlag::kNone));
      model_.Write(std::uint64_t{8} * 16384, text);
      ASSERT_OK((*writer)->Close(CloseMode::kUpload, {}));
    }
    Start();
    ASSERT_TRUE(Holds(**opened_, model_));
    Stop();
    image_ = machine_.fs.Save();
  }
  void Start() {
    cache_ = std::make_unique<cache::DiskCache>(
        machine_.fs, machine_.clock,
        cache::DiskCache::Options{.directory = kDirectory, .bytes_max = 16 << 20},
        cache::OpenMemoryIndex(index_));
    cache_->Start();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, {.read_only = true, .settings = {}},
                                                     "photos", cache_.get()));
  }
  void Stop() {
    opened_.reset();
    cache_.reset();
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine writer_;
  vault::Machine machine_;
  SeededRandom random_{seed_ + 1};
  ByteModel model_{kSize};
  cache::MemoryIndexDisk index_;
  std::unique_ptr<cache::DiskCache> cache_;
  std::unique_ptr<OpenedVolume> opened_;
  std::shared_ptr<const FaultyFileSystem::Image> image_;
};

TEST_F(CacheBitRot, F20EveryFrameDamagedAnywhereIsAMissThatIsCountedAndHealed) {
  const auto rows = index_.rows;
  std::vector<std::uint64_t> places;
  for (const auto& [slot, row] : rows) {
    for (std::uint64_t at = 0; at < row.length; at += 1 + random_.Below(40))
      places.push_back(std::uint64_t{slot} * cache::DiskCache::kWindowBytes + at);
  }
  std::size_t dropped = 0;
  for (const std::uint64_t at : places) {
    SCOPED_TRACE(testing::Message() << "byte " << at);
    machine_.fs.Load(*image_);
    index_.rows = rows;
    machine_.fs.Damage(kFrames, at, static_cast<std::byte>(1 + random_.Below(255)));
    Start();
    machine_.wire.Clear();
    ASSERT_TRUE(Holds(**opened_, model_));
    const std::size_t asked = machine_.wire.count(store::StoreOperation::kGetRange);
    // A miss or nothing that was read: bytes between frames, the pack's header, table, padding.
    ASSERT_EQ(asked > 0, cache_->numbers().dropped > 0);
    dropped += asked > 0 ? 1 : 0;
    Stop();
    // Healed: the next run asks nothing.
    Start();
    machine_.wire.Clear();
    ASSERT_TRUE(Holds(**opened_, model_));
    ASSERT_EQ(machine_.wire.count(store::StoreOperation::kGetRange), 0U);
    ASSERT_EQ(cache_->numbers().dropped, 0U);
    Stop();
  }
  EXPECT_GT(dropped, places.size() / 2);
  EXPECT_LT(dropped, places.size());
}

TEST_F(CacheBitRot, F20ACacheCutAtAnyLengthIsFetchedAnew) {
  const std::size_t size = machine_.fs.Contents(kFrames)->size();
  const auto rows = index_.rows;
  for (std::size_t length = 0; length < size; length += 1 + random_.Below(400)) {
    SCOPED_TRACE(testing::Message() << length << " bytes of " << size);
    machine_.fs.Load(*image_);
    index_.rows = rows;
    {
      ASSERT_OK_AND_ASSIGN(const auto file,
                           machine_.fs.Open(kFrames, FileSystem::OpenMode::kReadWrite));
      ASSERT_OK(file->Truncate(length));
    }
    Start();
    ASSERT_TRUE(Holds(**opened_, model_));
    Stop();
  }
}

}  // namespace
}  // namespace coffer::volume
