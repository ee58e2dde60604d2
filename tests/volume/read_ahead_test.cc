#include "core/volume/read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "tests/support/seeded_random.h"

namespace coffer::volume {
namespace {

constexpr std::uint32_t kChunk = 64 * 1024;
constexpr std::uint64_t kSize = std::uint64_t{1} << 30;

/// Reads and notes what is fetched ahead.
class StreamTest : public testing::Test {
 protected:
  void Read(std::uint64_t offset, std::uint64_t length) {
    const auto range = detector_->NoteRead(offset, length, kSize);
    if (!range.has_value()) return;
    ++fetches_;
    ahead_bytes_ += range->length;
    ahead_end_ = range->offset + range->length;
    EXPECT_GE(range->offset, offset + length - length % kChunk);
    EXPECT_LE(ahead_end_, kSize);
  }
  void ReadThrough(std::uint64_t begin, std::uint64_t end, std::uint64_t step) {
    for (std::uint64_t offset = begin; offset < end; offset += step) Read(offset, step);
  }

  std::unique_ptr<StreamDetector> detector_ = std::make_unique<StreamDetector>(kChunk);
  std::uint64_t fetches_ = 0;
  std::uint64_t ahead_bytes_ = 0;
  std::uint64_t ahead_end_ = 0;
};

TEST_F(StreamTest, EveryByteOfASequentialReaderIsFetchedAheadOnce) {
  for (const std::uint64_t step : {4096u, 65536u, 262144u, 1048576u}) {
    detector_ = std::make_unique<StreamDetector>(kChunk);
    ahead_bytes_ = 0;
    ReadThrough(0, kSize, step);
    EXPECT_EQ(ahead_end_, kSize) << step;
    EXPECT_LE(ahead_bytes_, kSize) << step;
    EXPECT_GE(ahead_bytes_, kSize - 4 * std::max<std::uint64_t>(step, kChunk)) << step;
  }
}

TEST_F(StreamTest, ItGoesAsFarAheadAsItsBound) {
  ReadThrough(0, 64 << 20, kChunk);
  EXPECT_GE(ahead_end_, (64u << 20) + StreamDetector::kAheadBytesMax / 2);
  EXPECT_LE(ahead_end_, (64u << 20) + StreamDetector::kAheadBytesMax);
}

TEST_F(StreamTest, AShortRunCostsNoMoreThanTwiceItself) {
  ReadThrough(0, 3 * kChunk, kChunk);
  EXPECT_EQ(ahead_bytes_, 0U);
  ReadThrough(3 * kChunk, 10 * kChunk, kChunk);
  EXPECT_GT(ahead_bytes_, 0U);
  EXPECT_LE(ahead_end_, 30 * kChunk);
}

TEST_F(StreamTest, RandomReadsAreNotReadAheadFor) {
  SeededRandom random(TestSeed());
  for (int i = 0; i < 20'000; ++i) Read(random.Below(kSize / 4096) * 4096, 4096);
  EXPECT_EQ(fetches_, 0U);
}

TEST_F(StreamTest, ReadsOfOneSpotAreNotReadAheadFor) {
  for (int i = 0; i < 1000; ++i) Read(8 << 20, 4096);
  EXPECT_EQ(fetches_, 0U);
}

TEST_F(StreamTest, BackwardsIsNotReadAheadFor) {
  for (std::uint64_t offset = 64 << 20; offset > 32 << 20; offset -= kChunk)
    Read(offset - kChunk, kChunk);
  EXPECT_EQ(fetches_, 0U);
}

TEST_F(StreamTest, RequestsOutOfOrderAreOneStream) {
  SeededRandom random(TestSeed());
  constexpr std::uint64_t kStep = 128 * 1024;
  std::vector<std::uint64_t> under_way(16);  // requests a client has sent
  std::iota(under_way.begin(), under_way.end(), 0);
  std::uint64_t next = under_way.size();
  while (!under_way.empty()) {
    const std::size_t which = random.Below(std::min<std::size_t>(under_way.size(), 12));
    Read(under_way[which] * kStep, kStep);
    under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(which));
    if (next < kSize / kStep) under_way.push_back(next++);
  }
  EXPECT_GE(ahead_bytes_, kSize * 9 / 10);
}

TEST_F(StreamTest, SeveralReadersAreToldApart) {
  for (std::uint64_t offset = 0; offset < 32u << 20; offset += kChunk) {
    for (std::uint64_t reader = 0; reader < 6; ++reader)
      Read((reader * 150 << 20) + offset, kChunk);
  }
  EXPECT_GE(ahead_bytes_, 6 * (30u << 20));
}

TEST_F(StreamTest, ASequentialReaderIsSeenAmongRandomOnes) {
  SeededRandom random(TestSeed());
  for (std::uint64_t offset = 0; offset < 64u << 20; offset += kChunk) {
    Read(offset, kChunk);
    for (int i = 0; i < 3; ++i) Read(random.Below(kSize / 4096) * 4096, 4096);
  }
  EXPECT_GE(ahead_bytes_, 32u << 20);
}

}  // namespace
}  // namespace coffer::volume
