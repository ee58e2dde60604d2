// DedupIndex: where the content with a given id lies already. Best effort: it forgets under
// pressure and starts empty; a miss only costs an upload. Filled by this run's commits alone.
//
// Entries are 32 bytes in buckets of eight, doubled up to 4 million (128 MiB), from then on a new
// entry takes the place of an arbitrary one of its bucket. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/format/frame_ref.h"

namespace coffer::pack {

class DedupIndex {
 public:
  static constexpr std::size_t kEntriesMax = std::size_t{1} << 22;

  explicit DedupIndex(std::size_t entries_max = kEntriesMax);

  [[nodiscard]] std::optional<format::FrameRef> Find(const ContentId& content) const;
  void Insert(const ContentId& content, const format::FrameRef& frame);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    ContentId content;   // null = empty
    std::uint32_t pack;  // index into packs_
    std::uint32_t offset;
    std::uint32_t stored_and_codec;  // stored length << 8 | codec
    std::uint16_t frame;
    std::uint16_t blocks;  // plain length / 4096
  };
  static_assert(sizeof(Entry) == 32);
  struct Pack {
    PackId id;
    std::uint32_t key_epoch;
  };
  static constexpr std::size_t kBucket = 8;

  [[nodiscard]] std::size_t BucketOf(const ContentId& content) const REQUIRES_LOCK(mutex_);
  void PutLocked(const Entry& entry) REQUIRES_LOCK(mutex_);
  void GrowLocked() REQUIRES_LOCK(mutex_);

  const std::size_t entries_max_;
  mutable Mutex mutex_;
  std::vector<Entry> entries_ GUARDED_BY(mutex_);
  std::size_t count_ GUARDED_BY(mutex_) = 0;
  std::vector<Pack> packs_ GUARDED_BY(mutex_);
  std::unordered_map<PackId, std::uint32_t, IdHash> pack_numbers_ GUARDED_BY(mutex_);
};

}  // namespace coffer::pack
