#include "core/map/page_cache.h"

namespace coffer::map {
namespace {

std::size_t MemoryOf(const format::Page& page) {
  std::size_t bytes = sizeof page + page.children.capacity() * sizeof(format::InteriorEntry) +
                      page.chunks.capacity() * sizeof(format::LeafEntry);
  for (const auto& entry : page.chunks) bytes += entry.pieces.capacity() * sizeof(format::Piece);
  return bytes + 64;
}

}  // namespace

PagePtr PageCache::Find(const format::PageRef& ref) {
  MutexLock lock(mutex_);
  const auto found = by_key_.find({ref.frame.pack, ref.frame.frame});
  if (found == by_key_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->page;
}

Result<PagePtr> PageCache::Get(const format::PageRef& ref, std::uint8_t level, std::uint64_t index,
                               std::uint32_t chunk_size) {
  if (PagePtr page = Find(ref)) {
    // The map asks for a place; a page cached under the same name may only be that very page.
    if (page->level == level && page->index == index && page->chunk_size == chunk_size) return page;
  }
  ASSIGN_OR_RETURN(format::Page page, reader_.ReadPage(ref, level, index, chunk_size));
  auto shared = std::make_shared<const format::Page>(std::move(page));
  Insert(ref, shared);
  return PagePtr(shared);
}

void PageCache::Insert(const format::PageRef& ref, PagePtr page) {
  const Key key{ref.frame.pack, ref.frame.frame};
  const std::size_t bytes = MemoryOf(*page);
  MutexLock lock(mutex_);
  if (by_key_.contains(key)) return;
  by_use_.push_front({key, std::move(page), bytes});
  by_key_.emplace(key, by_use_.begin());
  bytes_ += bytes;
  while (bytes_ > bytes_max_ && by_use_.size() > 1) {
    bytes_ -= by_use_.back().bytes;
    by_key_.erase(by_use_.back().key);
    by_use_.pop_back();
  }
}

void PageCache::Clear() {
  MutexLock lock(mutex_);
  by_use_.clear();
  by_key_.clear();
  bytes_ = 0;
}

}  // namespace coffer::map
