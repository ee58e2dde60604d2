// PageCache: decoded pages of the block map in memory. Keyed by the page's place, which never
// changes its content. Least recently used goes first. Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/format/page.h"
#include "core/pack/frame_reader.h"

namespace coffer::map {

using PagePtr = std::shared_ptr<const format::Page>;

class PageCache {
 public:
  static constexpr std::size_t kBytesMax = 32u << 20;

  explicit PageCache(pack::FrameReader& reader, std::size_t bytes_max = kBytesMax)
      : reader_(reader), bytes_max_(bytes_max) {}

  /// The page behind `ref`, from memory or the store.
  Result<PagePtr> Get(const format::PageRef& ref, std::uint8_t level, std::uint64_t index,
                      std::uint32_t chunk_size);
  /// From memory only; null otherwise.
  [[nodiscard]] PagePtr Find(const format::PageRef& ref);
  /// Puts a page there that was just written.
  void Insert(const format::PageRef& ref, PagePtr page);
  void Clear();

 private:
  struct Key {
    PackId pack;
    std::uint32_t frame;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return IdHash{}(key.pack) ^ (key.frame * 0x9E3779B97F4A7C15u);
    }
  };
  struct Entry {
    Key key;
    PagePtr page;
    std::size_t bytes;
  };

  pack::FrameReader& reader_;
  const std::size_t bytes_max_;
  Mutex mutex_;
  std::list<Entry> by_use_ GUARDED_BY(mutex_);  // newest first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> by_key_ GUARDED_BY(mutex_);
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::map
