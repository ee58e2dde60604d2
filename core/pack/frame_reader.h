// FrameReader: fetches one frame from the store and opens it. What comes out was sealed by this
// vault, for this place, and for data has the content id asked for. Thread-safe.
#pragma once

#include "core/base/result.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/store/object_store.h"
#include "core/vault/key_chest.h"

namespace coffer::pack {

class FrameReader {
 public:
  FrameReader(store::ObjectStore& store, const vault::KeyChest& keys)
      : store_(store), keys_(keys) {}

  /// kCorruption names pack, frame and why; kNotFound becomes kCorruption (MISSING-PACKS).
  Result<Bytes> ReadData(const format::FrameRef& frame, const ContentId& content);
  Result<format::Page> ReadPage(const format::PageRef& ref, std::uint8_t level, std::uint64_t index,
                                std::uint32_t chunk_size);
  Result<Bytes> ReadDelta(const format::FrameRef& frame);

 private:
  Result<Bytes> Read(const format::FrameRef& frame, format::FrameType type, std::uint8_t level,
                     std::uint64_t index);

  store::ObjectStore& store_;
  const vault::KeyChest& keys_;
};

}  // namespace coffer::pack
