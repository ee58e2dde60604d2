#include "core/volume/survey.h"

#include <gtest/gtest.h>

#include "core/format/chain_name.h"
#include "tests/volume/volume_world.h"

namespace coffer::volume {
namespace {

using block::WriteFlag;

constexpr std::uint64_t kSize = 48 << 20;
constexpr std::uint64_t kChunk = 16 * 1024;

class SurveyTest : public testing::Test {
 protected:
  SurveyTest() : machine_(provider_, seed_), random_(seed_ + 1) {}

  void SetUp() override {
    ASSERT_OK(machine_.Create({.name = "photos", .size = kSize, .chunk_size = kChunk}));
    Open();
  }
  void Open() {
    OpenOptions options;
    options.settings = SmallSettings();
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine_, options));
  }
  /// Folds too.
  void CloseAndOpen() {
    ASSERT_OK((*opened_)->Close(CloseMode::kUpload, {}));
    Open();
  }
  void Write(std::uint64_t offset, const Bytes& data) {
    ASSERT_OK((*opened_)->Write(offset, data, WriteFlag::kNone));
  }
  VolumeSurvey Survey() {
    const Status synced = (*opened_)->Sync({});
    EXPECT_OK(synced);
    const auto volume = opened_->vault().FindVolume("photos");
    EXPECT_OK(volume);
    if (!volume.has_value()) return {};
    std::uint64_t last = 0;
    const auto survey = SurveyVolume(opened_->resources(), volume->id,
                                     [&](std::uint64_t done, std::uint64_t total) {
                                       EXPECT_EQ(total, kSize / kChunk);
                                       EXPECT_GE(done, last);
                                       last = done;
                                     });
    EXPECT_OK(survey);
    EXPECT_EQ(last, kSize / kChunk);
    return survey.has_value() ? *survey : VolumeSurvey{};
  }
  [[nodiscard]] std::uint64_t PackBytesAtProvider() {
    std::uint64_t bytes = 0;
    auto page = provider_.List({}, std::string(format::kPacksPrefix), "", store::kListLimitMax);
    EXPECT_OK(page);
    for (const store::ListedObject& object : page->objects) bytes += object.size;
    return bytes;
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  SeededRandom random_;
  std::unique_ptr<OpenedVolume> opened_;
};

TEST_F(SurveyTest, ANewVolumeHasAHeadAndNothingElse) {
  const VolumeSurvey survey = Survey();
  EXPECT_EQ(survey.head_seq, 1u);
  EXPECT_EQ(survey.heads, 1u);
  EXPECT_FALSE(survey.heads_are_more);
  EXPECT_GT(survey.head_bytes, 0u);
  EXPECT_EQ(survey.size, kSize);
  EXPECT_EQ(survey.map.data_bytes, 0u);
  EXPECT_EQ(survey.map.chunks, 0u);
  EXPECT_EQ(survey.map.packs, 0u);
  EXPECT_EQ(survey.map.stored_bytes(), 0u);
}

TEST_F(SurveyTest, EqualChunksAreStoredOnceAndNamedOften) {
  const Bytes chunk = random_.NewBytes(kChunk);
  for (std::uint64_t i = 0; i < 8; ++i) Write(i * kChunk, chunk);
  Write(100 * kChunk, random_.NewBytes(2 * kChunk));
  const map::SurveyNumbers numbers = Survey().map;
  EXPECT_EQ(numbers.chunks, 10u);
  EXPECT_EQ(numbers.data_bytes, 10 * kChunk);
  EXPECT_EQ(numbers.piece_bytes, 10 * kChunk);
  EXPECT_EQ(numbers.frames, 3u);
  EXPECT_EQ(numbers.frame_plain_bytes, 3 * kChunk);
  EXPECT_GT(numbers.frame_stored_bytes, 3 * kChunk);  // random: the tags come on top
  EXPECT_EQ(numbers.patched_chunks, 0u);
  EXPECT_EQ(numbers.pages, 0u);
  EXPECT_EQ(numbers.deltas, 1u);
  EXPECT_LE(numbers.stored_bytes(), numbers.pack_bytes);
  EXPECT_LE(numbers.pack_bytes, PackBytesAtProvider());
  EXPECT_GE(numbers.pack_bytes, PackBytesAtProvider() * 9 / 10);
}

TEST_F(SurveyTest, APatchCountsUntilItsChunkIsWrittenWhole) {
  Write(5 * kChunk, random_.NewBytes(kChunk));
  CloseAndOpen();  // the base is not at hand: the next write is a patch
  Write(5 * kChunk + 4096, random_.NewBytes(4096));
  map::SurveyNumbers numbers = Survey().map;
  EXPECT_EQ(numbers.chunks, 1u);
  EXPECT_EQ(numbers.patched_chunks, 1u);
  EXPECT_EQ(numbers.data_bytes, kChunk);
  EXPECT_EQ(numbers.piece_bytes, kChunk + 4096);
  Write(5 * kChunk, random_.NewBytes(kChunk));
  numbers = Survey().map;
  EXPECT_EQ(numbers.patched_chunks, 0u);
  EXPECT_EQ(numbers.piece_bytes, kChunk);
}

TEST_F(SurveyTest, ALostPageIsCountedAsSuchAndAllElseGoesOn) {
  Write(0, random_.NewBytes(8 * kChunk));
  ASSERT_OK((*opened_)->Sync({}));
  const auto before = provider_.Snapshot();
  CloseAndOpen();
  std::vector<std::string> pages;
  for (const auto& [name, bytes] : provider_.Snapshot()) {
    if (name.starts_with("packs/") && !before.contains(name)) pages.push_back(name);
  }
  ASSERT_FALSE(pages.empty());
  Write(300 * kChunk, random_.NewBytes(5 * kChunk));  // below another leaf
  ASSERT_OK((*opened_)->Close(CloseMode::kUpload, {}));
  opened_.reset();
  for (const std::string& name : pages) ASSERT_OK(provider_.Delete({}, name));

  vault::Machine other(provider_, seed_ + 7, "other");
  OpenOptions options;
  options.read_only = true;
  ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(other, options));
  const map::SurveyNumbers numbers = Survey().map;
  EXPECT_EQ(numbers.lost_pages, 1u);
  EXPECT_EQ(numbers.lost_bytes_max, 256 * kChunk);
  EXPECT_FALSE(numbers.lost_why.empty());
  EXPECT_EQ(numbers.data_bytes, 5 * kChunk);
  opened_.reset();  // before its machine
}

TEST_F(SurveyTest, HolesAndZerosAreNoData) {
  Write(0, random_.NewBytes(16 * kChunk));
  ASSERT_OK((*opened_)->Trim(0, 4 * kChunk, WriteFlag::kNone));
  Write(8 * kChunk, Bytes(kChunk, std::byte{0}));
  EXPECT_EQ(Survey().map.data_bytes, 11 * kChunk);
  CloseAndOpen();
  EXPECT_EQ(Survey().map.data_bytes, 11 * kChunk);
  ASSERT_OK((*opened_)->Trim(0, kSize, WriteFlag::kNone));
  const map::SurveyNumbers numbers = Survey().map;
  EXPECT_EQ(numbers.data_bytes, 0u);
  EXPECT_EQ(numbers.frames, 0u);
}

TEST_F(SurveyTest, AFoldChangesWhereThingsStandAndNotWhatIsThere) {
  // 48 MiB of 16 KiB chunks are twelve leaves, below one page.
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t offset = random_.Below(kSize / 4096 - 16) * 4096;
    if (random_.OneIn(8)) {
      ASSERT_OK((*opened_)->Trim(offset, 65536, WriteFlag::kNone));
    } else {
      Write(offset, random_.NewBytes(4096 * (1 + random_.Below(16))));
    }
  }
  const map::SurveyNumbers before = Survey().map;
  CloseAndOpen();
  const map::SurveyNumbers after = Survey().map;
  EXPECT_EQ(after.deltas, 0u);
  EXPECT_EQ(after.delta_stored_bytes, 0u);
  EXPECT_GE(after.pages, 3u);
  EXPECT_GT(after.page_stored_bytes, 0u);
  EXPECT_EQ(after.data_bytes, before.data_bytes);
  EXPECT_EQ(after.chunks, before.chunks);
  EXPECT_EQ(after.patched_chunks, before.patched_chunks);
  EXPECT_EQ(after.frames, before.frames);
  EXPECT_EQ(after.frame_plain_bytes, before.frame_plain_bytes);
  EXPECT_EQ(after.frame_stored_bytes, before.frame_stored_bytes);
  EXPECT_LE(after.stored_bytes(), after.pack_bytes);
}

TEST_F(SurveyTest, WritesNothingAndFetchesNoData) {
  Write(0, random_.NewBytes(64 * kChunk));
  CloseAndOpen();
  const auto reads = opened_->resources().reader().reads();
  const std::uint64_t bytes = PackBytesAtProvider();
  Survey();
  EXPECT_EQ(opened_->resources().reader().reads().data_frames, reads.data_frames);
  EXPECT_EQ(PackBytesAtProvider(), bytes);
}

}  // namespace
}  // namespace coffer::volume
