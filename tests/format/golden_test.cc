// The encoders and decoders against tests/testdata/format-v1, which another program made from
// docs/FORMAT.md. These files never change: what coffer wrote once it must read for ever.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "core/crypto/content_hasher.h"
#include "core/crypto/hkdf.h"
#include "core/format/associated_data.h"
#include "core/format/catalog.h"
#include "core/format/chain_name.h"
#include "core/format/delta.h"
#include "core/format/head.h"
#include "core/format/journal.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/format/marker.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/format/sealed_object.h"
#include "core/format/spool.h"
#include "core/format/trust.h"
#include "tests/format/golden_values.h"

namespace coffer::format {
namespace {

Bytes ReadGolden(const std::string& name) {
  std::ifstream file(std::string(COFFER_TESTDATA) + "/format-v1/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  const std::string content((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
  return ToBytes(AsBytes(content));
}

Bytes TextBytes(std::string_view text) { return ToBytes(AsBytes(text)); }

const VaultId kVault = SeqId<VaultId>(0x10);
const VolumeId kVolume = SeqId<VolumeId>(0x20);
const PackId kSelf = SeqId<PackId>(0xA0);
constexpr std::uint32_t kSelfEpoch = 5;

void ExpectSame(ByteView actual, const std::string& golden) {
  const Bytes expected = ReadGolden(golden + ".bin");
  EXPECT_EQ(ToHex(actual), ToHex(expected)) << golden;
}

template <class Value, class Decoder>
void ExpectBothWays(const std::string& golden, const Value& value, Decoder decode) {
  ExpectSame(Encode(value), golden);
  const auto decoded = decode(ReadGolden(golden + ".bin"));
  ASSERT_TRUE(decoded.has_value()) << golden << ": " << decoded.error().message;
  EXPECT_TRUE(*decoded == value) << golden;
}

TEST(Golden, Marker) { ExpectBothWays("marker", Marker{kVault, 0}, DecodeMarker); }

TEST(Golden, KeyHeader) {
  KeyHeader header;
  header.vault = kVault;
  header.seq = 3;
  header.slots[0] = {SlotKind::kPassword, 262144, 3, 4, SeqArray<32>(0x20), SeqArray<32>(0x40),
                     SeqArray<48>(0x60)};
  header.slots[5] = {SlotKind::kRecoveryKey, 19456, 2, 1, SeqArray<32>(0x21), SeqArray<32>(0x41),
                     SeqArray<48>(0x61)};
  header.keyring_salt = SeqArray<32>(0xA0);
  header.sealed_keyring = Seq(0x80, 528);
  header.mac = SeqArray<32>(0xC0);
  ExpectBothWays("key_header", header, DecodeKeyHeader);
  const Bytes golden = ReadGolden("key_header.bin");
  EXPECT_EQ(KeyHeaderMacInput(golden).size(), golden.size() - 32);
}

void ExpectKeyring(const std::string& golden, const Keyring& keyring) {
  ExpectSame(Encode(keyring).view(), golden);
  const Bytes bytes = ReadGolden(golden + ".bin");
  auto decoded = DecodeKeyring(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->parent, keyring.parent);
  EXPECT_EQ(decoded->features, keyring.features);
  EXPECT_EQ(decoded->slots, keyring.slots);
  EXPECT_EQ(decoded->extensions, keyring.extensions);
  ASSERT_EQ(decoded->epochs.size(), keyring.epochs.size());
  for (std::size_t i = 0; i < keyring.epochs.size(); ++i) {
    EXPECT_EQ(decoded->epochs[i].epoch, keyring.epochs[i].epoch);
    EXPECT_EQ(decoded->epochs[i].created_unix, keyring.epochs[i].created_unix);
    EXPECT_TRUE(ConstantTimeEqual(decoded->epochs[i].master_key.view(),
                                  keyring.epochs[i].master_key.view()));
  }
}

TEST(Golden, Keyring) {
  Keyring keyring;
  keyring.epochs.push_back({1, SecretBytes::CopyOf(Seq(1, 32)), 1700000000});
  keyring.slots = {{0, 1700000000, "alpha", ""}};
  ExpectKeyring("keyring_first", keyring);

  keyring.parent = SeqId<ObjectHash>(0x70);
  keyring.features = {0, std::uint64_t{1} << 40, 6};
  keyring.epochs.push_back({4, SecretBytes::CopyOf(Seq(2, 32)), 1700000500});
  keyring.epochs.push_back({5, SecretBytes::CopyOf(Seq(3, 32)), -1});
  keyring.slots = {{5, 1700000001, "beta", "paper in the safe"}, {0, 1700000000, "alpha", ""}};
  keyring.extensions = {{7, Seq(1, 3)}, {900, {}}};
  ExpectKeyring("keyring_grown", keyring);
}

TEST(Golden, SealedObjects) {
  const std::vector<std::tuple<std::string, SealedKind, std::size_t>> all = {
      {"sealed_head", SealedKind::kHead, 1040},
      {"sealed_catalog", SealedKind::kCatalog, 528},
      {"sealed_trust", SealedKind::kTrust, 528},
      {"sealed_host_key", SealedKind::kHostKey, 80}};
  for (const auto& [name, kind, size] : all) {
    Bytes encoded = EncodeSealedPrefix(kind, 5, Seq(0x20, 32));
    const Bytes sealed = Seq(0x80, size);
    encoded.insert(encoded.end(), sealed.begin(), sealed.end());
    ExpectSame(encoded, name);
    const Bytes golden = ReadGolden(name + ".bin");
    const auto decoded = DecodeSealedObject(kind, golden);
    ASSERT_TRUE(decoded.has_value()) << name;
    EXPECT_EQ(decoded->key_epoch, 5u);
    EXPECT_EQ(decoded->salt, SeqArray<32>(0x20));
    EXPECT_EQ(ToBytes(decoded->sealed), sealed);
  }
}

TEST(Golden, Catalog) {
  using State = CatalogVolume::State;
  Catalog catalog;
  catalog.vault = kVault;
  catalog.seq = 1;
  catalog.host = SeqId<HostId>(0x30);
  catalog.host_name = "alpha";
  catalog.created_unix = 1700000000;
  catalog.header_seq_min = 1;
  catalog.volumes = {{kVolume, "photos", State::kLive, 1700000000, VolumeId{}, 0, {}}};
  ExpectBothWays("catalog_first", catalog, DecodeCatalog);

  catalog.seq = 300;
  catalog.parent = SeqId<ObjectHash>(0x50);
  catalog.host = SeqId<HostId>(0x31);
  catalog.host_name = "beta";
  catalog.created_unix = 1700000300;
  catalog.features = {0, 2, 1};
  catalog.header_seq_min = 4;
  catalog.dedup = DedupScope::kVolume;
  catalog.volumes[0].extensions = {{1, TextBytes("x")}};
  const VolumeId old_volume = SeqId<VolumeId>(0x21);
  const VolumeId fork = SeqId<VolumeId>(0x22);
  const std::string fork_name = "recovered-beta-20240101T000000";
  catalog.volumes.push_back(
      {old_volume, "old_photos.2023", State::kDeleted, 1690000000, VolumeId{}, 0, {}});
  catalog.volumes.push_back({fork, fork_name, State::kLive, 1700000299, kVolume, 77, {}});
  catalog.condemned = {{2, 1700000100, {SeqId<PackId>(0xA0), SeqId<PackId>(0xA1)}},
                       {9, 1700000200, {}}};
  catalog.extensions = {{3, Seq(0, 200)}};
  ExpectBothWays("catalog_grown", catalog, DecodeCatalog);
}

FrameRef Frame(unsigned pack, std::uint32_t epoch, std::uint8_t codec, std::uint32_t number,
               std::uint32_t offset, std::uint32_t stored, std::uint32_t plain) {
  return {SeqId<PackId>(pack), epoch, number, offset, stored, plain, codec};
}

Head FirstHead() {
  Head head;
  head.vault = kVault;
  head.volume = kVolume;
  head.seq = 1;
  head.epoch = 1;
  head.released = true;
  head.host = SeqId<HostId>(0x30);
  head.host_name = "alpha";
  head.created_unix = 1700000000;
  head.chunk_size = 65536;
  head.map.size = std::uint64_t{20} << 30;
  head.header_seq_min = 1;
  return head;
}

TEST(Golden, FirstHead) { ExpectBothWays("head_first", FirstHead(), DecodeHead); }

TEST(Golden, GrownHead) {
  Head head = FirstHead();
  head.seq = 812;
  head.parent = SeqId<ObjectHash>(0x50);
  head.epoch = 6;
  head.barrier = true;
  head.tombstone = true;
  head.durability = Durability::kCloud;
  head.host = SeqId<HostId>(0x31);
  head.host_name = "beta";
  head.created_unix = 1700000300;
  head.features = {0, 0, 9};
  head.chunk_size = 262144;
  head.map.size = std::uint64_t{100} << 30;
  head.map.level = 2;
  head.map.page = PageRef{SeqId<PageId>(0xB0), Frame(0xA0, 1, 2, 130, 8000000, 4321, 9000)};
  head.map.deltas = {{Frame(0xA1, 4, 2, 3, 48, 300000, 600000), 16384},
                     {Frame(0xA2, 5, 0, 1, 4144, 61, 45), 1}};
  head.journal = {SeqId<StreamId>(0x40), 987654321};
  head.catalog_seq_min = 300;
  head.header_seq_min = 4;
  head.gc_seen = 9;
  head.snapshot_id_next = 201;
  Snapshot before;
  before.id = 3;
  before.name = "before the move";
  before.created_unix = 1690000000;
  before.map.size = 4096;
  before.map.level = 1;
  before.map.page = PageRef{SeqId<PageId>(0xB1), Frame(0xA0, 1, 1, 9, 70000, 17, 30)};
  before.extensions = {{2, TextBytes("kept")}};
  Snapshot largest;
  largest.id = 200;
  largest.name = "s";
  largest.created_unix = 1690000001;
  largest.map.size = std::uint64_t{16} << 40;
  largest.map.deltas = {head.map.deltas[0]};
  head.snapshots = {before, largest};
  head.extensions = {{65535, TextBytes("end")}};
  ExpectBothWays("head_grown", head, DecodeHead);
}

TEST(Golden, Packs) {
  ExpectBothWays("pack_prefix", PackPrefix{kSelfEpoch}, DecodePackPrefix);
  const auto pack_length = static_cast<std::uint32_t>(PadmeLength(8000123 + 4567 + 16));
  ExpectBothWays("pack_header", PackHeader{128, 8000123, 4567, pack_length},
                 [&](ByteView bytes) { return DecodePackHeader(bytes, pack_length); });
  const std::vector<PackTableEntry> table = {
      {FrameType::kData, 2, 30000, 65536, SeqId<ContentId>(0xD0)},
      {FrameType::kData, 0, 4112, 4096, SeqId<ContentId>(0xD1)},
      {FrameType::kPage, 2, 4321, 9000, SeqId<ContentId>(0xD2), 2, 63},
      {FrameType::kPage, 1, 100, 200, SeqId<ContentId>(0xD3), 0, 4194303},
      {FrameType::kDelta, 0, 61, 45, ContentId{}}};
  ExpectBothWays("pack_table", table, DecodePackTable);
}

TEST(Golden, PadmeLengths) {
  const Bytes golden = ReadGolden("padme.bin");
  ASSERT_NE(golden.size(), 0u);
  for (std::size_t at = 0; at < golden.size(); at += 16) {
    const auto length = LoadLe<std::uint64_t>(&golden[at]);
    EXPECT_EQ(PadmeLength(length), LoadLe<std::uint64_t>(&golden[at + 8])) << length;
  }
}

Piece ZeroPiece(std::uint8_t first, std::uint8_t blocks) {
  return {Piece::Kind::kZero, first, blocks, {}, {}};
}

Piece FramePiece(std::uint8_t first, std::uint8_t blocks, unsigned content, FrameRef frame) {
  frame.plain_length = blocks * kBlockBytes;
  return {Piece::Kind::kFrame, first, blocks, SeqId<ContentId>(content), frame};
}

Page LeafPage() {
  Page page;
  page.index = 4194303 / 4;
  page.chunk_size = 65536;
  page.chunks = {
      {0, {FramePiece(0, 16, 0xD0, Frame(0xA0, 5, 2, 1, 48, 30000, 0))}},
      {7,
       {FramePiece(0, 16, 0xD1, Frame(0xA1, 4, 0, 65000, 39 << 20, 65552, 0)),
        FramePiece(3, 1, 0xD2, Frame(0xA2, 1, 1, 200, 300000, 17, 0)), ZeroPiece(15, 1)}},
      {255, {FramePiece(8, 8, 0xD3, Frame(0xA1, 4, 2, 2, 131, 4000, 0))}}};
  return page;
}

Bytes EncodedInPack(const Page& page) { return Encode(page, kSelf); }
Bytes EncodedInPack(const Delta& delta) { return Encode(delta, kSelf).value(); }

template <class Value, class Decoder>
void ExpectInPack(const std::string& golden, const Value& value, Decoder decode) {
  ExpectSame(EncodedInPack(value), golden);
  const auto decoded = decode(ReadGolden(golden + ".bin"), kSelf, kSelfEpoch);
  ASSERT_TRUE(decoded.has_value()) << golden << ": " << decoded.error().message;
  EXPECT_TRUE(*decoded == value) << golden;
}

TEST(Golden, Pages) {
  ExpectInPack("leaf_page", LeafPage(), DecodePage);
  ExpectSame(PageIdentity(LeafPage()), "leaf_page_identity");

  Page interior;
  interior.level = 2;
  interior.index = 63;
  interior.chunk_size = 16384;
  interior.children = {{2, {SeqId<PageId>(0xB0), Frame(0xA3, 2, 2, 9, 70000, 4321, 9000)}},
                       {3, {SeqId<PageId>(0xB1), Frame(0xA0, kSelfEpoch, 0, 1, 48, 116, 100)}}};
  ExpectInPack("interior_page", interior, DecodePage);
  ExpectSame(PageIdentity(interior), "interior_page_identity");
}

TEST(Golden, Delta) {
  using Op = DeltaEntry::Op;
  Delta delta;
  delta.chunk_size = 262144;
  delta.entries = {
      {Op::kClear, 0, 5, {}},
      {Op::kOverlay, 5, 1, {FramePiece(63, 1, 0xD0, Frame(0xA0, kSelfEpoch, 2, 1, 48, 2000, 0))}},
      {Op::kReplace,
       1006,
       1,
       {FramePiece(0, 64, 0xD1, Frame(0xA1, 4, 1, 4, 5000, 99999, 0)), ZeroPiece(1, 2)}},
      {Op::kOverlay, 1010, 1, {ZeroPiece(0, 64)}},
      {Op::kClear, (1 << 26) - 1, 1, {}}};
  ExpectInPack("delta", delta, DecodeDelta);
}

TEST(Golden, AssociatedData) {
  Bytes all;
  const auto add = [&all](ByteView bytes) { all.insert(all.end(), bytes.begin(), bytes.end()); };
  add(FrameAad({FrameType::kPage, 1, kVault, 5, kSelf, 9, 9000, 4321, 2, 63}));
  add(FrameAad({FrameType::kData, 2, kVault, 5, kSelf, 1, 65536, 30000}));
  add(SealedAad(SealedKind::kHead, 5, kVault, kVolume, 812));
  add(SealedAad(SealedKind::kTrust, 5, kVault, VolumeId{}, 0));
  add(SegmentHeaderAad(77));
  add(RecordAad(SeqId<StreamId>(0x40), 77, 987654321));
  add(KeyringAad(kVault, 3));
  ExpectSame(all, "associated_data");
}

TEST(Golden, SegmentHeaders) {
  ExpectBothWays("segment_prefix", SegmentPrefix{5, 77, SeqArray<32>(0x20)}, DecodeSegmentPrefix);
  SegmentHeader header;
  header.vault = kVault;
  header.volume = kVolume;
  header.stream = SeqId<StreamId>(0x40);
  header.segment = 1;
  header.first_seq = 1;
  header.stream_first_seq = 1;
  header.volume_size = 4096;
  header.created_unix = 1700000300;
  ExpectBothWays("segment_header_first", header, DecodeSegmentHeader);

  header.segment = 77;
  header.first_seq = 987654000;
  header.stream_first_seq = 987000000;
  header.chain_tag = SeqArray<16>(0xE0);
  header.base_head = {812, SeqId<ObjectHash>(0x50)};
  header.volume_size = std::uint64_t{20} << 30;
  ExpectBothWays("segment_header", header, DecodeSegmentHeader);
}

TEST(Golden, JournalGroupsAndRecords) {
  const GroupHeader group{80 + 44 + 4096 + 44, 77, 987654321, 2, 300, SeqArray<16>(0xE0),
                          SeqArray<32>(0x20)};
  std::array<std::byte, kGroupHeaderBytes> encoded;
  EncodeTo(group, encoded);
  ExpectSame(encoded, "group_header");
  EXPECT_EQ(DecodeGroupHeader(ReadGolden("group_header.bin")).value(), group);

  const std::vector<RecordHeader> records = {
      {RecordKind::kWrite, true, 8192, 32768},
      {RecordKind::kWrite, false, 40960, 4096},
      {RecordKind::kZero, false, std::uint64_t{1} << 40, std::uint64_t{15} << 40},
      {RecordKind::kResize, false, 0, 8192}};
  const Bytes golden = ReadGolden("record_headers.bin");
  ASSERT_EQ(golden.size(), records.size() * kRecordHeaderBytes);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const ByteView expected = ByteView(golden).subspan(i * kRecordHeaderBytes, kRecordHeaderBytes);
    std::array<std::byte, kRecordHeaderBytes> header;
    EncodeTo(records[i], header);
    EXPECT_EQ(ToHex(header), ToHex(expected));
    EXPECT_EQ(DecodeRecordHeader(expected).value(), records[i]);
  }
}

TEST(Golden, Trust) {
  Trust trust;
  trust.vault = kVault;
  trust.host = SeqId<HostId>(0x30);
  trust.revision = 1;
  ExpectBothWays("trust_new", trust, DecodeTrust);

  trust.revision = 99;
  trust.key_header = {3, SeqId<ObjectHash>(0x54)};
  trust.catalog = {300, SeqId<ObjectHash>(0x50)};
  trust.volumes = {
      {SeqId<VolumeId>(0x22), {812, SeqId<ObjectHash>(0x51)}, {811, SeqId<ObjectHash>(0x52)}, 6},
      {kVolume, {1, SeqId<ObjectHash>(0x53)}, {}, 0}};
  trust.extensions = {{4, TextBytes("stamp")}};
  ExpectBothWays("trust", trust, DecodeTrust);
}

TEST(Golden, HostKey) {
  const HostKeyRecord record{kVault, SeqId<HostId>(0x30), SecretBytes::CopyOf(Seq(0x90, 32))};
  ExpectSame(Encode(record).view(), "host_key");
  const auto decoded = DecodeHostKeyRecord(ReadGolden("host_key.bin"));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->vault, record.vault);
  EXPECT_EQ(decoded->host, record.host);
  EXPECT_TRUE(ConstantTimeEqual(decoded->key.view(), record.key.view()));
}

TEST(Golden, SpooledHead) { ExpectBothWays("spool", Spool{813, Seq(0x80, 1120)}, DecodeSpool); }

TEST(Golden, Names) {
  std::string names = std::string(kMarkerName) + "\n";
  for (const std::uint64_t seq : {1ull, 2ull, 812ull, ~0ull})
    names += ChainName(kKeysPrefix, seq) + "\n";
  names += ChainName(kCatalogPrefix, 300) + "\n";
  names += ChainName(HeadPrefix(kVolume), 812) + "\n";
  names += PackName(kSelf) + "\n";
  ExpectSame(AsBytes(names), "names");
}

TEST(Golden, KeysOfEveryPurpose) {
  const SecretBytes parent = SecretBytes::CopyOf(Seq(1, 32));
  Bytes all;
  const auto add = [&all](const SecretBytes& key) {
    all.insert(all.end(), key.view().begin(), key.view().end());
  };
  for (int purpose = 0; purpose < crypto::kKeyPurposeCount; ++purpose)
    add(crypto::DeriveKey(parent, static_cast<crypto::KeyPurpose>(purpose)));
  const Bytes salt = Seq(0x20, 32);
  add(crypto::DeriveObjectKey(parent, salt, {}));
  add(crypto::DeriveObjectKey(parent, salt, AsBytes("abc")));
  ExpectSame(all, "keys");
}

TEST(Golden, ContentAndPageIds) {
  const SecretBytes key = SecretBytes::CopyOf(Seq(1, 32));
  const ContentId content =
      crypto::ContentHasher(key).Id(static_cast<std::uint8_t>(FrameType::kData), Seq(0, 4096));
  const PageId page = crypto::PageHasher(key).Id(PageIdentity(LeafPage()));
  Bytes all = ToBytes(content.view());
  all.insert(all.end(), page.bytes.begin(), page.bytes.end());
  ExpectSame(all, "keyed_ids");
}

TEST(Golden, EveryFileOfTheManifestIsLookedAt) {
  std::ifstream manifest(std::string(COFFER_TESTDATA) + "/format-v1/MANIFEST");
  std::map<std::string, std::size_t> listed;
  std::string hash;
  std::string name;
  for (std::size_t length = 0; manifest >> hash >> name >> length;) listed[name] = length;
  for (const auto& [file, length] : listed) EXPECT_EQ(ReadGolden(file).size(), length) << file;
  EXPECT_EQ(listed.size(), 34u) << "a golden file without a test, or a test without its file";
}

}  // namespace
}  // namespace coffer::format
