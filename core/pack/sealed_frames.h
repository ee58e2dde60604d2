// SealedFrames: where a frame's sealed bytes come from. The readers of frames ask one object and do
// not know of memory, disk and store behind it (core/cache/sealed_windows.h). Thread-safe.
#pragma once

#include <span>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/format/frame_ref.h"

namespace coffer::pack {

struct SealedFrame {
  enum class Origin { kStore, kDiskCache };
  Bytes bytes;
  Origin origin;
};

class SealedFrames {
 public:
  virtual ~SealedFrames() = default;

  /// The sealed bytes of `frame`, frame.stored_length of them; waits for the store if need be.
  /// kCorruption if its pack ends before it does.
  virtual Result<SealedFrame> Get(const format::FrameRef& frame) = 0;
  /// What Get gave does not open: forgets every copy at hand and fetches it anew.
  virtual Result<SealedFrame> GetAgain(const format::FrameRef& frame) = 0;
  /// Begins to fetch what is not at hand of frames that are asked for next, in merged requests.
  virtual void Want(std::span<const format::FrameRef> frames) = 0;
};

}  // namespace coffer::pack
