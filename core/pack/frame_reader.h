// FrameReader: gets one frame's sealed bytes and opens them. What comes out was sealed by this
// vault, for this place, and for data from the store has the content id asked for. Sealed bytes
// that do not open are fetched once more: a cache or the network may have damaged them.
//
// What lies in the disk cache came from the store, so there its tag is enough; until one frame is
// met that opens and holds other content than the map says. From then on all are compared.
// Thread-safe.
#pragma once

#include <atomic>
#include <unordered_set>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/format/associated_data.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/pack/sealed_frames.h"
#include "core/vault/key_chest.h"

namespace coffer::pack {

/// What has been read since the start, from the store or a cache of sealed frames.
struct FrameReads {
  std::uint64_t data_frames = 0;
  std::uint64_t pages = 0;
  std::uint64_t deltas = 0;
  std::uint64_t bytes = 0;  // of all, sealed
};

class FrameReader {
 public:
  static constexpr std::size_t kLostMax = 4096;

  FrameReader(SealedFrames& frames, const vault::KeyChest& keys) : frames_(frames), keys_(keys) {}

  /// kCorruption names pack, frame and why; kNotFound becomes kCorruption (MISSING-PACKS).
  Result<Bytes> ReadData(const format::FrameRef& frame, const ContentId& content);
  Result<format::Page> ReadPage(const format::PageRef& ref, std::uint8_t level, std::uint64_t index,
                                std::uint32_t chunk_size);
  Result<Bytes> ReadDelta(const format::FrameRef& frame);
  [[nodiscard]] FrameReads reads() const;
  /// Whether a frame of the pack could not be had, or not opened: nothing new may rely on it.
  [[nodiscard]] bool HasLost(const PackId& pack) const;

 private:
  struct Opened {
    Bytes plain;
    SealedFrame::Origin origin;
  };
  Result<Opened> Read(const format::FrameRef& frame, format::FrameType type, std::uint8_t level,
                      std::uint64_t index);
  Result<Opened> Open(const format::FrameContext& context, Result<SealedFrame> sealed);
  void NoteLost(const PackId& pack);

  SealedFrames& frames_;
  const vault::KeyChest& keys_;
  std::atomic<bool> compare_all_{false};
  std::atomic<std::uint64_t> data_frames_{0};
  std::atomic<std::uint64_t> pages_{0};
  std::atomic<std::uint64_t> deltas_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> any_lost_{false};
  mutable Mutex mutex_;
  std::unordered_set<PackId, IdHash> lost_ GUARDED_BY(mutex_);  // beyond kLostMax: all are
};

}  // namespace coffer::pack
