#include "core/cache/dirty_map.h"

#include <array>
#include <iterator>
#include <utility>

#include "core/base/check.h"

namespace coffer::cache {

void DirtyMap::Insert(std::uint64_t offset, std::uint64_t end, const RecordPtr& record) {
  if (offset >= end) return;
  if (record == nullptr) {
    EraseData(offset, end);
    InsertZeros(offset, end);
  } else {
    EraseZeros(offset, end);
    InsertData(offset, end, record);
  }
}

void DirtyMap::InsertData(std::uint64_t offset, std::uint64_t end, const RecordPtr& record) {
  while (offset < end) {
    const std::uint64_t number = offset / kRegionBytes;
    const std::uint64_t base = number * kRegionBytes;
    const std::uint64_t stop = std::min(end, base + kRegionBytes);
    Replace(regions_[number], static_cast<std::uint32_t>(offset - base),
            static_cast<std::uint32_t>(stop - base), record);
    offset = stop;
  }
}

void DirtyMap::EraseData(std::uint64_t offset, std::uint64_t end) {
  auto place = regions_.lower_bound(offset / kRegionBytes);
  while (place != regions_.end() && place->first * kRegionBytes < end) {
    const std::uint64_t base = place->first * kRegionBytes;
    Replace(place->second, static_cast<std::uint32_t>(std::max(offset, base) - base),
            static_cast<std::uint32_t>(std::min(end, base + kRegionBytes) - base), nullptr);
    place = place->second.empty() ? regions_.erase(place) : std::next(place);
  }
}

void DirtyMap::Replace(Region& region, std::uint32_t begin, std::uint32_t end,
                       const RecordPtr& record) {
  const auto first = region.begin() + (FirstEndingAfter(region, begin) - region.cbegin());
  if (record != nullptr) data_bytes_ += end - begin;
  if (record != nullptr && first != region.end() && first->begin == begin && first->end == end) {
    data_bytes_ -= end - begin;
    first->record = record;
    return;
  }
  auto last = first;
  for (; last != region.end() && last->begin < end; ++last) {
    data_bytes_ -= std::min(end, last->end) - std::max(begin, last->begin);
    data_parts_ -= DataParts(last->begin, last->end);
  }

  std::array<Piece, 3> fresh;
  std::size_t count = 0;
  if (first != last && first->begin < begin) fresh[count++] = {first->begin, begin, first->record};
  if (record != nullptr) fresh[count++] = {begin, end, record};
  if (first != last && std::prev(last)->end > end)
    fresh[count++] = {end, std::prev(last)->end, std::prev(last)->record};
  // Regions are whole chunks, so that offsets in one will do.
  for (std::size_t i = 0; i < count; ++i) data_parts_ += DataParts(fresh[i].begin, fresh[i].end);

  const auto room = static_cast<std::size_t>(last - first);
  const auto used = static_cast<std::ptrdiff_t>(std::min(room, count));
  const auto moved = std::move(fresh.begin(), fresh.begin() + used, first);
  if (room > count) {
    region.erase(moved, last);
  } else {
    region.insert(moved, std::move_iterator(fresh.begin() + used),
                  std::move_iterator(fresh.begin() + static_cast<std::ptrdiff_t>(count)));
  }
}

void DirtyMap::EraseZeros(std::uint64_t offset, std::uint64_t end) {
  auto place = zeros_.upper_bound(offset);
  if (place != zeros_.begin() && std::prev(place)->second > offset) --place;
  while (place != zeros_.end() && place->first < end) {
    const auto [old_offset, old_end] = *place;
    zero_parts_ -= ZeroParts(old_offset, old_end);
    place = zeros_.erase(place);
    if (old_offset < offset) {
      zeros_.emplace_hint(place, old_offset, offset);
      zero_parts_ += ZeroParts(old_offset, offset);
    }
    if (old_end > end) {
      place = zeros_.emplace_hint(place, end, old_end);
      zero_parts_ += ZeroParts(end, old_end);
    }
  }
}

void DirtyMap::InsertZeros(std::uint64_t offset, std::uint64_t end) {
  auto place = zeros_.lower_bound(offset);
  if (place != zeros_.begin() && std::prev(place)->second >= offset) --place;
  while (place != zeros_.end() && place->first <= end) {
    offset = std::min(offset, place->first);
    end = std::max(end, place->second);
    zero_parts_ -= ZeroParts(place->first, place->second);
    place = zeros_.erase(place);
  }
  zeros_.emplace_hint(place, offset, end);
  zero_parts_ += ZeroParts(offset, end);
}

std::uint64_t DirtyMap::ZeroParts(std::uint64_t offset, std::uint64_t end) const {
  const std::uint64_t within = (std::uint64_t{1} << chunk_shift_) - 1;
  const std::uint64_t first_whole = (offset + within) >> chunk_shift_;
  const std::uint64_t end_whole = end >> chunk_shift_;
  if (first_whole >= end_whole) return DataParts(offset, end);
  return 1 + ((offset & within) != 0 ? 1 : 0) + ((end & within) != 0 ? 1 : 0);
}

/// Besides its own parts a range may cut one of data in two, whose chunk counts twice then, or one
/// of zeros, which gets two ends more and twice the whole chunks. Ends that it shortens count no
/// more than that.
std::uint64_t DirtyMap::PartsOf(const format::RecordHeader& record) const {
  const bool data = record.kind == format::RecordKind::kWrite;
  return kZeroPartsMax + (data ? DataParts(record.offset, record.offset + record.length) : 1);
}

std::uint64_t DirtyMap::PartsWith(const DirtyMap& newer) const {
  // As above for each of its ranges. It has no more ranges of data than parts of them.
  const std::uint64_t cut_by_data =
      zero_parts_ > 0 ? kZeroPartsMax : std::uint64_t{data_parts_ > 0 ? 1u : 0u};
  const std::uint64_t cut_by_zeros = data_parts_ > 0 ? 1 : 0;
  return parts() + newer.parts() + cut_by_data * newer.data_parts_ +
         cut_by_zeros * newer.zero_ranges();
}

void DirtyMap::Merge(const DirtyMap& newer) {
  for (const auto& [offset, end] : newer.zeros_) Insert(offset, end, nullptr);
  for (const auto& [number, region] : newer.regions_) {
    const std::uint64_t base = number * kRegionBytes;
    for (const Piece& piece : region) Insert(base + piece.begin, base + piece.end, piece.record);
  }
}

DirtyMap::Region::const_iterator DirtyMap::FirstEndingAfter(const Region& region,
                                                            std::uint64_t at) {
  return std::upper_bound(
      region.begin(), region.end(), at,
      [](std::uint64_t wanted, const Piece& piece) { return wanted < piece.end; });
}

DirtyMap::Extent DirtyMap::From(std::uint64_t offset) const {
  Extent data = DataFrom(offset);
  auto place = zeros_.upper_bound(offset);
  if (place != zeros_.begin() && std::prev(place)->second > offset) --place;
  if (place == zeros_.end() || data.offset < place->first) return data;
  return {std::max(offset, place->first), place->second, nullptr};
}

DirtyMap::Extent DirtyMap::DataFrom(std::uint64_t offset) const {
  auto place = regions_.lower_bound(offset / kRegionBytes);
  if (place == regions_.end()) return {kNowhere, kNowhere, nullptr};
  std::uint64_t base = place->first * kRegionBytes;
  auto piece = FirstEndingAfter(place->second, offset < base ? 0 : offset - base);
  if (piece == place->second.end()) {
    if (++place == regions_.end()) return {kNowhere, kNowhere, nullptr};
    base = place->first * kRegionBytes;
    piece = place->second.begin();
  }
  Extent extent{std::max(offset, base + piece->begin), base + piece->end, piece->record};
  // One write that crosses into further regions is one range.
  while (extent.end == base + kRegionBytes && ++place != regions_.end() &&
         place->first * kRegionBytes == extent.end) {
    base = extent.end;
    const Piece& next = place->second.front();
    if (next.begin != 0 || next.record != extent.record) break;
    extent.end = base + next.end;
  }
  return extent;
}

std::uint64_t DirtyMap::NextHeld(std::uint64_t offset, std::uint64_t none) const {
  return std::min(none, From(offset).offset);
}

std::uint64_t DirtyMap::ZeroesUntil(std::uint64_t offset) const {
  const auto next = zeros_.upper_bound(offset);
  return next == zeros_.begin() ? offset : std::max(offset, std::prev(next)->second);
}

std::uint64_t DirtyMap::end_offset() const {
  const std::uint64_t zeros = zeros_.empty() ? 0 : zeros_.rbegin()->second;
  if (regions_.empty()) return zeros;
  const auto& [number, region] = *regions_.rbegin();
  return std::max(zeros, number * kRegionBytes + region.back().end);
}

void DirtyMap::CheckInvariants() const {
  std::uint64_t data = 0;
  std::uint64_t data_parts = 0;
  std::uint64_t zero_parts = 0;
  for (const auto& [number, region] : regions_) {
    const std::uint64_t base = number * kRegionBytes;
    CHECK(!region.empty());
    std::uint32_t last_end = 0;
    for (const Piece& piece : region) {
      CHECK(piece.begin >= last_end && piece.begin < piece.end && piece.end <= kRegionBytes);
      CHECK(piece.record != nullptr);
      CHECK(piece.record->header.offset <= base + piece.begin);
      CHECK(piece.record->header.offset + piece.record->header.length >= base + piece.end);
      CHECK(ZeroesUntil(base + piece.begin) == base + piece.begin);
      last_end = piece.end;
      data += piece.end - piece.begin;
      data_parts += DataParts(base + piece.begin, base + piece.end);
    }
  }
  CHECK(data == data_bytes_ && data_parts == data_parts_);
  std::uint64_t last_end = 0;
  for (const auto& [offset, end] : zeros_) {
    CHECK(offset < end && (last_end == 0 || offset > last_end));
    CHECK(DataFrom(offset).offset >= end);
    last_end = end;
    zero_parts += ZeroParts(offset, end);
  }
  CHECK(zero_parts == zero_parts_);
}

}  // namespace coffer::cache
