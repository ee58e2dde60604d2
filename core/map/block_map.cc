#include "core/map/block_map.h"

#include <algorithm>

#include "core/base/check.h"

namespace coffer::map {
namespace {

/// Chunks that one page of `level` reaches: 256^(level + 1).
std::uint64_t Span(std::uint8_t level) { return std::uint64_t{1} << (8 * (level + 1)); }

const format::InteriorEntry* FindChild(const format::Page& page, std::uint8_t slot) {
  const auto found = std::lower_bound(
      page.children.begin(), page.children.end(), slot,
      [](const format::InteriorEntry& entry, std::uint8_t wanted) { return entry.slot < wanted; });
  return found != page.children.end() && found->slot == slot ? &*found : nullptr;
}

const format::LeafEntry* FindChunk(const format::Page& page, std::uint8_t slot) {
  const auto found = std::lower_bound(
      page.chunks.begin(), page.chunks.end(), slot,
      [](const format::LeafEntry& entry, std::uint8_t wanted) { return entry.slot < wanted; });
  return found != page.chunks.end() && found->slot == slot ? &*found : nullptr;
}

std::uint8_t SlotOf(std::uint64_t chunk, std::uint8_t level) {
  return static_cast<std::uint8_t>(chunk >> (8 * level));
}

/// Walks down to the leaf of `chunk` with `fetch`, a function from (ref, level, index) to
/// Result<PagePtr>.
template <class Fetch>
Result<format::Pieces> Walk(const Tree& tree, std::uint64_t chunk, const Fetch& fetch) {
  if (tree.lost != nullptr) return Fail(*tree.lost);
  if (!tree.root.has_value() || chunk >= Span(tree.level)) return format::Pieces{};
  format::PageRef ref = *tree.root;
  for (std::uint8_t level = tree.level;; --level) {
    ASSIGN_OR_RETURN(const PagePtr page, fetch(ref, level, chunk >> (8 * (level + 1))));
    if (level == 0) {
      const format::LeafEntry* entry = FindChunk(*page, SlotOf(chunk, 0));
      return entry == nullptr ? format::Pieces{} : entry->pieces;
    }
    const format::InteriorEntry* entry = FindChild(*page, SlotOf(chunk, level));
    if (entry == nullptr) return format::Pieces{};
    ref = entry->child;
  }
}

}  // namespace

std::uint8_t RootLevel(std::uint64_t size, std::uint32_t chunk_size) {
  const std::uint64_t chunks = (size + chunk_size - 1) / chunk_size;
  std::uint8_t level = 0;
  while (Span(level) < chunks) ++level;
  return level;
}

Result<format::Pieces> Lookup(PageCache& pages, const Tree& tree, std::uint64_t chunk) {
  return Walk(tree, chunk,
              [&](const format::PageRef& ref, std::uint8_t level, std::uint64_t index) {
                return pages.Get(ref, level, index, tree.chunk_size);
              });
}

std::optional<format::Pieces> LookupCached(PageCache& pages, const Tree& tree,
                                           std::uint64_t chunk) {
  auto pieces = Walk(
      tree, chunk,
      [&](const format::PageRef& ref, std::uint8_t level, std::uint64_t index) -> Result<PagePtr> {
        PagePtr page = pages.Find(ref);
        if (page == nullptr || page->level != level || page->index != index)
          return Fail(ErrorCode::kNotFound, {});
        return page;
      });
  if (!pieces.has_value()) return std::nullopt;
  return std::move(*pieces);
}

Result<std::uint64_t> NextMapped(PageCache& pages, const Tree& tree, std::uint64_t chunk,
                                 std::uint64_t end) {
  if (tree.lost != nullptr) return Fail(*tree.lost);
  if (!tree.root.has_value()) return end;
  while (chunk < end && chunk < Span(tree.level)) {
    format::PageRef ref = *tree.root;
    for (std::uint8_t level = tree.level;; --level) {
      ASSIGN_OR_RETURN(const PagePtr page,
                       pages.Get(ref, level, chunk >> (8 * (level + 1)), tree.chunk_size));
      const std::uint8_t slot = SlotOf(chunk, level);
      if (level == 0) {
        for (const format::LeafEntry& entry : page->chunks) {
          if (entry.slot >= slot) return std::min(end, (chunk & ~std::uint64_t{0xFF}) | entry.slot);
        }
        chunk = (chunk | 0xFF) + 1;
        break;
      }
      const format::InteriorEntry* entry = FindChild(*page, slot);
      if (entry == nullptr) {
        const std::uint64_t below = Span(static_cast<std::uint8_t>(level - 1));
        chunk = (chunk / below + 1) * below;
        break;
      }
      ref = entry->child;
    }
  }
  return end;
}

}  // namespace coffer::map
