#include "core/format/head.h"

#include "core/format/fields.h"

namespace coffer::format {
namespace {

constexpr std::uint8_t kReleasedFlag = 1;
constexpr std::uint8_t kBarrierFlag = 2;
constexpr std::uint8_t kTombstoneFlag = 4;
constexpr std::size_t kMapBytesMin = 8 + 1 + 1 + 1;
constexpr std::size_t kDeltaRefBytesMin = 1 + kFullFrameRefBytesMin;
constexpr std::size_t kSnapshotBytesMin = 1 + 2 + 8 + kMapBytesMin + 1;

void WriteMap(Writer& out, const MapRoot& map) {
  CHECK(map.deltas.size() <= kDeltasMax);
  out.U64(map.size);
  out.U8(map.level);
  out.U8(map.page.has_value() ? 1 : 0);
  if (map.page.has_value()) {
    out.Id(map.page->id);
    WriteFullFrameRef(out, map.page->frame);
  }
  out.Varint(map.deltas.size());
  for (const DeltaRef& delta : map.deltas) {
    out.Varint(delta.entry_count);
    WriteFullFrameRef(out, delta.frame);
  }
}

MapRoot ReadMap(Reader& in) {
  MapRoot map;
  map.size = in.U64();
  in.Require(IsValidVolumeSize(map.size), "a volume size that cannot be");
  map.level = in.U8();
  const std::uint8_t roots = in.U8();
  in.Require(roots <= 1 && map.level <= (roots == 0 ? 0 : kPageLevelMax),
             "a map whose root cannot be");
  if (roots == 1 && in.ok()) {
    map.page.emplace();
    map.page->id = in.Id<PageId>();
    map.page->frame = ReadFullFrameRef(in, kPageBytesMax);
  }
  map.deltas.resize(in.Count(kDeltasMax, kDeltaRefBytesMin));
  for (DeltaRef& delta : map.deltas) {
    delta.entry_count = in.VarintIn<std::uint32_t>(1, kDeltaEntriesMax);
    delta.frame = ReadFullFrameRef(in, kDeltaBytesMax);
  }
  return map;
}

bool IsPossibleSnapshotName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '/' && c != '@';
  });
}

void WriteSnapshot(Writer& out, const Snapshot& snapshot) {
  CHECK(IsPossibleSnapshotName(snapshot.name));
  out.Varint(snapshot.id);
  out.Text(snapshot.name, kNameBytesMax);
  out.I64(snapshot.created_unix);
  WriteMap(out, snapshot.map);
  WriteExtensions(out, snapshot.extensions);
}

Snapshot ReadSnapshot(Reader& in) {
  Snapshot snapshot;
  snapshot.id = in.Varint();
  snapshot.name = in.Text(kNameBytesMax);
  in.Require(IsPossibleSnapshotName(snapshot.name), "a snapshot name that cannot be");
  snapshot.created_unix = in.I64();
  snapshot.map = ReadMap(in);
  snapshot.extensions = ReadExtensions(in);
  return snapshot;
}

std::vector<Snapshot> ReadSnapshots(Reader& in, std::uint64_t id_next) {
  std::vector<Snapshot> snapshots;
  const std::size_t count = in.Count(kSnapshotsMax, kSnapshotBytesMin);
  snapshots.reserve(count);
  std::uint64_t last_id = 0;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    snapshots.push_back(ReadSnapshot(in));
    in.Require(snapshots.back().id > last_id, "snapshot numbers do not ascend");
    last_id = snapshots.back().id;
  }
  in.Require(last_id < id_next, "a snapshot number has not been given out");
  return snapshots;
}

std::uint8_t FlagsOf(const Head& head) {
  unsigned flags = 0;
  if (head.released) flags |= kReleasedFlag;
  if (head.barrier) flags |= kBarrierFlag;
  if (head.tombstone) flags |= kTombstoneFlag;
  return static_cast<std::uint8_t>(flags);
}

void ReadFlags(Reader& in, Head* head) {
  const std::uint8_t flags = in.U8();
  in.Require((flags & ~(kReleasedFlag | kBarrierFlag | kTombstoneFlag)) == 0, "an unknown flag");
  head->released = (flags & kReleasedFlag) != 0;
  head->barrier = (flags & kBarrierFlag) != 0;
  head->tombstone = (flags & kTombstoneFlag) != 0;
}

}  // namespace

Bytes Encode(const Head& head) {
  CHECK(head.snapshots.size() <= kSnapshotsMax);
  Writer out(4096 + head.snapshots.size() * 160);
  out.Id(head.vault);
  out.Id(head.volume);
  out.U64(head.seq);
  out.Id(head.parent);
  out.U64(head.epoch);
  out.U8(FlagsOf(head));
  out.U8(static_cast<std::uint8_t>(head.durability));
  out.Id(head.host);
  out.Text(head.host_name, kHostNameBytesMax);
  out.I64(head.created_unix);
  WriteFeatures(out, head.features);
  out.U32(head.chunk_size);
  WriteMap(out, head.map);
  out.Id(head.journal.stream);
  out.U64(head.journal.seq);
  out.U64(head.catalog_seq_min);
  out.U64(head.header_seq_min);
  out.U64(head.gc_seen);
  out.U64(head.snapshot_id_next);
  out.Varint(head.snapshots.size());
  for (const Snapshot& snapshot : head.snapshots) WriteSnapshot(out, snapshot);
  WriteExtensions(out, head.extensions);
  return out.Take();
}

Result<Head> DecodeHead(ByteView bytes) {
  Reader in(bytes, kHeadBytesMax, "head");
  Head head;
  head.vault = in.Id<VaultId>();
  head.volume = in.Id<VolumeId>();
  head.seq = in.U64();
  head.parent = in.Id<ObjectHash>();
  in.Require(head.seq != 0 && (head.seq == 1) == head.parent.IsNull(),
             "its sequence and parent disagree");
  head.epoch = in.U64();
  ReadFlags(in, &head);
  head.durability = static_cast<Durability>(in.U8());
  in.Require(head.durability <= Durability::kCloud, "an unknown durability");
  head.host = in.Id<HostId>();
  head.host_name = in.Text(kHostNameBytesMax);
  head.created_unix = in.I64();
  head.features = ReadFeatures(in);
  head.chunk_size = in.U32();
  in.Require(IsValidChunkSize(head.chunk_size), "a chunk size that does not exist");
  head.map = ReadMap(in);
  head.journal.stream = in.Id<StreamId>();
  head.journal.seq = in.U64();
  head.catalog_seq_min = in.U64();
  head.header_seq_min = in.U64();
  head.gc_seen = in.U64();
  head.snapshot_id_next = in.U64();
  head.snapshots = ReadSnapshots(in, head.snapshot_id_next);
  head.extensions = ReadExtensions(in);
  RETURN_IF_ERROR(in.End());
  return head;
}

}  // namespace coffer::format
