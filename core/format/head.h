// A head, objects heads/<volume>/<rev>: the authenticated record that names one state of a volume.
// Sealed whole (sealed_object.h), bound to vault, volume and sequence.
//
//   vault 16 | volume 16 | seq u64 | parent 32 | epoch u64 | flags u8
//   (1 released, 2 barrier, 4 tombstone) | durability u8 | host 16 | host name | created i64
//   | features 3 x u64 | chunk size u32 | map | journal stream 16 | journal seq u64
//   | catalog_seq_min u64 | header_seq_min u64 | gc_seen u64 | snapshot_id_next u64
//   | snapshot count varint | {id varint | name | created i64 | map | extensions} | extensions
//
//   map: size u64 | level u8 | root count u8 (0, 1) | {page id 16 | frame}
//   | delta count varint | {entry count varint | frame}
//
//   frame: pack 32 | key epoch u32 | codec u8 | frame varint | offset varint
//   | stored length varint | plain length varint
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/extension.h"
#include "core/format/limits.h"
#include "core/format/page.h"

namespace coffer::format {

/// Durability of FLUSH (design.md section 2).
enum class Durability : std::uint8_t { kLocal = 0, kCloud = 1 };

struct DeltaRef {
  FrameRef frame;
  std::uint32_t entry_count = 0;
  bool operator==(const DeltaRef&) const = default;
};

/// One state of the block map: a tree and the deltas over it, oldest first.
struct MapRoot {
  std::uint64_t size = 0;  // bytes of the volume
  std::uint8_t level = 0;  // of the root page; 0 without one
  std::optional<PageRef> page;
  std::vector<DeltaRef> deltas;
  bool operator==(const MapRoot&) const = default;
};

struct Snapshot {
  std::uint64_t id = 0;
  std::string name;
  std::int64_t created_unix = 0;
  MapRoot map;
  Extensions extensions;
  bool operator==(const Snapshot&) const = default;
};

/// How far the head covers the journal that it was made from.
struct JournalPosition {
  StreamId stream;
  std::uint64_t seq = 0;  // last record included
  bool operator==(const JournalPosition&) const = default;
};

struct Head {
  VaultId vault;
  VolumeId volume;
  std::uint64_t seq = 0;    // from 1
  ObjectHash parent;        // of the head before as stored, null in the first
  std::uint64_t epoch = 0;  // rises when another writer takes over
  bool released = false;    // set at close: anyone may go on
  bool barrier = false;     // made by GC for a silent volume: same map, next seq
  bool tombstone = false;   // the volume is being deleted: nobody goes on above this head
  Durability durability = Durability::kLocal;
  HostId host;
  std::string host_name;
  std::int64_t created_unix = 0;
  Features features;
  std::uint32_t chunk_size = 0;
  MapRoot map;
  JournalPosition journal;
  std::uint64_t catalog_seq_min = 0;
  std::uint64_t header_seq_min = 0;
  std::uint64_t gc_seen = 0;  // newest condemned list of the catalog that this writer has seen
  std::uint64_t snapshot_id_next = 1;
  std::vector<Snapshot> snapshots;  // ascending id
  Extensions extensions;
  bool operator==(const Head&) const = default;
};

[[nodiscard]] Bytes Encode(const Head& head);
[[nodiscard]] Result<Head> DecodeHead(ByteView bytes);

}  // namespace coffer::format
