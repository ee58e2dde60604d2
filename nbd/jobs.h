// Jobs: requests that may block, out to the workers and back to the event loop. A job is owned by
// the queue and lent: to the loop until Start, to one worker until it is finished, to the loop
// again until Recycle. Its buffer is taken and released on the loop's side only.
//
// A device's writes may wait for long (its journal is full), and so may what looks far ahead
// (CACHE, BLOCK_STATUS) on a slow store. So only a few of each kind have a worker at a time; the
// rest wait here, and reads and flushes pass them. Other devices have workers of their own.
//
// Flushes are committed together: those that come while one runs are answered by the next one,
// however many they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/block/block_device.h"
#include "nbd/buffer_pool.h"
#include "nbd/meta_context.h"
#include "nbd/protocol.h"
#include "nbd/replies.h"
#include "nbd/sockets.h"

namespace coffer::nbd {

class Connection;

/// A FLUSH, or a write with FUA that the device has: waits for a flush that begins from now on.
struct Barrier {
  Connection* connection;
  Command command;
  std::uint64_t length;
  ReplyTo to;
};

/// One of the writes of a batch that could not be done in place: together they are one job, or each
/// would compete with the next batch for the journal.
struct BatchedWrite {
  ReplyTo to;
  std::uint16_t flags;  // with FUA: a flush is still to come
  ByteView payload;     // in the job's data
  Status result;
};

struct Job {
  Connection* connection = nullptr;
  block::BlockDevice* device = nullptr;
  Command command{};
  std::uint16_t flags = 0;
  ReplyTo to{};
  std::uint64_t length = 0;
  const std::vector<SelectedContext>* selected = nullptr;  // BLOCK_STATUS; its connection's
  std::uint64_t contexts = 0;                              // and those of them that it wants
  Buffer data;                      // WRITE: the payload; READ: room for the whole reply
  std::size_t reply_bytes = 0;      // READ: of `data`, when done
  Bytes status;                     // BLOCK_STATUS: the reply, when done
  std::vector<Barrier> barriers;    // FLUSH: all that it answers; what names a request is not set
  std::vector<BatchedWrite> batch;  // WRITE: if not empty, instead of the one that is named above
  Status result;
};

class JobQueue {
 public:
  /// Wakes `poller` when finished jobs wait. All outlive the queue, and it its jobs.
  JobQueue(Executor& workers, Poller& poller) : workers_(workers), poller_(poller) {}
  ~JobQueue();

  static constexpr int kWritesAtOnce = 4;   // of one device
  static constexpr int kSurveysAtOnce = 2;  // CACHE and BLOCK_STATUS of one device
  static constexpr int kFlushesAtOnce = 2;  // one that the disk is busy with, and the next
  /// A CACHE reads so much and leaves the rest of what it asks for: it is a hint, and no request
  /// keeps a worker for longer than the longest READ.
  static constexpr std::uint64_t kCacheBytesMax = kMaximumPayloadBytes;

  [[nodiscard]] Job& New();
  void Start(Job& job);
  /// A flush of `device` that begins after this call answers `barriers`.
  void StartFlush(block::BlockDevice& device, std::span<const Barrier> barriers);
  /// Replaces `finished` by the jobs that are finished and not yet taken.
  void TakeFinished(std::vector<Job*>& finished) EXCLUDES_LOCK(mutex_);
  void Recycle(Job& job);

 private:
  enum class Kind { kWrite, kSurvey };
  using LaneKey = std::pair<block::BlockDevice*, Kind>;
  struct Lane {
    int running = 0;
    std::deque<Job*> waiting;
  };

  [[nodiscard]] static std::optional<LaneKey> LaneOf(const Job& job);
  void Post(Job& job);
  void LeaveLane(const LaneKey& key);
  void PostFlush(block::BlockDevice& device, std::vector<Barrier> barriers);
  void FlushIsOver(block::BlockDevice& device);
  void Run(Job& job) EXCLUDES_LOCK(mutex_);

  Executor& workers_;
  Poller& poller_;
  std::size_t lent_ = 0;
  std::vector<std::unique_ptr<Job>> all_;  // as many as were ever lent at once
  std::vector<Job*> idle_;
  std::map<LaneKey, Lane> lanes_;  // with requests under way
  struct Flushes {
    int running = 0;
    std::vector<Barrier> waiting;
  };
  std::map<block::BlockDevice*, Flushes> flushes_;  // with some under way
  Mutex mutex_;
  std::vector<Job*> finished_ GUARDED_BY(mutex_);
};

}  // namespace coffer::nbd
