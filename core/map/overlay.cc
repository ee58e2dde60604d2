#include "core/map/overlay.h"

#include <algorithm>

#include "core/map/pieces.h"

namespace coffer::map {

void Overlay::Apply(const format::Delta& delta) {
  using Op = format::DeltaEntry::Op;
  const auto blocks = static_cast<std::uint8_t>(delta.chunk_size / format::kBlockBytes);
  for (const format::DeltaEntry& entry : delta.entries) {
    if (entry.op == Op::kClear) {
      Clear(entry.chunk, entry.chunk + entry.chunk_count);
      continue;
    }
    auto [place, fresh] = changes_.try_emplace(entry.chunk);
    Change& change = place->second;
    if (fresh) change.replaces = IsCleared(entry.chunk);
    if (entry.op == Op::kReplace) {
      change.replaces = true;
      change.pieces = entry.pieces;
    } else {
      change.pieces.insert(change.pieces.end(), entry.pieces.begin(), entry.pieces.end());
      change.replaces = change.replaces || Covers(change.pieces, 0, blocks);
      // A zero piece hides what the tree has, so it may only vanish where nothing shows through.
      change.pieces = change.replaces ? Normalize(change.pieces) : DropShadowed(change.pieces);
    }
  }
}

void Overlay::Clear(std::uint64_t first, std::uint64_t end) {
  changes_.erase(changes_.lower_bound(first), changes_.lower_bound(end));
  auto range = cleared_.upper_bound(first);
  if (range != cleared_.begin() && std::prev(range)->second >= first) --range;
  while (range != cleared_.end() && range->first <= end) {
    first = std::min(first, range->first);
    end = std::max(end, range->second);
    range = cleared_.erase(range);
  }
  cleared_[first] = end;
}

bool Overlay::IsCleared(std::uint64_t chunk) const {
  const auto range = cleared_.upper_bound(chunk);
  return range != cleared_.begin() && std::prev(range)->second > chunk;
}

std::optional<Overlay::Change> Overlay::Find(std::uint64_t chunk) const {
  const auto change = changes_.find(chunk);
  if (change != changes_.end()) return change->second;
  if (IsCleared(chunk)) return Change{.replaces = true, .pieces = {}};
  return std::nullopt;
}

bool Overlay::Touches(std::uint64_t first, std::uint64_t end) const {
  return NextTouched(first, end) < end;
}

std::uint64_t Overlay::NextTouched(std::uint64_t first, std::uint64_t end) const {
  if (IsCleared(first)) return std::min(first, end);
  std::uint64_t next = end;
  if (const auto change = changes_.lower_bound(first); change != changes_.end())
    next = std::min(next, change->first);
  if (const auto range = cleared_.lower_bound(first); range != cleared_.end())
    next = std::min(next, range->first);
  return next;
}

std::uint64_t Overlay::NextChanged(std::uint64_t first, std::uint64_t end) const {
  const auto change = changes_.lower_bound(first);
  return change == changes_.end() ? end : std::min(change->first, end);
}

std::uint64_t Overlay::ClearedUntil(std::uint64_t first, std::uint64_t end) const {
  const auto range = cleared_.upper_bound(first);
  if (range == cleared_.begin()) return first;
  return NextChanged(first, std::clamp(std::prev(range)->second, first, std::max(first, end)));
}

bool Overlay::Clears(std::uint64_t first, std::uint64_t end) const {
  auto range = cleared_.upper_bound(first);
  if (range == cleared_.begin() || std::prev(range)->second < end) return false;
  const auto change = changes_.lower_bound(first);
  return change == changes_.end() || change->first >= end;
}

bool Overlay::Hides(std::uint64_t first, std::uint64_t end) const {
  while (first < end) {
    // Whatever was written over what is cleared stands alone, too.
    if (const auto range = cleared_.upper_bound(first);
        range != cleared_.begin() && std::prev(range)->second > first) {
      first = std::prev(range)->second;
      continue;
    }
    const auto change = changes_.find(first);
    if (change == changes_.end() || !change->second.replaces) return false;
    ++first;
  }
  return true;
}

void Overlay::AppendChanges(std::uint64_t first, std::uint64_t end,
                            std::vector<format::DeltaEntry>* entries) const {
  using Op = format::DeltaEntry::Op;
  while ((first = NextTouched(first, end)) < end) {
    if (const std::uint64_t cleared = ClearedUntil(first, end); cleared > first) {
      entries->push_back({.op = Op::kClear, .chunk = first, .chunk_count = cleared - first});
      first = cleared;
      continue;
    }
    const Change& change = changes_.at(first);
    if (change.pieces.empty()) {
      entries->push_back({.op = Op::kClear, .chunk = first});
    } else {
      entries->push_back({.op = change.replaces ? Op::kReplace : Op::kOverlay,
                          .chunk = first,
                          .pieces = change.pieces});
    }
    ++first;
  }
}

}  // namespace coffer::map
