// DirtyMap: which bytes one generation has changed, and where their newest state lies. Byte ranges
// (multiples of 4096): a write points at its journal record, a trim, zero or cut-off tail is a
// range without data, whatever its length. Not thread-safe: the volume's LiveMap guards it.
//
// Data lies in regions of 1 MiB, each a flat sorted array: a random write finds its place by a
// short search and a few steps in one piece of memory, where one tree of all ranges costs a cache
// miss or two for every level (half as much processor time again for each write). Ranges of zeros
// are few and may be as long as the volume, so they lie in a tree of their own.
//
// It counts as it goes what it comes to in a delta, so that whoever fills it knows when to stop:
// in *parts*, each what one range holds of one chunk; the whole chunks of a range of zeros are one
// part together. No delta made of it has more entries, or more pieces, than it has parts.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <vector>

#include "core/cache/journal.h"

namespace coffer::cache {

class DirtyMap {
 public:
  /// [offset, end) with one source; null record = zeros.
  struct Extent {
    std::uint64_t offset;
    std::uint64_t end;
    RecordPtr record;
  };

  /// Parts are counted in chunks of `chunk_size` bytes, a power of two of at least a block.
  explicit DirtyMap(std::uint32_t chunk_size)
      : chunk_shift_(static_cast<unsigned>(std::countr_zero(chunk_size))) {}

  /// Puts the range on top of what is there.
  void Insert(std::uint64_t offset, std::uint64_t end, const RecordPtr& record);
  /// Puts everything of `newer` on top of this.
  void Merge(const DirtyMap& newer);

  /// Calls `visit(Extent)` for each part of [offset, end) held, ascending, cut to that range.
  template <class Visit>
  void ForEach(std::uint64_t offset, std::uint64_t end, const Visit& visit) const {
    while (offset < end) {
      const Extent extent = From(offset);
      if (extent.offset >= end) return;
      visit(Extent{extent.offset, std::min(end, extent.end), extent.record});
      offset = extent.end;
    }
  }
  /// Offset of the first byte at or after `offset` that is held, or `none`.
  [[nodiscard]] std::uint64_t NextHeld(std::uint64_t offset, std::uint64_t none) const;
  /// End of the zero range that holds `offset`; `offset` when none does.
  [[nodiscard]] std::uint64_t ZeroesUntil(std::uint64_t offset) const;

  [[nodiscard]] bool empty() const { return regions_.empty() && zeros_.empty(); }
  /// Bytes of data held (zero ranges do not count).
  [[nodiscard]] std::uint64_t data_bytes() const { return data_bytes_; }
  /// Ranges of zeros held; they cost memory, though they hold no data.
  [[nodiscard]] std::uint64_t zero_ranges() const { return zeros_.size(); }
  [[nodiscard]] std::uint64_t parts() const { return data_parts_ + zero_parts_; }
  /// How many parts more there are, at most, once `record` is in it.
  [[nodiscard]] std::uint64_t PartsOf(const format::RecordHeader& record) const;
  /// How many there are, at most, after Merge(newer).
  [[nodiscard]] std::uint64_t PartsWith(const DirtyMap& newer) const;
  [[nodiscard]] std::uint64_t end_offset() const;
  void CheckInvariants() const;

 private:
  static constexpr std::uint64_t kRegionBytes = 1 << 20;
  static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
  struct Piece {
    std::uint32_t begin;  // bytes from the region's start
    std::uint32_t end;
    RecordPtr record;
  };
  using Region = std::vector<Piece>;  // ascending, disjoint, never empty

  [[nodiscard]] static Region::const_iterator FirstEndingAfter(const Region& region,
                                                               std::uint64_t at);
  /// What is held at `offset` or, if nothing is, next after it; at kNowhere if that is nothing.
  [[nodiscard]] Extent From(std::uint64_t offset) const;
  [[nodiscard]] Extent DataFrom(std::uint64_t offset) const;
  void InsertData(std::uint64_t offset, std::uint64_t end, const RecordPtr& record);
  void EraseData(std::uint64_t offset, std::uint64_t end);
  void InsertZeros(std::uint64_t offset, std::uint64_t end);
  void EraseZeros(std::uint64_t offset, std::uint64_t end);
  [[nodiscard]] std::uint64_t DataParts(std::uint64_t offset, std::uint64_t end) const {
    return ((end - 1) >> chunk_shift_) - (offset >> chunk_shift_) + 1;
  }
  /// At most kZeroPartsMax: a part of a chunk at both ends, and whole chunks between.
  [[nodiscard]] std::uint64_t ZeroParts(std::uint64_t offset, std::uint64_t end) const;
  static constexpr std::uint64_t kZeroPartsMax = 3;

  /// Puts `record` into [begin, end) of the region; null: nothing.
  void Replace(Region& region, std::uint32_t begin, std::uint32_t end, const RecordPtr& record);

  const unsigned chunk_shift_;
  std::map<std::uint64_t, Region> regions_;       // by offset / kRegionBytes
  std::map<std::uint64_t, std::uint64_t> zeros_;  // offset -> end; disjoint, also from all data
  std::uint64_t data_bytes_ = 0;
  std::uint64_t data_parts_ = 0;
  std::uint64_t zero_parts_ = 0;
};

}  // namespace coffer::cache
