// Residual: the changes that a fold must leave in deltas, since the page that they belong on cannot
// be read and what it says of the other chunks must not be lost for good: the pack may come back.
// Together they are what is beneath such pages in the overlay, no more: a chunk is in it once,
// however often it was written, so it grows with what is changed there and not with time.
//
// Numbers: a delta of it holds about 4 MiB, some 130,000 whole chunks (8 GiB of them at 64 KiB), or
// as many patches; there are at most 16. Beyond that folds fail, and commits when a head has 128
// deltas (docs/FORMAT.md, "Limits").
#pragma once

#include <string>
#include <vector>

#include "core/format/head.h"
#include "core/map/overlay.h"

namespace coffer::map {

inline constexpr std::size_t kResidualDeltasMax = 16;

/// Chunks of which the map cannot be told, as far as nothing newer hides that, and why.
struct LostChunks {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::string message;
};

struct ResidualDelta {
  format::Delta delta;
  format::DeltaRef ref;
};

class ResidualBuilder {
 public:
  explicit ResidualBuilder(std::uint32_t chunk_size) : chunk_size_(chunk_size) {}

  /// Leaves what `overlay` has of the chunks [first, end). REQUIRES: they lie behind those before.
  void Leave(const Overlay& overlay, std::uint64_t first, std::uint64_t end);
  /// What was left, cut into deltas; kCorruption if they would be too many.
  Result<std::vector<format::Delta>> Take();

 private:
  const std::uint32_t chunk_size_;
  std::vector<format::DeltaEntry> entries_;
};

}  // namespace coffer::map
