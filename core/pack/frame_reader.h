// FrameReader: fetches one frame from the store and opens it. What comes out was sealed by this
// vault, for this place, and for data has the content id asked for. Thread-safe.
#pragma once

#include <atomic>

#include "core/base/result.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/store/object_store.h"
#include "core/vault/key_chest.h"

namespace coffer::pack {

/// What has been fetched from the store since the start.
struct FrameReads {
  std::uint64_t data_frames = 0;
  std::uint64_t pages = 0;
  std::uint64_t deltas = 0;
  std::uint64_t bytes = 0;  // of all, sealed
};

class FrameReader {
 public:
  FrameReader(store::ObjectStore& store, const vault::KeyChest& keys)
      : store_(store), keys_(keys) {}

  /// kCorruption names pack, frame and why; kNotFound becomes kCorruption (MISSING-PACKS).
  Result<Bytes> ReadData(const format::FrameRef& frame, const ContentId& content);
  Result<format::Page> ReadPage(const format::PageRef& ref, std::uint8_t level, std::uint64_t index,
                                std::uint32_t chunk_size);
  Result<Bytes> ReadDelta(const format::FrameRef& frame);
  [[nodiscard]] FrameReads reads() const;

 private:
  Result<Bytes> Read(const format::FrameRef& frame, format::FrameType type, std::uint8_t level,
                     std::uint64_t index);

  store::ObjectStore& store_;
  const vault::KeyChest& keys_;
  std::atomic<std::uint64_t> data_frames_{0};
  std::atomic<std::uint64_t> pages_{0};
  std::atomic<std::uint64_t> deltas_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace coffer::pack
