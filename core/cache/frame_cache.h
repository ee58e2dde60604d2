// FrameCache: decoded frames in memory, shared by all volumes. Keyed by where a frame lies, which
// never changes its content: nothing is ever invalidated. Least recently used goes first.
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace coffer::cache {

struct FrameKey {
  PackId pack;
  std::uint32_t frame = 0;
  bool operator==(const FrameKey&) const = default;
};

class FrameCache {
 public:
  explicit FrameCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// What is beyond it goes at once.
  void SetBytesMax(std::size_t bytes_max);

  /// Null on a miss.
  [[nodiscard]] std::shared_ptr<const Bytes> Find(const FrameKey& key);
  /// Without counting as a use.
  [[nodiscard]] bool Contains(const FrameKey& key) const;
  void Insert(const FrameKey& key, std::shared_ptr<const Bytes> plain);
  void Clear();
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    FrameKey key;
    std::shared_ptr<const Bytes> plain;
  };
  struct KeyHash {
    std::size_t operator()(const FrameKey& key) const noexcept {
      return IdHash{}(key.pack) ^ (key.frame * 0x9E3779B97F4A7C15u);
    }
  };

  void ShrinkLocked() REQUIRES_LOCK(mutex_);

  mutable Mutex mutex_;
  std::size_t bytes_max_ GUARDED_BY(mutex_);
  std::list<Entry> by_use_ GUARDED_BY(mutex_);  // newest first
  std::unordered_map<FrameKey, std::list<Entry>::iterator, KeyHash> by_key_ GUARDED_BY(mutex_);
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::cache
