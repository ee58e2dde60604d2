// What a volume's owner may tune. Defaults are those of interfaces.md; the daemon fills them from
// config.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/clock.h"
#include "core/compress/codec.h"
#include "core/format/catalog.h"
#include "core/format/head.h"

namespace coffer::volume {

/// Retune of an open volume changes all down to `durability`, `codec` and the sizes of packs.
struct Settings {
  // A generation is cut, and so a commit begun, at whichever comes first.
  Duration sync_age = std::chrono::seconds(60);
  std::uint64_t sync_bytes = 64u << 20;

  std::uint64_t journal_bytes_max = std::uint64_t{4} << 30;  // then writers wait
  std::uint64_t journal_disk_share = 5;  // … or at a fifth of what the disk has free, if less
  /// How long a writer waits for room, then kNoSpace before anything is acknowledged.
  std::optional<Duration> journal_full_wait = std::nullopt;  // without limit
  std::uint64_t segment_bytes = 64u << 20;
  std::uint64_t dirty_memory_bytes_max = 64u
                                         << 20;  // beyond it dirty data are read from the journal

  /// How long a FLUSH waits for the store where durability is kCloud, then kUnavailable.
  std::optional<Duration> flush_wait = std::nullopt;  // without limit
  /// How long a reader waits for a store that is away, then kUnavailable.
  std::optional<Duration> store_away_wait = std::nullopt;  // without limit

  /// Else what the volume's head says. It goes into the next head.
  std::optional<format::Durability> durability = std::nullopt;

  /// Among what data that is there already is looked for; never more than the catalog allows. Read
  /// when the volume is opened.
  format::DedupScope dedup = format::DedupScope::kVault;

  compress::CodecSetting codec = {};
  std::uint64_t pack_bytes_target = 8u << 20;
  std::uint64_t pack_bytes_max = 16u << 20;  // with the delta that is put behind the data

  std::size_t generations_max = 8;  // then neighbours not being built merge, as far as they fit
  // What one commit takes: of data, and of parts (cache/dirty_map.h), of which its delta may hold
  // format::kDeltaPartsMax.
  std::uint64_t generation_bytes_max = 512u << 20;
  std::uint64_t generation_parts_max = 192 * 1024;
  // Deltas of so many, of so many bytes, or of so many entries together are folded into the tree.
  std::size_t deltas_max = 32;
  std::uint64_t delta_bytes_max = 4u << 20;
  std::uint64_t delta_entries_max = 128 * 1024;
  // A chunk of more pieces than this is written whole again: when it changes anyway and its bytes
  // are at hand, or in the background. 64 is never.
  std::size_t pieces_at_hand_max = 4;
  std::size_t pieces_background_max = 8;
  /// Chunks consolidated in the background after a fold, those of the most pieces: their bytes lie
  /// far apart in the store, so each costs a request or more.
  std::size_t background_chunks_max = 6;

  Duration retry_min = std::chrono::seconds(1);
  Duration retry_max = std::chrono::minutes(5);
};

}  // namespace coffer::volume
