// JobQueue: requests of one image that may block, away from the loops that read them, on workers of
// its own: what holds one image up is felt by no other. Thread-safe.
//
// Writes may wait for long (the journal is full), reads too (a slow store). So only a few of each
// kind have a worker at a time; the rest wait here, and other kinds pass them. The bytes that
// waiting writes hold are bounded; no loop ever waits for that bound.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "fuse/image.h"

namespace coffer::fuse {

class JobQueue {
 public:
  enum class Kind { kRead, kWrite, kFlush, kSurvey };
  using Job = std::function<void(Image::Visit visit)>;

  JobQueue();
  ~JobQueue();  // waits for its jobs; on none of its own threads
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  /// Whether so many bytes more may wait. Only that many writers that nobody queues for (direct
  /// I/O of many threads) can make it false: of the kernel's own requests fewer are under way.
  [[nodiscard]] bool HasRoomFor(std::size_t bytes) const EXCLUDES_LOCK(mutex_);
  /// Runs `job` on a worker soon, once. It answers its request before it lets go of the visit, and
  /// holds `bytes` of memory until then.
  void Start(Kind kind, Image::Visit visit, std::size_t bytes, Job job) EXCLUDES_LOCK(mutex_);

 private:
  static constexpr std::size_t kKinds = 4;
  struct Waiting {
    Image::Visit visit;
    std::size_t bytes;
    Job job;
  };
  struct Lane {
    int running = 0;
    std::deque<Waiting> waiting;
  };

  static constexpr int AtOnce(Kind kind);
  [[nodiscard]] Lane& LaneOf(Kind kind) REQUIRES_LOCK(mutex_) {
    return lanes_[static_cast<std::size_t>(kind)];
  }
  void Post(Kind kind, Waiting request);
  void LeaveLane(Kind kind, std::size_t bytes) EXCLUDES_LOCK(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  std::array<Lane, kKinds> lanes_ GUARDED_BY(mutex_);
  int running_ GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Executor> workers_;  // last: its end waits for what uses the rest
};

}  // namespace coffer::fuse
