// Pairs of limits that meet in one structure: the most of everything at once still is what a reader
// takes (docs/LIMITS.md).
#include <gtest/gtest.h>

#include "core/format/catalog.h"
#include "core/format/head.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/format/trust.h"
#include "tests/format/samples.h"

namespace coffer::format {
namespace {

template <class IdType>
IdType NumberedId(std::uint64_t number) {
  Bytes bytes(IdType::kBytes, std::byte{1});
  StoreLe(bytes.data(), number);
  return IdType::From(bytes);
}

const PackId kSelf = NumberedId<PackId>(~0u);

/// A frame at the end of a pack of its own, every number as long as it can be.
FrameRef LongestRef(std::uint32_t i, std::uint32_t plain_length) {
  const std::uint32_t stored_length = plain_length + 16;
  return {.pack = NumberedId<PackId>(i),
          .key_epoch = 0xFFFFFFFF,
          .frame = kFramesPerPackMax,
          .offset = static_cast<std::uint32_t>(kPackBytesMax) - stored_length,
          .stored_length = stored_length,
          .plain_length = plain_length,
          .codec = 0};
}

std::string LongestName(std::size_t i) {
  std::string name = std::to_string(i);
  return name + std::string(kNameBytesMax - name.size(), 'x');
}

TEST(Limits, APageOfTheMostPiecesIsRead) {
  Page leaf{.level = 0, .index = 0, .chunk_size = kChunkBytesMax};
  std::uint32_t made = 0;
  for (unsigned slot = 0; slot < kPageFanOut; ++slot) {
    LeafEntry entry{static_cast<std::uint8_t>(slot), {}};
    for (unsigned block = 0; block < kPiecesPerChunkMax; ++block, ++made) {
      entry.pieces.push_back({Piece::Kind::kFrame, static_cast<std::uint8_t>(block), 1,
                              NumberedId<ContentId>(made), LongestRef(made, kBlockBytes)});
    }
    leaf.chunks.push_back(std::move(entry));
  }
  const Bytes bytes = Encode(leaf, kSelf);
  EXPECT_GT(bytes.size(), 1u << 20);
  EXPECT_LE(bytes.size(), kPageBytesMax);
  EXPECT_TRUE(DecodePage(bytes, kSelf, 1).has_value());
}

TEST(Limits, AnInteriorPageOfTheMostChildrenIsRead) {
  Page page{.level = 2, .index = 0, .chunk_size = kChunkBytesMin};
  for (unsigned slot = 0; slot < kPageFanOut; ++slot)
    page.children.push_back({static_cast<std::uint8_t>(slot),
                             {NumberedId<PageId>(slot), LongestRef(slot, kPageBytesMax)}});
  EXPECT_TRUE(DecodePage(Encode(page, kSelf), kSelf, 1).has_value());
}

/// Of a generous catalog there is more than half left for what extensions bring.
TEST(Limits, ACatalogOfTheMostVolumesAndCondemnedPacksIsRead) {
  Catalog catalog = Samples(1).NewCatalog();
  catalog.host_name = std::string(kHostNameBytesMax, 'h');
  catalog.volumes.clear();
  for (std::size_t i = 0; i < kVolumesMax; ++i)
    catalog.volumes.push_back({.id = NumberedId<VolumeId>(i),
                               .name = LongestName(i),
                               .created_unix = 1,
                               .forked_from = NumberedId<VolumeId>(1),
                               .forked_seq = 1});
  catalog.condemned.clear();
  constexpr std::size_t kPacks = kCondemnedPacksMax / kCondemnedListsMax;
  for (unsigned list = 0; list < kCondemnedListsMax; ++list) {
    catalog.condemned.push_back({.number = list + 1, .created_unix = 1, .packs = {}});
    for (unsigned pack = 0; pack < kPacks; ++pack)
      catalog.condemned.back().packs.push_back(NumberedId<PackId>(list * kPacks + pack));
  }
  const Bytes bytes = Encode(catalog);
  EXPECT_LE(bytes.size(), kCatalogBytesMax * 3 / 4);
  EXPECT_TRUE(DecodeCatalog(bytes).has_value());
}

TEST(Limits, AHeadOfTheMostDeltasIsSmall) {
  constexpr unsigned kFoldedAt = 32;
  Head head = Samples(1).NewHead();
  head.snapshots.clear();
  head.map.deltas.clear();
  for (unsigned i = 0; i < kDeltasMax; ++i) {
    head.map.deltas.push_back({LongestRef(i, kDeltaBytesMax), kDeltaEntriesMax});
    const Bytes bytes = Encode(head);
    // One bucket of padding: heads do not tell how many, but beside damage.
    EXPECT_LE(bytes.size(), i < kFoldedAt ? 4096u : 4 * 4096u);
    EXPECT_TRUE(DecodeHead(bytes).has_value());
  }
}

/// Snapshots with no deltas fit all; with 32 each they do not, and no such head is written
/// (HeadChainTest.AHeadThatNobodyCouldReadIsNotWritten).
TEST(Limits, AHeadOfTheMostFoldedSnapshotsIsRead) {
  Head head = Samples(1).NewHead();
  head.snapshots.clear();
  for (std::uint32_t i = 0; i < kSnapshotsMax; ++i) {
    Snapshot snapshot{.id = i + 1, .name = LongestName(i), .created_unix = 1, .map = head.map};
    snapshot.map.level = kPageLevelMax;
    snapshot.map.page = PageRef{NumberedId<PageId>(i), LongestRef(i, kPageBytesMax)};
    snapshot.map.deltas.clear();
    head.snapshots.push_back(std::move(snapshot));
  }
  head.snapshot_id_next = kSnapshotsMax + 1;
  const Bytes bytes = Encode(head);
  EXPECT_LE(bytes.size(), kHeadBytesMax);
  EXPECT_TRUE(DecodeHead(bytes).has_value());
}

TEST(Limits, ATrustFileOfTheMostVolumesIsRead) {
  Trust trust = Samples(1).NewTrust();
  trust.volumes.clear();
  for (std::size_t i = 0; i < kVolumesMax; ++i)
    trust.volumes.push_back({NumberedId<VolumeId>(i),
                             {i + 1, NumberedId<ObjectHash>(i)},
                             {i + 1, NumberedId<ObjectHash>(i)},
                             i});
  const Bytes bytes = Encode(trust);
  EXPECT_LE(bytes.size(), kTrustBytesMax / 2);
  EXPECT_TRUE(DecodeTrust(bytes).has_value());
}

TEST(Limits, AKeyringOfTheMostEpochsAndSlotsFitsIntoItsHeader) {
  Keyring keyring;
  for (std::uint32_t epoch = 1; epoch <= kKeyEpochsMax; ++epoch)
    keyring.epochs.push_back({epoch, SecretBytes::CopyOf(Bytes(32, std::byte{7})), 1});
  for (std::uint8_t slot = 0; slot < kKeySlots; ++slot)
    keyring.slots.push_back(
        {slot, 1, std::string(kHostNameBytesMax, 'h'), std::string(kLabelBytesMax, 'l')});
  const SecretBytes bytes = Encode(keyring);
  EXPECT_LE(bytes.view().size(), kKeyHeaderBytesMax / 2);
  EXPECT_TRUE(DecodeKeyring(bytes.view()).has_value());
}

TEST(Limits, ThePackTableOfTheMostFramesLeavesRoomForThem) {
  // 16 MiB of frames is the most that a setting allows, and so is one delta alone.
  std::vector<PackTableEntry> table;
  for (std::uint32_t i = 0; i < kFramesPerPackMax; ++i)
    table.push_back({FrameType::kPage, 2, 17, 1 << 20, NumberedId<ContentId>(i), 3, 1 << 20});
  const Bytes bytes = Encode(table);
  EXPECT_TRUE(DecodePackTable(bytes).has_value());
  EXPECT_LE(PadmeLength((16u << 20) + kDeltaBytesMax / 4 + bytes.size() + 4096), kPackBytesMax);
  EXPECT_LE(PadmeLength(kDeltaBytesMax + bytes.size() + 4096), kPackBytesMax);
}

}  // namespace
}  // namespace coffer::format
