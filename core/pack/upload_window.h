// UploadWindow: how many packs of one vault are sealed and on their way at once. Begins at three,
// which fills a short line, and grows for as long as more of them carry more: a line of long round
// trips wants many, and one that is full has nothing of them but memory.
//
//   growing --(a round carries a good deal more)--> growing, larger by half
//   growing --(it does not)--> resting, at the size before
//   resting --(so many rounds later)--> growing, larger by one: lines change
//   any     --(the store throttles, or an upload fails)--> resting, at half the size
//
// A round is twice as many packs as the window holds. Only one in which packs waited for the window
// tells anything about the line: where they did not, whoever makes packs is the slower one.
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/result.h"

namespace coffer::pack {

struct UploadWindowLimits {
  std::size_t first = 3;
  std::size_t least = 1;
  std::size_t most = 16;
};
/// As much of them as this machine's memory takes: a pack on its way is there twice.
[[nodiscard]] UploadWindowLimits UploadWindowLimitsHere();

class UploadWindow {
 public:
  UploadWindow(Clock& clock, const UploadWindowLimits& limits)
      : clock_(clock), limits_(limits), size_(limits.first) {}
  UploadWindow(const UploadWindow&) = delete;
  UploadWindow& operator=(const UploadWindow&) = delete;

  [[nodiscard]] std::size_t size() const;

  /// A pack waits until another one is in the store.
  void NoteWaiting();
  /// An upload of `bytes` has ended.
  void NoteEnded(std::uint64_t bytes, const Status& status);

 private:
  enum class State { kGrowing, kResting };

  void BeginRoundLocked() REQUIRES_LOCK(mutex_);
  void EndRoundLocked(double bytes_per_second) REQUIRES_LOCK(mutex_);
  void ShrinkLocked() REQUIRES_LOCK(mutex_);

  Clock& clock_;
  const UploadWindowLimits limits_;
  mutable Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::kGrowing;
  std::size_t size_ GUARDED_BY(mutex_);
  std::size_t size_before_ GUARDED_BY(mutex_) = 0;  // 0: no round was measured yet
  double rate_before_ GUARDED_BY(mutex_) = 0;       // bytes a second, at size_before_
  std::size_t rounds_to_rest_ GUARDED_BY(mutex_) = 0;
  MonotonicTime round_begun_ GUARDED_BY(mutex_){};
  std::size_t round_packs_ GUARDED_BY(mutex_) = 0;
  std::size_t round_waits_ GUARDED_BY(mutex_) = 0;
  std::uint64_t round_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::pack
