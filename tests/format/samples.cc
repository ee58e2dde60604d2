#include "tests/format/samples.h"

#include <algorithm>

namespace coffer::format {

Bytes Samples::RandomBytes(std::size_t count) {
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(engine_());
  return bytes;
}

std::string Samples::NewText(std::size_t bytes_max) {
  return std::string(AsText(RandomBytes(Between(0, bytes_max))));
}

std::string Samples::NewName() {
  constexpr std::string_view kFirst =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string name(1, kFirst[Below(kFirst.size())]);
  const std::size_t length = Between(8, kNameBytesMax);
  while (name.size() < length) name += OneIn(9) ? "._-"[Below(3)] : kFirst[Below(kFirst.size())];
  return name;
}

Extensions Samples::NewExtensions() {
  Extensions extensions;
  std::uint16_t tag = 0;
  while (OneIn(3)) {
    tag = static_cast<std::uint16_t>(tag + Between(1, 300));
    extensions.push_back({tag, RandomBytes(Below(40))});
  }
  return extensions;
}

Features Samples::NewFeatures() {
  Features features;
  features.read_only_compatible = OneIn(2) ? 0 : engine_();
  features.compatible = OneIn(2) ? 0 : engine_();
  return features;
}

ChainPoint Samples::NewPoint() {
  if (OneIn(4)) return {};
  return {Between(1, 1u << 20), NewId<ObjectHash>()};
}

std::uint64_t Samples::NewVolumeSize() {
  return Between(1, std::uint64_t{1} << Between(0, 32)) * kBlockBytes;
}

std::uint32_t Samples::NewChunkSize() { return kChunkBytesMin << Below(5); }

FrameRef Samples::NewFrame(std::uint32_t plain_length) {
  if (packs_.empty() || OneIn(5))
    packs_.emplace_back(NewId<PackId>(), static_cast<std::uint32_t>(Between(1, 9)));
  FrameRef ref;
  std::tie(ref.pack, ref.key_epoch) = packs_[Below(packs_.size())];
  ref.frame = static_cast<std::uint32_t>(Between(1, kFramesPerPackMax));
  ref.plain_length = plain_length;
  ref.stored_length = static_cast<std::uint32_t>(Between(1, plain_length)) + 16;
  ref.offset =
      static_cast<std::uint32_t>(Between(kPackFramesOffset, kPackBytesMax - ref.stored_length));
  ref.codec = static_cast<std::uint8_t>(Below(3));
  return ref;
}

FrameRef Samples::NewFrame(std::uint32_t plain_length, const PackId& self,
                           std::uint32_t self_epoch) {
  FrameRef ref = NewFrame(plain_length);
  if (OneIn(3)) {
    ref.pack = self;
    ref.key_epoch = self_epoch;
  }
  return ref;
}

Pieces Samples::NewPieces(std::uint32_t chunk_size, const PackId& self, std::uint32_t self_epoch) {
  const std::uint64_t blocks = chunk_size / kBlockBytes;
  Pieces pieces(OneIn(3) ? Between(1, 8) : 1);
  for (Piece& piece : pieces) {
    piece.first_block = static_cast<std::uint8_t>(Below(blocks));
    piece.block_count = static_cast<std::uint8_t>(Between(1, blocks - piece.first_block));
    if (OneIn(4)) continue;
    piece.kind = Piece::Kind::kFrame;
    piece.content = NewId<ContentId>();
    piece.frame = NewFrame(piece.block_count * kBlockBytes, self, self_epoch);
  }
  return pieces;
}

Marker Samples::NewMarker() { return {NewId<VaultId>(), 0}; }

KeyHeader Samples::NewKeyHeader() {
  KeyHeader header;
  header.vault = NewId<VaultId>();
  header.seq = Between(1, 1000);
  for (KeySlot& slot : header.slots) {
    if (OneIn(2)) continue;
    slot.kind = static_cast<SlotKind>(Between(1, 4));
    slot.memory_kib = static_cast<std::uint32_t>(engine_());
    slot.iterations = static_cast<std::uint32_t>(engine_());
    slot.parallelism = static_cast<std::uint32_t>(engine_());
    std::ranges::copy(RandomBytes(32), slot.salt.begin());
    std::ranges::copy(RandomBytes(32), slot.commitment.begin());
    std::ranges::copy(RandomBytes(48), slot.sealed_unlock_key.begin());
  }
  std::ranges::copy(RandomBytes(32), header.keyring_salt.begin());
  header.sealed_keyring = RandomBytes(512 * Between(1, 3) + 16);
  std::ranges::copy(RandomBytes(32), header.mac.begin());
  return header;
}

Keyring Samples::NewKeyring() {
  Keyring keyring;
  if (!OneIn(3)) keyring.parent = NewId<ObjectHash>();
  keyring.features = NewFeatures();
  std::uint32_t epoch = 0;
  do {
    epoch += static_cast<std::uint32_t>(Between(1, 3));
    keyring.epochs.push_back(
        {epoch, SecretBytes::CopyOf(RandomBytes(32)), static_cast<std::int64_t>(engine_())});
  } while (!OneIn(3));
  for (std::uint8_t slot = 0; slot < kKeySlots; ++slot) {
    if (!OneIn(4)) continue;
    keyring.slots.push_back({slot, static_cast<std::int64_t>(engine_()), NewText(kHostNameBytesMax),
                             NewText(kLabelBytesMax)});
  }
  std::shuffle(keyring.slots.begin(), keyring.slots.end(), engine_);
  keyring.extensions = NewExtensions();
  return keyring;
}

Catalog Samples::NewCatalog() {
  Catalog catalog;
  catalog.vault = NewId<VaultId>();
  catalog.seq = OneIn(3) ? 1 : Between(2, 1u << 30);
  if (catalog.seq != 1) catalog.parent = NewId<ObjectHash>();
  catalog.host = NewId<HostId>();
  catalog.host_name = NewText(kHostNameBytesMax);
  catalog.created_unix = static_cast<std::int64_t>(engine_());
  catalog.features = NewFeatures();
  catalog.header_seq_min = Below(1000);
  catalog.dedup = static_cast<DedupScope>(Below(3));
  for (std::uint64_t i = Below(6); i > 0; --i) {
    CatalogVolume volume;
    volume.id = NewId<VolumeId>();
    volume.name = NewName();
    volume.state = OneIn(3) ? CatalogVolume::State::kDeleted : CatalogVolume::State::kLive;
    volume.created_unix = static_cast<std::int64_t>(engine_());
    if (OneIn(3)) {
      volume.forked_from = NewId<VolumeId>();
      volume.forked_seq = Between(1, 1000);
    }
    volume.extensions = NewExtensions();
    catalog.volumes.push_back(volume);
  }
  std::uint64_t number = 0;
  while (OneIn(2)) {
    CondemnedList list;
    list.number = number += Between(1, 5);
    list.created_unix = static_cast<std::int64_t>(engine_());
    for (std::uint64_t i = Below(5); i > 0; --i) list.packs.push_back(NewId<PackId>());
    catalog.condemned.push_back(list);
  }
  catalog.extensions = NewExtensions();
  return catalog;
}

MapRoot Samples::NewMap() {
  MapRoot map;
  map.size = NewVolumeSize();
  if (!OneIn(3)) {
    map.level = static_cast<std::uint8_t>(Below(4));
    map.page =
        PageRef{NewId<PageId>(), NewFrame(static_cast<std::uint32_t>(Between(1, kPageBytesMax)))};
  }
  for (std::uint64_t i = OneIn(2) ? Below(kDeltasMax + 1) : 0; i > 0; --i) {
    map.deltas.push_back({NewFrame(static_cast<std::uint32_t>(Between(1, kDeltaBytesMax))),
                          static_cast<std::uint32_t>(Between(1, kDeltaEntriesMax))});
  }
  return map;
}

Head Samples::NewHead() {
  Head head;
  head.vault = NewId<VaultId>();
  head.volume = NewId<VolumeId>();
  head.seq = OneIn(3) ? 1 : Between(2, 1u << 30);
  if (head.seq != 1) head.parent = NewId<ObjectHash>();
  head.epoch = Below(10);
  head.released = OneIn(2);
  head.barrier = OneIn(4);
  head.tombstone = OneIn(6);
  head.durability = OneIn(2) ? Durability::kLocal : Durability::kCloud;
  head.host = NewId<HostId>();
  head.host_name = NewText(kHostNameBytesMax);
  head.created_unix = static_cast<std::int64_t>(engine_());
  head.features = NewFeatures();
  head.chunk_size = NewChunkSize();
  head.map = NewMap();
  if (!OneIn(3)) head.journal = {NewId<StreamId>(), Below(1u << 30)};
  head.catalog_seq_min = Below(1000);
  head.header_seq_min = Below(1000);
  head.gc_seen = Below(1000);
  while (!OneIn(3)) {
    Snapshot snapshot;
    snapshot.id = head.snapshot_id_next;
    head.snapshot_id_next += Between(1, 200);
    snapshot.name = NewName();
    snapshot.created_unix = static_cast<std::int64_t>(engine_());
    snapshot.map = NewMap();
    snapshot.extensions = NewExtensions();
    head.snapshots.push_back(snapshot);
  }
  head.extensions = NewExtensions();
  return head;
}

Page Samples::NewPage(const PackId& self, std::uint32_t self_epoch) {
  Page page;
  page.level = static_cast<std::uint8_t>(OneIn(2) ? 0 : Below(kPageLevelMax + 1));
  page.chunk_size = NewChunkSize();
  const std::uint64_t chunks = kVolumeBytesMax / page.chunk_size;
  const std::uint64_t places = ((chunks - 1) >> (8 * page.level)) + 1;
  page.index = Below((places - 1) / kPageFanOut + 1);
  const std::uint64_t slots = std::min<std::uint64_t>(places - page.index * kPageFanOut, 256);
  const std::uint64_t every = Between(1, 64);
  for (std::uint64_t slot = Below(slots); slot < slots; slot += Between(1, every)) {
    const auto at = static_cast<std::uint8_t>(slot);
    if (page.level == 0)
      page.chunks.push_back({at, NewPieces(page.chunk_size, self, self_epoch)});
    else
      page.children.push_back(
          {at, PageRef{NewId<PageId>(),
                       NewFrame(static_cast<std::uint32_t>(Between(1, 20000)), self, self_epoch)}});
  }
  return page;
}

Delta Samples::NewDelta(const PackId& self, std::uint32_t self_epoch) {
  Delta delta;
  delta.chunk_size = NewChunkSize();
  const std::uint64_t chunks = kVolumeBytesMax / delta.chunk_size;
  std::uint64_t from = 0;
  do {
    DeltaEntry entry;
    entry.op = static_cast<DeltaEntry::Op>(Below(3));
    entry.chunk = from + (OneIn(2) ? 0 : Below(1u << Below(20)));
    if (entry.op == DeltaEntry::Op::kClear)
      entry.chunk_count = Between(1, 5000);
    else
      entry.pieces = NewPieces(delta.chunk_size, self, self_epoch);
    from = entry.chunk + entry.chunk_count;
    if (from > chunks) break;
    delta.entries.push_back(entry);
  } while (!OneIn(30));
  return delta;
}

PackHeader Samples::NewPackHeader() {
  PackHeader header{};
  header.frame_count = static_cast<std::uint32_t>(Between(1, 2000));
  header.table_offset =
      static_cast<std::uint32_t>(kPackFramesOffset + header.frame_count * Between(17, 5000));
  header.table_length = static_cast<std::uint32_t>(Between(17, 60000));
  header.pack_length =
      static_cast<std::uint32_t>(PadmeLength(header.table_offset + header.table_length + 16));
  return header;
}

std::vector<PackTableEntry> Samples::NewPackTable() {
  std::vector<PackTableEntry> table(Between(1, 50));
  for (PackTableEntry& entry : table) {
    entry = {};
    entry.type = static_cast<FrameType>(Between(1, 3));
    entry.codec = static_cast<std::uint8_t>(Below(3));
    entry.plain_length = static_cast<std::uint32_t>(
        entry.type == FrameType::kData ? Between(1, 64) * kBlockBytes : Between(1, 100000));
    entry.stored_length = static_cast<std::uint32_t>(Between(1, entry.plain_length)) + 16;
    if (entry.type != FrameType::kDelta) entry.id = NewId<ContentId>();
    if (entry.type != FrameType::kPage) continue;
    entry.level = static_cast<std::uint8_t>(Below(4));
    entry.index = engine_() >> Below(64);
  }
  return table;
}

Trust Samples::NewTrust() {
  Trust trust;
  trust.vault = NewId<VaultId>();
  trust.host = NewId<HostId>();
  trust.revision = engine_();
  trust.key_header = NewPoint();
  trust.catalog = NewPoint();
  for (std::uint64_t i = Below(5); i > 0; --i)
    trust.volumes.push_back({NewId<VolumeId>(), NewPoint(), NewPoint(), Below(10)});
  trust.extensions = NewExtensions();
  return trust;
}

SegmentPrefix Samples::NewSegmentPrefix() {
  SegmentPrefix prefix;
  prefix.key_epoch = static_cast<std::uint32_t>(engine_());
  prefix.segment = engine_();
  std::ranges::copy(RandomBytes(32), prefix.salt.begin());
  return prefix;
}

SegmentHeader Samples::NewSegmentHeader() {
  SegmentHeader header;
  header.vault = NewId<VaultId>();
  header.volume = NewId<VolumeId>();
  header.stream = NewId<StreamId>();
  header.segment = engine_();
  header.first_seq = Between(1, ~std::uint64_t{1});
  header.stream_first_seq = Between(1, header.first_seq);
  std::ranges::copy(RandomBytes(16), header.chain_tag.begin());
  header.base_head = NewPoint();
  header.volume_size = NewVolumeSize();
  header.created_unix = static_cast<std::int64_t>(engine_());
  return header;
}

GroupHeader Samples::NewGroupHeader() {
  GroupHeader header;
  header.record_count = static_cast<std::uint32_t>(Between(1, 1000));
  header.total_bytes =
      static_cast<std::uint32_t>(kGroupHeaderBytes + header.record_count * kRecordOverheadBytes +
                                 header.record_count * Below(9) * 4096);
  header.segment = engine_();
  header.first_seq = Between(1, std::uint64_t{1} << 62);
  header.not_durable =
      static_cast<std::uint32_t>(Below(std::min<std::uint64_t>(header.first_seq, 1u << 20)));
  std::ranges::copy(RandomBytes(16), header.chain_tag.begin());
  std::ranges::copy(RandomBytes(32), header.salt.begin());
  return header;
}

RecordHeader Samples::NewRecordHeader() {
  RecordHeader header;
  header.kind = static_cast<RecordKind>(Between(1, 3));
  header.written_unix = Below(std::uint64_t{1} << 48);
  if (header.kind == RecordKind::kResize) {
    header.length = NewVolumeSize();
    return header;
  }
  header.continues = OneIn(2);
  header.length = (header.kind == RecordKind::kWrite ? Between(1, 8) : Between(1, 1 << 20)) * 4096;
  header.offset = Below((kVolumeBytesMax - header.length) / 4096 + 1) * 4096;
  return header;
}

}  // namespace coffer::format
