// Pages and deltas: their size, their table of packs, their identity, and what they refuse.
#include <gtest/gtest.h>

#include "core/format/delta.h"
#include "core/format/page.h"
#include "tests/format/golden_values.h"
#include "tests/format/samples.h"

namespace coffer::format {
namespace {

const PackId kSelf = SeqId<PackId>(1);

FrameRef FrameIn(const PackId& pack, std::uint32_t number) {
  return {pack, 3, number, 48 + number * 31000, 30900, 65536, 2};
}

/// A leaf of whole chunks, `packs` of them in turn.
Page FullLeaf(const std::vector<PackId>& packs) {
  Page page;
  page.chunk_size = 65536;
  for (unsigned slot = 0; slot < kPageFanOut; ++slot) {
    const PackId& pack = packs[slot % packs.size()];
    page.chunks.push_back(
        {static_cast<std::uint8_t>(slot),
         {{Piece::Kind::kFrame, 0, 16, SeqId<ContentId>(slot), FrameIn(pack, slot + 1)}}});
  }
  return page;
}

std::vector<PackId> ManyPacks(std::size_t count) {
  Samples samples(5);
  std::vector<PackId> packs;
  for (std::size_t i = 0; i < count; ++i) packs.push_back(samples.NewId<PackId>());
  return packs;
}

TEST(Page, TakesAboutThirtyBytesForAWholeChunk) {
  EXPECT_LE(Encode(FullLeaf({kSelf}), kSelf).size(), 256u * 31 + 20);
  EXPECT_LE(Encode(FullLeaf(ManyPacks(2)), kSelf).size(), 256u * 31 + 20 + 2 * 36);
}

TEST(Page, FindsEveryOneOfManyPacks) {
  for (const std::size_t packs : {1u, 31u, 32u, 33u, 127u, 128u, 129u, 256u}) {
    const Page page = FullLeaf(ManyPacks(packs));
    const auto decoded = DecodePage(Encode(page, kSelf), kSelf, 3);
    ASSERT_TRUE(decoded.has_value()) << packs << ": " << decoded.error().message;
    EXPECT_EQ(*decoded, page);
  }
}

TEST(Page, NamesAPackOfTwoEpochsTwiceRatherThanWrongly) {
  Page page = FullLeaf(ManyPacks(1));
  page.chunks[9].pieces[0].frame.key_epoch = 4;
  const auto decoded = DecodePage(Encode(page, kSelf), kSelf, 3);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, page);
}

TEST(Page, WritesItsOwnPackAsThisPackBeforeItHasAName) {
  const Bytes unnamed = Encode(FullLeaf({PackId{}}), PackId{});
  EXPECT_EQ(unnamed, Encode(FullLeaf({kSelf}), kSelf));
  Page expected = FullLeaf({kSelf});
  for (LeafEntry& entry : expected.chunks) entry.pieces[0].frame.key_epoch = 8;
  EXPECT_EQ(DecodePage(unnamed, kSelf, 8).value(), expected);
}

TEST(Page, KeepsItsIdentityWhenFramesMove) {
  Page page = FullLeaf({kSelf});
  const Bytes identity = PageIdentity(page);
  for (LeafEntry& entry : page.chunks) {
    entry.pieces[0].frame.pack = SeqId<PackId>(77);
    entry.pieces[0].frame.offset += 1;
    entry.pieces[0].frame.stored_length -= 5;
    entry.pieces[0].frame.codec = 1;
    entry.pieces[0].frame.key_epoch = 9;
  }
  EXPECT_EQ(PageIdentity(page), identity);
}

TEST(Page, ChangesItsIdentityWithWhatItRepresents) {
  const Page page = FullLeaf({kSelf});
  const Bytes identity = PageIdentity(page);
  Page other = page;
  other.index = 1;
  EXPECT_NE(PageIdentity(other), identity);
  other = page;
  other.chunk_size *= 2;
  EXPECT_NE(PageIdentity(other), identity);
  other = page;
  other.chunks.pop_back();
  EXPECT_NE(PageIdentity(other), identity);
  other = page;
  other.chunks[3].pieces[0].content = SeqId<ContentId>(200);
  EXPECT_NE(PageIdentity(other), identity);
  other = page;
  other.chunks[3].pieces.push_back({Piece::Kind::kZero, 0, 1, {}, {}});
  EXPECT_NE(PageIdentity(other), identity);
}

template <class Change>
void ExpectPageRefused(const char* why, Change change) {
  Page page = FullLeaf(ManyPacks(2));
  change(page);
  const auto decoded = DecodePage(Encode(page, kSelf), kSelf, 3);
  ASSERT_FALSE(decoded.has_value()) << why;
  EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  EXPECT_NE(decoded.error().message.find(why), std::string::npos) << decoded.error().message;
}

TEST(Page, RefusesWhatCannotBe) {
  using P = Page&;
  ExpectPageRefused("chunk size", [](P page) { page.chunk_size = 65536 + 4096; });
  ExpectPageRefused("chunk size", [](P page) { page.chunk_size = 8192; });
  ExpectPageRefused("index", [](P page) { page.index = 1 << 20; });
  ExpectPageRefused("ascend", [](P page) { page.chunks[5].slot = page.chunks[4].slot; });
  ExpectPageRefused("ascend", [](P page) { std::swap(page.chunks[5], page.chunks[4]); });
  ExpectPageRefused("beyond its chunk", [](P page) { page.chunks[5].pieces[0].first_block = 1; });
  ExpectPageRefused("fits in no pack", [](P page) { page.chunks[5].pieces[0].frame.offset = 47; });
  ExpectPageRefused("fits in no pack",
                    [](P page) { page.chunks[5].pieces[0].frame.offset = kPackBytesMax - 30000; });
  ExpectPageRefused("fits in no pack",
                    [](P page) { page.chunks[5].pieces[0].frame.stored_length = 16; });
  ExpectPageRefused("fits in no pack",
                    [](P page) { page.chunks[5].pieces[0].frame.stored_length = 65536 + 17; });
  ExpectPageRefused("range", [](P page) { page.chunks[5].pieces[0].frame.frame = 0; });
  ExpectPageRefused("range", [](P page) { page.chunks[5].pieces[0].frame.frame = 65001; });
  ExpectPageRefused("no id or key epoch",
                    [](P page) { page.chunks[5].pieces[0].frame.key_epoch = 0; });
  ExpectPageRefused("no id or key epoch",
                    [](P page) { page.chunks[5].pieces[0].frame.pack = PackId{}; });
}

TEST(Page, RefusesATableOfPacksThatIsNotTheShortest) {
  Page page;
  page.chunk_size = 65536;
  page.chunks = {{0, {{Piece::Kind::kFrame, 0, 16, {}, FrameIn(SeqId<PackId>(9), 1)}}}};
  const Bytes good = Encode(page, kSelf);
  constexpr std::size_t kTable = 1 + 1 + 4;  // level, index, chunk size; then the count
  ASSERT_EQ(good[kTable], std::byte{1});
  const ByteView row = ByteView(good).subspan(kTable + 1, 36);

  const auto with_table = [&](std::initializer_list<Bytes> rows) {
    Bytes bytes(good.begin(), good.begin() + kTable);
    bytes.push_back(static_cast<std::byte>(rows.size()));
    for (const Bytes& other : rows) bytes.insert(bytes.end(), other.begin(), other.end());
    bytes.insert(bytes.end(), good.begin() + kTable + 37, good.end());
    return DecodePage(bytes, kSelf, 3).has_value();
  };
  const Bytes used = ToBytes(row);
  Bytes unused = used;
  unused[0] ^= std::byte{1};
  Bytes itself = used;
  std::ranges::copy(kSelf.view(), itself.begin());
  EXPECT_TRUE(with_table({used}));
  EXPECT_FALSE(with_table({used, unused}));
  EXPECT_FALSE(with_table({used, used}));
  EXPECT_FALSE(with_table({itself}));
  EXPECT_FALSE(with_table({}));
}

TEST(Page, NumbersPacksInTheOrderOfTheirFirstUse) {
  const std::vector<PackId> packs = ManyPacks(2);
  Page page = FullLeaf(packs);
  page.chunks.resize(2);
  Bytes bytes = Encode(page, kSelf);
  constexpr std::size_t kBody = 1 + 1 + 4 + 1 + 2 * 36 + 1;
  constexpr std::size_t kFirstIndex = kBody + 1 + 1 + 3 + 16;
  constexpr std::size_t kEntry = 1 + 1 + 3 + 16 + 1 + 1 + 3 + 3;
  ASSERT_EQ(bytes[kFirstIndex], std::byte{1});
  ASSERT_EQ(bytes[kFirstIndex + kEntry], std::byte{2});
  std::swap(bytes[kFirstIndex], bytes[kFirstIndex + kEntry]);
  EXPECT_FALSE(DecodePage(bytes, kSelf, 3).has_value());
}

TEST(Page, RefusesAPackThatIsListedTwiceAndUsedTwice) {
  Bytes bytes = Encode(FullLeaf(ManyPacks(2)), kSelf);
  constexpr std::size_t kRows = 1 + 1 + 4 + 1;
  ASSERT_TRUE(DecodePage(bytes, kSelf, 3).has_value());
  std::copy_n(bytes.begin() + kRows, 36, bytes.begin() + kRows + 36);
  EXPECT_FALSE(DecodePage(bytes, kSelf, 3).has_value());
}

TEST(Page, RefusesUnknownKindsOfPieces) {
  Page page;
  page.chunk_size = 65536;
  page.chunks = {{0, {{Piece::Kind::kZero, 0, 1, {}, {}}}}};
  Bytes bytes = Encode(page, kSelf);
  const std::size_t head = bytes.size() - 3;
  ASSERT_TRUE(DecodePage(bytes, kSelf, 3).has_value());
  for (const unsigned kind : {0x01u, 0x0fu, 0x20u, 0x21u, 0xf0u}) {
    bytes[head] = static_cast<std::byte>(kind);
    EXPECT_FALSE(DecodePage(bytes, kSelf, 3).has_value()) << kind;
  }
}

TEST(Page, RefusesToBeEmptyAndToHoldEmptyChunks) {
  const Bytes no_entries = ToBytes(AsBytes(std::string_view("\0\0\0\0\1\0\0\0", 8)));
  const auto page = DecodePage(no_entries, kSelf, 3);
  ASSERT_FALSE(page.has_value());
  EXPECT_NE(page.error().message.find("no entries"), std::string::npos) << page.error().message;
  const Bytes no_pieces = ToBytes(AsBytes(std::string_view("\0\0\0\0\1\0\0\1\5\0\0\0\0", 13)));
  const auto chunk = DecodePage(no_pieces, kSelf, 3);
  ASSERT_FALSE(chunk.has_value());
  EXPECT_NE(chunk.error().message.find("without pieces"), std::string::npos)
      << chunk.error().message;
  const auto delta = DecodeDelta(ByteView(no_entries).subspan(2), kSelf, 3);
  ASSERT_FALSE(delta.has_value());
  EXPECT_NE(delta.error().message.find("no entries"), std::string::npos) << delta.error().message;
}

TEST(Page, RefusesChildrenBeyondTheLargestVolume) {
  Page page;
  page.level = 3;
  page.chunk_size = 16384;  // 2^30 chunks, 64 pages of level 2
  page.children = {{63, {SeqId<PageId>(1), FrameIn(SeqId<PackId>(9), 1)}}};
  EXPECT_TRUE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
  page.children[0].slot = 64;
  EXPECT_FALSE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
  page.children[0].slot = 0;
  page.children[0].child.frame.offset = 47;
  EXPECT_FALSE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
}

TEST(Page, RefusesALevelThatNoVolumeNeeds) {
  Page page;
  page.level = 4;
  page.chunk_size = 65536;
  page.children = {{0, {SeqId<PageId>(1), FrameIn(SeqId<PackId>(9), 1)}}};
  EXPECT_FALSE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
  page.level = 2;
  EXPECT_TRUE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
  page.children[0].child.frame.plain_length = kPageBytesMax + 1;
  EXPECT_FALSE(DecodePage(Encode(page, kSelf), kSelf, 3).has_value());
}

Bytes EncodedDelta(const Delta& delta) {
  auto bytes = Encode(delta, kSelf);
  return bytes.has_value() ? *std::move(bytes) : Bytes{};
}

Delta SmallDelta() {
  using Op = DeltaEntry::Op;
  Delta delta;
  delta.chunk_size = 65536;
  delta.entries = {{Op::kClear, 4, 6, {}},
                   {Op::kReplace, 10, 1, {{Piece::Kind::kZero, 0, 4, {}, {}}}},
                   {Op::kOverlay, 900, 1, {{Piece::Kind::kZero, 4, 4, {}, {}}}}};
  return delta;
}

TEST(Delta, TakesThirtyFourBytesForAScatteredBlock) {
  Delta delta;
  delta.chunk_size = 65536;
  for (unsigned i = 0; i < 10000; ++i)
    delta.entries.push_back({DeltaEntry::Op::kOverlay,
                             i * 97ull,
                             1,
                             {{Piece::Kind::kFrame,
                               3,
                               1,
                               SeqId<ContentId>(i),
                               {kSelf, 3, i + 1, 48 + i * 800, 800, 4096, 2}}}});
  EXPECT_LE(EncodedDelta(delta).size(), 10000u * 34);
}

TEST(Delta, RefusesChunksBeyondTheLargestVolume) {
  Delta delta = SmallDelta();
  const std::uint64_t chunks = kVolumeBytesMax / delta.chunk_size;
  delta.entries[2].chunk = chunks - 1;
  EXPECT_TRUE(DecodeDelta(EncodedDelta(delta), kSelf, 3).has_value());
  delta.entries[2].chunk = chunks;
  EXPECT_FALSE(DecodeDelta(EncodedDelta(delta), kSelf, 3).has_value());
  delta.entries.resize(1);
  delta.entries[0].chunk_count = chunks - delta.entries[0].chunk;
  EXPECT_TRUE(DecodeDelta(EncodedDelta(delta), kSelf, 3).has_value());
  delta.entries[0].chunk_count += 1;
  EXPECT_FALSE(DecodeDelta(EncodedDelta(delta), kSelf, 3).has_value());
}

TEST(Delta, RefusesChunkSizesThatDoNotExist) {
  Delta delta = SmallDelta();
  for (const std::uint32_t size : {0u, 4096u, 8192u, 65536u + 4096, 98304u, 1u << 19}) {
    delta.chunk_size = size;
    EXPECT_FALSE(DecodeDelta(EncodedDelta(delta), kSelf, 3).has_value()) << size;
  }
}

TEST(Delta, RefusesUnknownOperationsAndEmptyRanges) {
  const Bytes good = EncodedDelta(SmallDelta());
  constexpr std::size_t kFirstOp = 4 + 1 + 1;
  ASSERT_TRUE(DecodeDelta(good, kSelf, 3).has_value());
  Delta overlay = SmallDelta();
  overlay.entries.erase(overlay.entries.begin());
  Bytes bytes = EncodedDelta(overlay);
  bytes[kFirstOp] = std::byte{3};
  EXPECT_FALSE(DecodeDelta(bytes, kSelf, 3).has_value());
  bytes = good;
  ASSERT_EQ(bytes[kFirstOp + 2], std::byte{6});
  bytes[kFirstOp + 2] = std::byte{0};
  EXPECT_FALSE(DecodeDelta(bytes, kSelf, 3).has_value());
}

/// A piece of a frame in a pack of its own, every number as long as it can be: `i` tells them
/// apart.
Piece LongestPiece(unsigned i) {
  Bytes pack(PackId::kBytes, std::byte{1});
  StoreLe(pack.data(), i);
  return {Piece::Kind::kFrame,
          0,
          1,
          SeqId<ContentId>(i),
          {PackId::From(pack), 3, kFramesPerPackMax, (40u << 20) - 5000, 4096 + 16, 4096, 0}};
}

TEST(Delta, OfAsManyPartsAsOneCommitMayHaveIsWithinItsLimits) {
  // One piece an entry, at the far end of the largest volume, where distances are longest.
  Delta delta;
  delta.chunk_size = kChunkBytesMin;
  const std::uint64_t distance = kVolumeBytesMax / kChunkBytesMin / kDeltaPartsMax;
  for (unsigned i = 0; i < kDeltaPartsMax; ++i)
    delta.entries.push_back({DeltaEntry::Op::kOverlay, i * distance, 1, {LongestPiece(i)}});
  const auto bytes = Encode(delta, kSelf);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_LE(bytes->size(), kDeltaPartsMax * kDeltaPartBytesMax + 64);
  EXPECT_GT(bytes->size(), kDeltaPartsMax * (kDeltaPartBytesMax - 8));  // no idle bound
  EXPECT_TRUE(DecodeDelta(*bytes, kSelf, 3).has_value());
}

TEST(Delta, BeyondItsLimitsIsAnErrorAndNotMade) {
  Delta delta;
  delta.chunk_size = kChunkBytesMin;
  for (std::uint64_t i = 0; i <= kDeltaEntriesMax; ++i)
    delta.entries.push_back({DeltaEntry::Op::kClear, 2 * i, 1, {}});
  EXPECT_FALSE(Encode(delta, kSelf).has_value());
  delta.entries.pop_back();
  EXPECT_TRUE(Encode(delta, kSelf).has_value());  // by its entries; and few bytes
  for (unsigned i = 0; i < delta.entries.size(); ++i)
    delta.entries[i] = {DeltaEntry::Op::kReplace, 2 * i, 1, {LongestPiece(i)}};
  EXPECT_FALSE(Encode(delta, kSelf).has_value());  // 80 MB
}

TEST(DeltaDeathTest, EntriesOutOfOrderAreNeverWritten) {
  Delta delta = SmallDelta();
  std::swap(delta.entries[0], delta.entries[1]);
  EXPECT_DEATH(static_cast<void>(Encode(delta, kSelf)), "");
}

}  // namespace
}  // namespace coffer::format
