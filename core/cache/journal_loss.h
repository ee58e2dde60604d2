// JournalLoss: what a damaged journal has lost, as addresses of the volume. Filled by the replayer
// with the records behind the damage that can still be read (and are not applied: replay skips
// nothing); those that can't are counted. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/cache/journal.h"

namespace coffer::cache {

class JournalLoss {
 public:
  /// A record that is there, authentic, and out of reach. One may be found more than once.
  void Add(std::uint64_t seq, const format::RecordHeader& header);

  /// Where they write, joined, by offset.
  [[nodiscard]] std::vector<Journal::Range> ranges() const;
  /// How many of the records `first` to `last` were not found.
  [[nodiscard]] std::uint64_t CountUnknown(std::uint64_t first, std::uint64_t last) const;
  [[nodiscard]] bool resize() const { return resize_; }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;     // offset, end; they neither meet nor touch
  std::map<std::uint64_t, std::uint64_t> sequences_;  // the same of sequences
  bool resize_ = false;
};

/// For people: "bytes 4096 to 12288, 65536 to 69632 and 3 more of the volume".
[[nodiscard]] std::string DescribeRanges(std::span<const Journal::Range> ranges,
                                         std::size_t count_max);

}  // namespace coffer::cache
