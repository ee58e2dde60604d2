#include "core/cache/journal_loss.h"

#include <algorithm>

#include "core/base/log.h"

namespace coffer::cache {
namespace {

/// Adds [begin, end) to disjoint ranges, joining what meets or touches.
void AddRange(std::map<std::uint64_t, std::uint64_t>& ranges, std::uint64_t begin,
              std::uint64_t end) {
  auto next = ranges.upper_bound(begin);
  if (next != ranges.begin() && std::prev(next)->second >= begin) --next;
  while (next != ranges.end() && next->first <= end) {
    begin = std::min(begin, next->first);
    end = std::max(end, next->second);
    next = ranges.erase(next);
  }
  ranges.emplace(begin, end);
}

}  // namespace

void JournalLoss::Add(std::uint64_t seq, const format::RecordHeader& header) {
  AddRange(sequences_, seq, seq + 1);
  if (header.kind == format::RecordKind::kResize) {
    resize_ = true;
  } else {
    AddRange(ranges_, header.offset, header.offset + header.length);
  }
}

std::vector<Journal::Range> JournalLoss::ranges() const {
  std::vector<Journal::Range> ranges;
  ranges.reserve(ranges_.size());
  for (const auto& [begin, end] : ranges_) ranges.push_back({begin, end - begin});
  return ranges;
}

std::uint64_t JournalLoss::CountUnknown(std::uint64_t first, std::uint64_t last) const {
  std::uint64_t known = 0;
  for (const auto& [begin, end] : sequences_) {
    const std::uint64_t from = std::max(begin, first);
    const std::uint64_t to = std::min(end, last + 1);
    if (from < to) known += to - from;
  }
  return last + 1 - first - known;
}

std::string DescribeRanges(std::span<const Journal::Range> ranges, std::size_t count_max) {
  std::string text;
  for (std::size_t i = 0; i < ranges.size() && i < count_max; ++i) {
    text += Concat(i == 0 ? "bytes " : ", ", ranges[i].offset, " to ",
                   ranges[i].offset + ranges[i].length);
  }
  if (ranges.size() > count_max) text += Concat(" and ", ranges.size() - count_max, " more");
  return text + " of the volume";
}

}  // namespace coffer::cache
