// Damage: what an open volume has met of lost or damaged objects, for `status` to name until it is
// whole again: reads that failed, pages that a fold could not read, deltas that were lost when it
// was opened. It stops nothing; it is tried again when status is asked, so that what the provider
// brings back, or what is written anew, is no longer told of.
//
// Memory: 256 ranges of each kind; more of them are told of as one. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/map/residual.h"

namespace coffer::volume {

class Damage {
 public:
  static constexpr std::size_t kRangesMax = 256;

  /// How to look again.
  struct Probes {
    /// Reads what is committed of a range within one chunk.
    std::function<Status(std::uint64_t offset, std::uint64_t length)> read;
    /// Looks a chunk up in the tree.
    std::function<Status(std::uint64_t chunk)> look_up;
  };

  /// `executor` and `clock` outlive this.
  Damage(Executor& executor, const Clock& clock, std::uint32_t chunk_size, Probes probes);
  /// Waits for what looks again.
  ~Damage();

  /// A read of what is committed failed.
  void NoteFailed(std::uint64_t offset, std::uint64_t length, const Error& error);
  /// One was right. Costs nothing while none has failed.
  void NoteRight(std::uint64_t offset, std::uint64_t length);
  /// What the newest fold could not read of the map.
  void SetLostPages(std::vector<map::LostChunks> lost);
  /// At open: a delta of the head cannot be read.
  void NoteLostDelta(const Error& error);
  /// Nothing of what they said shows any more.
  void ForgetLostDeltas();

  /// What needs a person, a line each; begins to look again at what failed, now and then.
  [[nodiscard]] std::vector<Error> Needs();
  /// Ends looking.
  void Stop();

 private:
  struct Range {
    std::uint64_t offset, length;
  };

  void LookAgainLocked() REQUIRES_LOCK(mutex_);
  void LookAgain();
  bool LookAgainAtPage();
  bool LookAgainAtRange();
  void DropLocked(std::uint64_t offset, std::uint64_t end) REQUIRES_LOCK(mutex_);

  Executor& executor_;
  const Clock& clock_;
  const std::uint32_t chunk_size_;
  const Probes probes_;
  std::atomic<bool> any_failed_{false};

  Mutex mutex_;
  CondVar changed_;
  std::map<std::uint64_t, std::uint64_t> failed_ GUARDED_BY(mutex_);  // offset -> end
  std::uint64_t failed_reads_ GUARDED_BY(mutex_) = 0;                 // since all was right
  std::string first_failure_ GUARDED_BY(mutex_);
  std::vector<map::LostChunks> lost_pages_ GUARDED_BY(mutex_);
  std::size_t lost_pages_count_ GUARDED_BY(mutex_) = 0;
  std::uint64_t lost_deltas_ GUARDED_BY(mutex_) = 0;
  std::string lost_delta_ GUARDED_BY(mutex_);  // why, the first
  MonotonicTime looked_at_ GUARDED_BY(mutex_);
  bool looking_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace coffer::volume
