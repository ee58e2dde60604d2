// JobQueue: requests that may block, away from the loops that read them. Thread-safe.
//
// A device's writes may wait for long (its journal is full), its reads too (a slow store). So only
// a few of each kind have a worker at a time; the rest wait here, and other kinds and other images'
// requests pass them. The bytes that waiting writes hold are bounded: beyond that Start waits, and
// with it the mount whose loop called it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "fuse/image.h"

namespace coffer::fuse {

class JobQueue {
 public:
  enum class Kind { kRead, kWrite, kFlush, kSurvey };
  using Job = std::function<void(Image::Visit visit)>;

  /// `workers` outlives the queue.
  explicit JobQueue(Executor& workers) : workers_(workers) {}
  ~JobQueue();  // waits for its jobs
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  /// Runs `job` on a worker soon, once. It answers its request before it lets go of the visit, and
  /// holds `bytes` of memory until then.
  void Start(Kind kind, Image::Visit visit, std::size_t bytes, Job job) EXCLUDES_LOCK(mutex_);
  [[nodiscard]] Executor& workers() { return workers_; }

 private:
  using LaneKey = std::pair<const Image*, Kind>;
  struct Waiting {
    Image::Visit visit;
    std::size_t bytes;
    Job job;
  };
  struct Lane {
    int running = 0;
    std::deque<Waiting> waiting;
  };

  static int AtOnce(Kind kind);
  void Post(const LaneKey& key, Waiting request);
  void LeaveLane(const LaneKey& key, std::size_t bytes) EXCLUDES_LOCK(mutex_);

  Executor& workers_;
  Mutex mutex_;
  CondVar changed_;
  std::map<LaneKey, Lane> lanes_ GUARDED_BY(mutex_);  // with requests under way
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::fuse
