// What each record refuses, rule by rule, and with which code: damage is kCorruption, a newer
// format kUnsupported.
#include <gtest/gtest.h>

#include "core/format/catalog.h"
#include "core/format/head.h"
#include "core/format/journal.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/format/marker.h"
#include "core/format/pack.h"
#include "core/format/sealed_object.h"
#include "core/format/spool.h"
#include "core/format/trust.h"
#include "tests/format/golden_values.h"

namespace coffer::format {
namespace {

template <class T>
void ExpectRefused(const Result<T>& result, ErrorCode code, std::string_view why) {
  ASSERT_FALSE(result.has_value()) << why;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_NE(result.error().message.find(why), std::string::npos) << result.error().message;
}

template <class T>
void ExpectCorrupt(const Result<T>& result, std::string_view why) {
  ExpectRefused(result, ErrorCode::kCorruption, why);
}

template <class T>
void ExpectNewer(const Result<T>& result) {
  ExpectRefused(result, ErrorCode::kUnsupported, "this needs a newer coffer");
}

const VaultId kVault = SeqId<VaultId>(0x10);

/// With a checksum that is right again: CRC-32C of the first 36 bytes.
Bytes Resealed(Bytes marker) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::byte byte : ByteView(marker).first(36)) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82f63b78u : 0u);
  }
  StoreLe(marker.data() + 36, ~crc);
  return marker;
}

TEST(Marker, TellsNewerFormatsFromDamage) {
  const Bytes good = Encode(Marker{kVault, 0});
  ASSERT_EQ(Resealed(good), good);
  Bytes bytes = good;
  bytes[8] = std::byte{2};
  ExpectNewer(DecodeMarker(Resealed(bytes)));
  bytes.resize(400, std::byte{0});
  ExpectNewer(DecodeMarker(Resealed(bytes)));
  bytes = good;
  bytes[8] = std::byte{0};
  ExpectCorrupt(DecodeMarker(Resealed(bytes)), "version 0");
  bytes = good;
  bytes[10] = std::byte{9};
  ExpectNewer(DecodeMarker(Resealed(bytes)));
  ExpectNewer(DecodeMarker(Encode(Marker{kVault, 1})));
  ExpectNewer(DecodeMarker(Encode(Marker{kVault, std::uint64_t{1} << 63})));
}

TEST(Marker, IsDamagedByEveryFlippedBitItsVersionsToo) {
  const Bytes good = Encode(Marker{kVault, 0});
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    ExpectCorrupt(DecodeMarker(bytes), bit < 64 ? "does not begin as one" : "checksum");
  }
}

TEST(Marker, RefusesWhatCannotBe) {
  ExpectCorrupt(DecodeMarker(Encode(Marker{VaultId{}, 0})), "vault id");
  Bytes bytes = Encode(Marker{kVault, 0});
  bytes.resize(kMarkerBytesMax + 1, std::byte{0});
  ExpectCorrupt(DecodeMarker(bytes), "longer than");
}

KeyHeader SmallKeyHeader() {
  KeyHeader header;
  header.vault = kVault;
  header.seq = 1;
  header.slots[0].kind = SlotKind::kPassword;
  header.sealed_keyring = Seq(1, 528);
  return header;
}

TEST(KeyHeader, RefusesWhatCannotBe) {
  KeyHeader header = SmallKeyHeader();
  ASSERT_TRUE(DecodeKeyHeader(Encode(header)).has_value());
  header.slots[4].kind = static_cast<SlotKind>(5);
  ExpectNewer(DecodeKeyHeader(Encode(header)));
  header = SmallKeyHeader();
  header.slots[3].iterations = 1;
  ExpectCorrupt(DecodeKeyHeader(Encode(header)), "empty key slot");
  header = SmallKeyHeader();
  header.seq = 0;
  ExpectCorrupt(DecodeKeyHeader(Encode(header)), "sequence 0");
  header = SmallKeyHeader();
  header.sealed_keyring.resize(16);
  ExpectCorrupt(DecodeKeyHeader(Encode(header)), "too short");
  header = SmallKeyHeader();
  header.vault = {};
  ExpectCorrupt(DecodeKeyHeader(Encode(header)), "vault id");
  Bytes bytes = Encode(SmallKeyHeader());
  bytes[41] = std::byte{1};
  ExpectCorrupt(DecodeKeyHeader(bytes), "reserved");
  bytes = Encode(SmallKeyHeader());
  bytes[12] = std::byte{1};
  ExpectCorrupt(DecodeKeyHeader(bytes), "reserved");
}

TEST(KeyHeader, CoversAllButItsMac) {
  const Bytes bytes = Encode(SmallKeyHeader());
  const ByteView covered = KeyHeaderMacInput(bytes);
  EXPECT_EQ(covered.data(), bytes.data());
  EXPECT_EQ(covered.size() + 32, bytes.size());
}

Keyring SmallKeyring() {
  Keyring keyring;
  keyring.epochs.push_back({1, SecretBytes::CopyOf(Seq(1, 32)), 0});
  keyring.epochs.push_back({2, SecretBytes::CopyOf(Seq(2, 32)), 0});
  keyring.slots = {{0, 0, "", ""}, {7, 0, "", ""}};
  return keyring;
}

Result<Keyring> Recoded(const Keyring& keyring) { return DecodeKeyring(Encode(keyring).view()); }

TEST(Keyring, RefusesWhatCannotBe) {
  ASSERT_TRUE(Recoded(SmallKeyring()).has_value());
  Keyring keyring = SmallKeyring();
  keyring.epochs[0].epoch = 2;
  ExpectCorrupt(Recoded(keyring), "ascend");
  keyring.epochs[0].epoch = 0;
  ExpectCorrupt(Recoded(keyring), "ascend");
  keyring = SmallKeyring();
  keyring.slots[1].slot = 0;
  ExpectCorrupt(Recoded(keyring), "twice");
  keyring.slots[1].slot = 16;
  ExpectCorrupt(Recoded(keyring), "slot number");
  keyring = SmallKeyring();
  keyring.features.incompatible = 4;
  ExpectNewer(Recoded(keyring));
  keyring.features = {0, 4, 4};
  EXPECT_TRUE(Recoded(keyring).has_value());
}

TEST(Keyring, HoldsAKey) {
  Bytes bytes(32 + 24 + 3, std::byte{0});  // parent, features, three counts of nothing
  bytes = PadToBucket(bytes, 512);
  ExpectCorrupt(DecodeKeyring(bytes), "no key");
}

TEST(Keyring, HidesItsLengthInSteps) {
  Keyring keyring = SmallKeyring();
  EXPECT_EQ(Encode(keyring).size(), 512u);
  keyring.slots[0].label = std::string(255, 'l');
  EXPECT_EQ(Encode(keyring).size(), 512u);
  keyring.slots[1].label = std::string(255, 'l');
  EXPECT_EQ(Encode(keyring).size(), 1024u);
}

TEST(Keyring, HasOnePadding) {
  const SecretBytes good = Encode(SmallKeyring());
  Bytes bytes = ToBytes(good.view());
  bytes.resize(1024, std::byte{0});
  ExpectCorrupt(DecodeKeyring(bytes), "padding");
  bytes.resize(300);
  ExpectCorrupt(DecodeKeyring(bytes), "padding");
}

Catalog SmallCatalog() {
  Catalog catalog;
  catalog.vault = kVault;
  catalog.seq = 1;
  CatalogVolume volume;
  volume.id = SeqId<VolumeId>(0x20);
  volume.name = "photos";
  catalog.volumes = {volume};
  volume.id = SeqId<VolumeId>(0x21);
  volume.name = "music";
  catalog.volumes.push_back(volume);
  return catalog;
}

TEST(Catalog, RefusesWhatCannotBe) {
  const auto refused = [](std::string_view why, auto change) {
    Catalog catalog = SmallCatalog();
    change(catalog);
    ExpectCorrupt(DecodeCatalog(Encode(catalog)), why);
  };
  using C = Catalog&;
  ASSERT_TRUE(DecodeCatalog(Encode(SmallCatalog())).has_value());
  refused("sequence and parent", [](C c) { c.seq = 2; });
  refused("sequence and parent", [](C c) { c.parent = SeqId<ObjectHash>(1); });
  refused("sequence and parent", [](C c) { c.seq = 0; });
  refused("dedup", [](C c) { c.dedup = static_cast<DedupScope>(3); });
  refused("one id or name", [](C c) { c.volumes[1].id = c.volumes[0].id; });
  refused("one id or name", [](C c) { c.volumes[1].name = "photos"; });
  refused("unknown state", [](C c) { c.volumes[1].state = static_cast<CatalogVolume::State>(0); });
  refused("unknown state", [](C c) { c.volumes[1].state = static_cast<CatalogVolume::State>(3); });
  refused("id or name", [](C c) { c.volumes[1].id = {}; });
  refused("fork", [](C c) { c.volumes[1].forked_seq = 1; });
  refused("fork", [](C c) { c.volumes[1].forked_from = SeqId<VolumeId>(3); });
  refused("ascend", [](C c) { c.condemned = {{2, 0, {}}, {2, 0, {}}}; });
  refused("ascend", [](C c) { c.condemned = {{0, 0, {}}}; });
  refused("extension tags", [](C c) { c.extensions = {{2, {}}, {2, {}}}; });
  Catalog catalog = SmallCatalog();
  catalog.features.incompatible = 1;
  ExpectNewer(DecodeCatalog(Encode(catalog)));
}

TEST(Catalog, LetsADeletedVolumeKeepItsName) {
  Catalog catalog = SmallCatalog();
  catalog.volumes[1].name = "photos";
  catalog.volumes[1].state = CatalogVolume::State::kDeleted;
  EXPECT_TRUE(DecodeCatalog(Encode(catalog)).has_value());
}

TEST(Catalog, RefusesVolumeNamesThatAreUnsafeInPaths) {
  const Bytes good = Encode(SmallCatalog());
  const std::string_view name = "photos";
  const auto at = std::search(good.begin(), good.end(), AsBytes(name).begin(), AsBytes(name).end());
  ASSERT_NE(at, good.end());
  for (const char first : {'.', '/', '-', '\0', '\n', '\x80', '@'}) {
    Bytes bytes = good;
    bytes[static_cast<std::size_t>(at - good.begin())] = static_cast<std::byte>(first);
    ExpectCorrupt(DecodeCatalog(bytes), "name");
  }
}

TEST(VolumeName, IsWhatPathsAndCommandLinesCanHold) {
  for (const char* good : {"a", "photos", "0", "A.b_c-d", "recovered-host-20240101T000000"})
    EXPECT_TRUE(IsValidVolumeName(good)) << good;
  EXPECT_TRUE(IsValidVolumeName(std::string(63, 'x')));
  EXPECT_FALSE(IsValidVolumeName(std::string(64, 'x')));
  for (const char* bad :
       {"", ".", "..", "../x", "a/b", "-rf", "a b", "a\n", "_a", "a@b", "\xc3\xa4"})
    EXPECT_FALSE(IsValidVolumeName(bad)) << bad;
  EXPECT_FALSE(IsValidVolumeName(std::string_view("a\0b", 3)));
}

Head SmallHead() {
  Head head;
  head.vault = kVault;
  head.volume = SeqId<VolumeId>(0x20);
  head.seq = 1;
  head.chunk_size = 65536;
  head.map.size = 1 << 20;
  head.snapshot_id_next = 10;
  Snapshot snapshot;
  snapshot.id = 3;
  snapshot.name = "one";
  snapshot.map.size = 4096;
  head.snapshots = {snapshot};
  snapshot.id = 4;
  head.snapshots.push_back(snapshot);
  return head;
}

FrameRef SomeFrame() { return {SeqId<PackId>(1), 1, 1, 48, 100, 200, 2}; }

TEST(Head, RefusesWhatCannotBe) {
  const auto refused = [](std::string_view why, auto change) {
    Head head = SmallHead();
    change(head);
    ExpectCorrupt(DecodeHead(Encode(head)), why);
  };
  using H = Head&;
  ASSERT_TRUE(DecodeHead(Encode(SmallHead())).has_value());
  refused("sequence and parent", [](H h) { h.seq = 2; });
  refused("sequence and parent", [](H h) { h.parent = SeqId<ObjectHash>(1); });
  refused("durability", [](H h) { h.durability = static_cast<Durability>(2); });
  refused("chunk size", [](H h) { h.chunk_size = 1 << 19; });
  refused("volume size", [](H h) { h.map.size = 0; });
  refused("volume size", [](H h) { h.map.size = 4097; });
  refused("volume size", [](H h) { h.map.size = kVolumeBytesMax + 4096; });
  refused("volume size", [](H h) { h.snapshots[1].map.size = 1; });
  refused("root", [](H h) { h.map.level = 1; });
  refused("root", [](H h) {
    h.map.page = PageRef{{}, SomeFrame()};
    h.map.level = 4;
  });
  refused("ascend", [](H h) { h.snapshots[1].id = 3; });
  refused("given out", [](H h) { h.snapshot_id_next = 4; });
  refused("range", [](H h) { h.map.deltas = {{SomeFrame(), 0}}; });
  const auto refused_frame = [&](std::string_view why, auto change) {
    refused(why, [change](H h) {
      h.map.deltas = {{SomeFrame(), 1}};
      change(h.map.deltas[0].frame);
    });
  };
  using F = FrameRef&;
  refused_frame("no pack can hold", [](F f) { f.pack = {}; });
  refused_frame("no pack can hold", [](F f) { f.key_epoch = 0; });
  refused_frame("no pack can hold", [](F f) { f.codec = 16; });
  refused_frame("no pack can hold", [](F f) { f.offset = 40; });
  refused_frame("no pack can hold", [](F f) { f.stored_length = 217; });
  refused_frame("range", [](F f) { f.frame = 0; });
  refused_frame("range", [](F f) { f.plain_length = kDeltaBytesMax + 1; });
  Head head = SmallHead();
  head.features.incompatible = 2;
  ExpectNewer(DecodeHead(Encode(head)));
}

TEST(Head, RefusesSnapshotNamesThatCommandLinesCannotHold) {
  Head head = SmallHead();
  head.snapshots[0].name = "snapshot-name";
  const Bytes good = Encode(head);
  const auto name = AsBytes("snapshot-name");
  const auto at = std::search(good.begin(), good.end(), name.begin(), name.end());
  ASSERT_NE(at, good.end());
  for (const char wrong : {'/', '@', '\n', '\0', '\x1b', '\x7f'}) {
    Bytes bytes = good;
    bytes[static_cast<std::size_t>(at - good.begin()) + 3] = static_cast<std::byte>(wrong);
    ExpectCorrupt(DecodeHead(bytes), "snapshot name");
  }
}

TEST(Head, RefusesUnknownFlags) {
  const Bytes good = Encode(SmallHead());
  constexpr std::size_t kFlags = 16 + 16 + 8 + 32 + 8;
  Bytes bytes = good;
  for (unsigned bit = 3; bit < 8; ++bit) {
    bytes[kFlags] = static_cast<std::byte>(1u << bit);
    ExpectCorrupt(DecodeHead(bytes), "flag");
  }
  bytes[kFlags] = std::byte{7};
  const auto head = DecodeHead(bytes);
  ASSERT_TRUE(head.has_value());
  EXPECT_TRUE(head->released && head->barrier && head->tombstone);
}

TEST(SealedObject, TellsOneKindFromAnother) {
  Bytes bytes = EncodeSealedPrefix(SealedKind::kHead, 1, Seq(0, 32));
  bytes.resize(bytes.size() + 16, std::byte{0});
  EXPECT_TRUE(DecodeSealedObject(SealedKind::kHead, bytes).has_value());
  ExpectCorrupt(DecodeSealedObject(SealedKind::kCatalog, bytes), "catalog record: it does not");
  bytes[8] = std::byte{2};
  ExpectNewer(DecodeSealedObject(SealedKind::kHead, bytes));
  bytes[8] = std::byte{1};
  bytes.pop_back();
  ExpectCorrupt(DecodeSealedObject(SealedKind::kHead, bytes), "too early");
}

TEST(Spool, NeedsASequenceAndAHead) {
  ExpectCorrupt(DecodeSpool(Encode(Spool{0, Seq(1, 100)})), "sequence 0");
  ExpectCorrupt(DecodeSpool(Encode(Spool{1, {}})), "head is missing");
}

TEST(Padding, ComesOffAgain) {
  for (const std::size_t size : {0u, 1u, 510u, 511u, 512u, 513u, 1024u}) {
    Bytes plain(size, std::byte{0x80});
    if (size > 1) plain.back() = std::byte{0};
    const Bytes padded = PadToBucket(plain, 512);
    EXPECT_EQ(padded.size(), (size / 512 + 1) * 512);
    const auto again = Unpad(padded);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(ToBytes(*again), plain);
  }
  ExpectCorrupt(Unpad(Bytes(64, std::byte{0})), "padding");
  ExpectCorrupt(Unpad({}), "padding");
  ExpectCorrupt(Unpad(Bytes(64, std::byte{1})), "padding");
}

PackHeader SmallPackHeader() {
  PackHeader header{3, 1000, 100, 0};
  header.pack_length = static_cast<std::uint32_t>(PadmeLength(1000 + 100 + 16));
  return header;
}

TEST(PackHeader, AgreesWithItselfAndWithTheObject) {
  const PackHeader good = SmallPackHeader();
  ASSERT_TRUE(DecodePackHeader(Encode(good), good.pack_length).has_value());
  ExpectCorrupt(DecodePackHeader(Encode(good), good.pack_length - 1), "another length");
  const auto refused = [](std::string_view why, auto change) {
    PackHeader header = SmallPackHeader();
    change(header);
    ExpectCorrupt(DecodePackHeader(Encode(header), header.pack_length), why);
  };
  using H = PackHeader&;
  refused("number of frames", [](H h) { h.frame_count = 0; });
  refused("number of frames", [](H h) { h.frame_count = kFramesPerPackMax + 1; });
  refused("among the frames", [](H h) { h.frame_count = 57; });
  refused("among the frames", [](H h) { h.table_length = 16; });
  refused("outside", [](H h) { h.table_offset = 0xffffffff; });
  refused("outside", [](H h) { h.table_length = 0xffffffff; });
  refused("outside", [](H h) { h.pack_length = kPackBytesMax + 1; });
  refused("padded", [](H h) { h.pack_length += 64; });
}

TEST(PackPrefix, NamesAKeyEpoch) {
  ExpectCorrupt(DecodePackPrefix(Encode(PackPrefix{0})), "key epoch 0");
}

TEST(PackTable, RefusesFramesThatFitInNoPack) {
  const PackTableEntry data{FrameType::kData, 0, 4112, 4096, {}};
  const auto refused = [&](std::string_view why, auto change) {
    std::vector<PackTableEntry> table = {data, data};
    change(table[1]);
    ExpectCorrupt(DecodePackTable(Encode(table)), why);
  };
  using E = PackTableEntry&;
  ASSERT_TRUE(DecodePackTable(Encode(std::vector{data, data})).has_value());
  refused("half a block", [](E e) { e.plain_length = 4100; });
  refused("lengths", [](E e) { e.stored_length = 4113; });
  refused("range", [](E e) { e.stored_length = 16; });
  refused("range", [](E e) { e.plain_length = kChunkBytesMax + 4096; });
  refused("level", [](E e) {
    e.type = FrameType::kPage;
    e.level = 4;
  });
  ExpectCorrupt(DecodePackTable(Bytes(1, std::byte{0})), "no frame");
  Bytes codec = Encode(std::vector{data});
  codec[2] = std::byte{16};
  ExpectCorrupt(DecodePackTable(codec), "codec");
  const PackTableEntry large{FrameType::kDelta, 0, 15 << 20, 16 << 20, {}};
  ASSERT_TRUE(DecodePackTable(Encode(std::vector{large, large})).has_value());
  ExpectCorrupt(DecodePackTable(Encode(std::vector{large, large, large})), "no pack");
  Bytes bytes = Encode(std::vector{data});
  for (const unsigned type : {0u, 4u, 5u, 6u, 255u}) {
    bytes[1] = static_cast<std::byte>(type);
    ExpectCorrupt(DecodePackTable(bytes), "unknown type");
  }
}

TEST(PadmeLength, AddsLittleAndSaysLittle) {
  std::uint64_t different = 0;
  std::uint64_t last = 0;
  for (std::uint64_t length = 4096; length <= 16 << 20; length += 97) {
    const std::uint64_t padded = PadmeLength(length);
    ASSERT_GE(padded, length);
    ASSERT_LE(padded * 100, length * 112);
    ASSERT_EQ(PadmeLength(padded), padded);
    if (padded != last) ++different;
    last = padded;
  }
  EXPECT_LE(different, 12u * 32);
}

TEST(Segment, KnowsAFileThatWasNeverUsed) {
  ExpectRefused(DecodeSegmentPrefix(Bytes(4096, std::byte{0})), ErrorCode::kNotFound, "never used");
  ExpectCorrupt(DecodeSegmentPrefix(Bytes(20, std::byte{0})), "begin");
}

SegmentHeader SmallSegment() {
  SegmentHeader header;
  header.stream = SeqId<StreamId>(1);
  header.segment = 1;
  header.first_seq = 5;
  header.stream_first_seq = 5;
  header.volume_size = 4096;
  return header;
}

TEST(Segment, RefusesWhatCannotBe) {
  const auto refused = [](std::string_view why, auto change) {
    SegmentHeader header = SmallSegment();
    change(header);
    ExpectCorrupt(DecodeSegmentHeader(Encode(header)), why);
  };
  using H = SegmentHeader&;
  ASSERT_TRUE(DecodeSegmentHeader(Encode(SmallSegment())).has_value());
  refused("no stream or record", [](H h) { h.stream = {}; });
  refused("no stream or record", [](H h) { h.stream_first_seq = 0; });
  refused("before its stream", [](H h) { h.stream_first_seq = 6; });
  refused("volume size", [](H h) { h.volume_size = 0; });
  refused("disagree", [](H h) { h.base_head.seq = 1; });
}

GroupHeader SmallGroup() {
  GroupHeader group;
  group.total_bytes = 80 + 2 * 44 + 4096;
  group.first_seq = 9;
  group.record_count = 2;
  return group;
}

Result<GroupHeader> Recoded(const GroupHeader& group) {
  Bytes bytes(kGroupHeaderBytes);
  EncodeTo(group, std::span<std::byte, kGroupHeaderBytes>(bytes));
  return DecodeGroupHeader(bytes);
}

TEST(Group, TellsTheEndOfWhatWasWrittenFromDamage) {
  ASSERT_TRUE(Recoded(SmallGroup()).has_value());
  ExpectRefused(DecodeGroupHeader(Bytes(80, std::byte{0})), ErrorCode::kNotFound, "none");
  ExpectRefused(DecodeGroupHeader({}), ErrorCode::kNotFound, "none");
  ExpectRefused(DecodeGroupHeader(AsBytes("CGR")), ErrorCode::kNotFound, "none");
  ExpectCorrupt(DecodeGroupHeader(AsBytes("CGRP")), "too early");
}

TEST(Group, RefusesWhatCannotBe) {
  const auto refused = [](std::string_view why, auto change) {
    GroupHeader group = SmallGroup();
    change(group);
    ExpectCorrupt(Recoded(group), why);
  };
  using G = GroupHeader&;
  refused("number of records", [](G g) { g.record_count = 0; });
  refused("number of records", [](G g) { g.record_count = kRecordsPerGroupMax + 1; });
  refused("length", [](G g) { g.total_bytes = 80 + 2 * 44 - 1; });
  refused("length", [](G g) { g.total_bytes = 80 + 2 * (44 + 32768) + 1; });
  refused("length", [](G g) {
    g.record_count = 3000;
    g.total_bytes = kJournalSegmentBytesMax - kSegmentHeaderBytes + 1;
  });
  refused("sequence", [](G g) { g.first_seq = 0; });
  refused("more records before", [](G g) { g.not_durable = 9; });
  refused("sequence", [](G g) { g.first_seq = ~std::uint64_t{0} - 1; });
}

Result<RecordHeader> Recoded(const RecordHeader& record) {
  Bytes bytes(kRecordHeaderBytes);
  EncodeTo(record, std::span<std::byte, kRecordHeaderBytes>(bytes));
  return DecodeRecordHeader(bytes);
}

TEST(Record, HoldsWholeBlocksInsideTheLargestVolume) {
  using Kind = RecordKind;
  const std::uint64_t last = kVolumeBytesMax - 4096;
  EXPECT_TRUE(Recoded(RecordHeader{Kind::kWrite, true, last, 4096}).has_value());
  EXPECT_TRUE(Recoded(RecordHeader{Kind::kZero, false, 0, kVolumeBytesMax}).has_value());
  EXPECT_TRUE(Recoded(RecordHeader{Kind::kResize, false, 0, kVolumeBytesMax}).has_value());
  const std::vector<RecordHeader> bad = {{Kind::kWrite, false, 0, 0},
                                         {Kind::kWrite, false, 0, 32768 + 4096},
                                         {Kind::kWrite, false, 0, 512},
                                         {Kind::kWrite, false, 512, 4096},
                                         {Kind::kWrite, false, last, 8192},
                                         {Kind::kZero, false, ~std::uint64_t{4095}, 8192},
                                         {Kind::kZero, false, 4096, kVolumeBytesMax},
                                         {Kind::kResize, false, 4096, 4096},
                                         {Kind::kResize, true, 0, 4096},
                                         {Kind::kResize, false, 0, 0},
                                         {static_cast<Kind>(0), false, 0, 4096},
                                         {static_cast<Kind>(4), false, 0, 4096}};
  for (const RecordHeader& record : bad) ExpectCorrupt(Recoded(record), "cannot be");
}

TEST(Record, KeepsItsReservedBits) {
  Bytes good(kRecordHeaderBytes);
  EncodeTo(RecordHeader{RecordKind::kWrite, true, 0, 4096},
           std::span<std::byte, kRecordHeaderBytes>(good));
  for (unsigned bit = 2; bit != 0x100; bit <<= 1) {
    Bytes bytes = good;
    bytes[1] |= static_cast<std::byte>(bit);
    ExpectCorrupt(DecodeRecordHeader(bytes), "reserved");
  }
}

TEST(Trust, RefusesWhatCannotBe) {
  Trust trust;
  trust.vault = kVault;
  trust.volumes = {{SeqId<VolumeId>(1), {}, {}, 0}, {SeqId<VolumeId>(2), {}, {}, 0}};
  ASSERT_TRUE(DecodeTrust(Encode(trust)).has_value());
  trust.volumes[1].volume = trust.volumes[0].volume;
  ExpectCorrupt(DecodeTrust(Encode(trust)), "twice");
  trust.volumes.clear();
  trust.catalog.seq = 1;
  ExpectCorrupt(DecodeTrust(Encode(trust)), "disagree");
  trust.catalog = {0, SeqId<ObjectHash>(1)};
  ExpectCorrupt(DecodeTrust(Encode(trust)), "disagree");
}

}  // namespace
}  // namespace coffer::format
