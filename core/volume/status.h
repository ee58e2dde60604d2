// What `coffer status` shows of an open volume. Plain values, a consistent reading of one moment.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/format/head.h"

namespace coffer::volume {

struct VolumeStatus {
  std::uint64_t size = 0;  // bytes
  std::uint32_t chunk_size = 0;
  bool read_only = false;
  format::Durability durability = format::Durability::kLocal;

  // Journal sequence numbers of the last request in each state.
  std::uint64_t acknowledged_seq = 0;
  std::uint64_t durable_seq = 0;
  std::uint64_t committed_seq = 0;

  std::uint64_t unsynced_bytes = 0;  // acknowledged, not durable: what a power cut now could take
  std::uint64_t behind_bytes =
      0;                      // dirty bytes that no head covers yet; of zeros or a size: a block
  double behind_seconds = 0;  // age of the oldest change that no head covers, also after a
                              // crash (by the wall clock then)
  std::uint64_t journal_bytes = 0;  // on disk
  std::size_t generations = 0;      // waiting or being built
  bool syncing = false;
  double sync_bytes_per_second = 0;     // dirty bytes, as the last commits went; 0: unknown
  int writers_waiting = 0;              // for room in the journal or on its disk
  int flushes_waiting = 0;              // for the store (durability = cloud)
  int readers_waiting = 0;              // for a store that is away
  std::uint64_t journal_bytes_max = 0;  // where writers begin to wait

  std::uint64_t head_seq = 0;
  std::size_t unfolded_deltas = 0;        // of that head
  std::uint64_t commits = 0;              // heads written since open
  std::uint64_t uploaded_bytes = 0;       // packs and heads since open
  std::uint64_t consolidated_chunks = 0;  // since open: written whole, though they were not dirty

  /// The newest failure of a sync, gone after the next success; empty message = none. A
  /// kNeedsPerson error names its state (FENCED, NO-SPACE, …) and hint.
  Error trouble{ErrorCode::kUnavailable, {}, {}};
  double retry_in_seconds = 0;

  bool failed = false;  // the journal has: nothing can be written any more
  /// What needs a person (design.md section 8): the state's name first, the hint says what resolves
  /// it. Some are tried again by themselves all the same.
  std::vector<Error> needs;
};

}  // namespace coffer::volume
