// Jobs: requests that may block, out to the workers and back to the event loop. A job is owned by
// the queue and lent: to the loop until Start, to one worker until it is finished, to the loop
// again until Recycle. Its buffer is taken and released on the loop's side only.
//
// A device's writes may wait for long (its journal is full), so only a few of them have a worker at
// a time; the rest wait here, and reads, flushes and other devices' writes pass them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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

struct Job {
  Connection* connection = nullptr;
  block::BlockDevice* device = nullptr;
  Command command{};
  std::uint16_t flags = 0;
  std::uint64_t cookie = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  ReplyStyle style = ReplyStyle::kSimple;
  const std::vector<SelectedContext>* contexts = nullptr;  // BLOCK_STATUS; its connection's
  Buffer data;                  // WRITE: the payload; READ: room for the whole reply
  std::size_t reply_bytes = 0;  // READ: of `data`, when done
  Bytes status;                 // BLOCK_STATUS: the reply, when done
  Status result;
};

class JobQueue {
 public:
  /// Wakes `poller` when finished jobs wait. All outlive the queue, and it its jobs.
  JobQueue(Executor& workers, Poller& poller) : workers_(workers), poller_(poller) {}
  ~JobQueue();

  static constexpr int kWritesAtOnce = 4;  // of one device

  [[nodiscard]] Job& New();
  void Start(Job& job);
  /// Replaces `finished` by the jobs that are finished and not yet taken.
  void TakeFinished(std::vector<Job*>& finished) EXCLUDES_LOCK(mutex_);
  void Recycle(Job& job);

 private:
  struct WriteLane {
    int running = 0;
    std::deque<Job*> waiting;
  };

  void Post(Job& job);
  void EndWrite(const Job& job);
  void Run(Job& job) EXCLUDES_LOCK(mutex_);

  Executor& workers_;
  Poller& poller_;
  std::size_t lent_ = 0;
  std::vector<std::unique_ptr<Job>> all_;  // as many as were ever lent at once
  std::vector<Job*> idle_;
  std::map<block::BlockDevice*, WriteLane> lanes_;  // with writes under way
  Mutex mutex_;
  std::vector<Job*> finished_ GUARDED_BY(mutex_);
};

}  // namespace coffer::nbd
