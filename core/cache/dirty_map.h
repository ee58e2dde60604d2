// DirtyMap: which bytes one generation has changed, and where their newest state lies. An interval
// map of byte ranges (multiples of 4096): a write points at its journal record, a trim, zero or
// cut-off tail is a range without data, whatever its length. Not thread-safe: the volume's LiveMap
// guards it.
#pragma once

#include <cstdint>
#include <map>

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

  /// Puts the range on top of what is there.
  void Insert(std::uint64_t offset, std::uint64_t end, RecordPtr record);
  /// Puts everything of `newer` on top of this.
  void Merge(const DirtyMap& newer);

  /// Calls `visit(Extent)` for each part of [offset, end) held, ascending, cut to that range.
  template <class Visit>
  void ForEach(std::uint64_t offset, std::uint64_t end, const Visit& visit) const {
    auto place = extents_.upper_bound(offset);
    if (place != extents_.begin() && std::prev(place)->second.end > offset) --place;
    for (; place != extents_.end() && place->first < end; ++place) {
      visit(Extent{std::max(offset, place->first), std::min(end, place->second.end),
                   place->second.record});
    }
  }
  /// Offset of the first byte at or after `offset` that is held, or `none`.
  [[nodiscard]] std::uint64_t NextHeld(std::uint64_t offset, std::uint64_t none) const;
  /// End of the zero range that holds `offset`; `offset` when none does.
  [[nodiscard]] std::uint64_t ZeroesUntil(std::uint64_t offset) const;

  [[nodiscard]] bool empty() const { return extents_.empty(); }
  /// Bytes of data held (zero ranges do not count).
  [[nodiscard]] std::uint64_t data_bytes() const { return data_bytes_; }
  [[nodiscard]] std::size_t extent_count() const { return extents_.size(); }
  [[nodiscard]] std::uint64_t end_offset() const {
    return extents_.empty() ? 0 : extents_.rbegin()->second.end;
  }
  void CheckInvariants() const;

 private:
  struct Rest {
    std::uint64_t end;
    RecordPtr record;
  };
  void Account(const Rest& rest, std::uint64_t offset, int sign);

  std::map<std::uint64_t, Rest> extents_;  // by offset, disjoint
  std::uint64_t data_bytes_ = 0;
};

}  // namespace coffer::cache
