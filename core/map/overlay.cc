#include "core/map/overlay.h"

#include <algorithm>

#include "core/map/pieces.h"

namespace coffer::map {

void Overlay::Apply(const format::Delta& delta) {
  using Op = format::DeltaEntry::Op;
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

}  // namespace coffer::map
