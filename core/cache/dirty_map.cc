#include "core/cache/dirty_map.h"

#include "core/base/check.h"

namespace coffer::cache {

void DirtyMap::Account(const Rest& rest, std::uint64_t offset, int sign) {
  if (rest.record == nullptr) return;
  if (sign > 0) {
    data_bytes_ += rest.end - offset;
  } else {
    data_bytes_ -= rest.end - offset;
  }
}

void DirtyMap::Insert(std::uint64_t offset, std::uint64_t end, RecordPtr record) {
  if (offset >= end) return;
  auto place = extents_.upper_bound(offset);
  if (place != extents_.begin() && std::prev(place)->second.end > offset) --place;
  if (place != extents_.end() && place->first == offset && place->second.end == end) {
    Account(place->second, offset, -1);
    place->second.record = std::move(record);
    Account(place->second, offset, 1);
    return;
  }
  while (place != extents_.end() && place->first < end) {
    const std::uint64_t old_offset = place->first;
    Rest old = std::move(place->second);
    Account(old, old_offset, -1);
    place = extents_.erase(place);
    if (old_offset < offset) {
      Rest left{offset, old.record};
      Account(left, old_offset, 1);
      extents_.emplace_hint(place, old_offset, std::move(left));
    }
    if (old.end > end) {
      Rest right{old.end, std::move(old.record)};
      Account(right, end, 1);
      place = extents_.emplace_hint(place, end, std::move(right));
    }
  }
  Rest fresh{end, std::move(record)};
  Account(fresh, offset, 1);
  extents_.emplace_hint(place, offset, std::move(fresh));
}

void DirtyMap::Merge(const DirtyMap& newer) {
  for (const auto& [offset, rest] : newer.extents_) Insert(offset, rest.end, rest.record);
}

std::uint64_t DirtyMap::NextHeld(std::uint64_t offset, std::uint64_t none) const {
  const auto place = extents_.upper_bound(offset);
  if (place != extents_.begin() && std::prev(place)->second.end > offset) return offset;
  return place == extents_.end() ? none : place->first;
}

std::uint64_t DirtyMap::ZeroesUntil(std::uint64_t offset) const {
  const auto next = extents_.upper_bound(offset);
  if (next == extents_.begin()) return offset;
  const Rest& rest = std::prev(next)->second;
  return rest.record == nullptr ? std::max(offset, rest.end) : offset;
}

void DirtyMap::CheckInvariants() const {
  std::uint64_t last_end = 0;
  std::uint64_t data = 0;
  for (const auto& [offset, rest] : extents_) {
    CHECK(offset >= last_end && offset < rest.end);
    if (rest.record != nullptr) {
      data += rest.end - offset;
      CHECK(rest.record->header.offset <= offset);
      CHECK(rest.record->header.offset + rest.record->header.length >= rest.end);
    }
    last_end = rest.end;
  }
  CHECK(data == data_bytes_);
}

}  // namespace coffer::cache
