// A catalog record, objects catalog/<rev>: the vault's own sealed chain. Each record holds the
// whole state; the chain is its history. Bound to vault and sequence.
//   vault 16 | seq u64 | parent 32 | host 16 | host name | created i64 | features 3 x u64
//   | header_seq_min u64 | dedup u8 | volume count varint | {id 16 | name | state u8 | created i64
//   | forked_from 16 | forked_seq u64 | extensions} | condemned count varint | {number u64
//   | created i64 | pack count varint | packs 32 each} | extensions
// Ids are unique, names unique among live volumes, condemned numbers ascend.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/extension.h"
#include "core/format/limits.h"

namespace coffer::format {

enum class DedupScope : std::uint8_t { kOff = 0, kVolume = 1, kVault = 2 };

struct CatalogVolume {
  enum class State : std::uint8_t { kLive = 1, kDeleted = 2 };
  VolumeId id;
  std::string name;
  State state = State::kLive;
  std::int64_t created_unix = 0;
  VolumeId forked_from;          // null unless a fork
  std::uint64_t forked_seq = 0;  // head that it began at
  Extensions extensions;
  bool operator==(const CatalogVolume&) const = default;
};

/// Packs that GC means to delete once every writer has seen the list.
struct CondemnedList {
  std::uint64_t number = 0;  // from 1, ascending; heads carry the newest seen as gc_seen
  std::int64_t created_unix = 0;
  std::vector<PackId> packs;
  bool operator==(const CondemnedList&) const = default;
};

struct Catalog {
  VaultId vault;
  std::uint64_t seq = 0;  // from 1
  ObjectHash parent;
  HostId host;
  std::string host_name;
  std::int64_t created_unix = 0;
  Features features;
  std::uint64_t header_seq_min = 0;  // older key headers are refused
  DedupScope dedup = DedupScope::kVault;
  std::vector<CatalogVolume> volumes;
  std::vector<CondemnedList> condemned;
  Extensions extensions;
  bool operator==(const Catalog&) const = default;
};

[[nodiscard]] Bytes Encode(const Catalog& catalog);
[[nodiscard]] Result<Catalog> DecodeCatalog(ByteView bytes);

/// A volume name as interfaces.md allows it: [A-Za-z0-9][A-Za-z0-9._-]{0,62}.
[[nodiscard]] bool IsValidVolumeName(std::string_view name);

}  // namespace coffer::format
