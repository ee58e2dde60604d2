#include "fuse/jobs.h"

#include <memory>

#include "core/base/check.h"
#include "fuse/limits.h"

namespace coffer::fuse {

JobQueue::~JobQueue() {
  MutexLock lock(mutex_);
  workers_.Await(lock, changed_, [this]() REQUIRES_LOCK(mutex_) { return lanes_.empty(); });
}

int JobQueue::AtOnce(Kind kind) {
  switch (kind) {
    case Kind::kRead:
      return 8;
    case Kind::kWrite:
      return 4;
    case Kind::kFlush:  // whoever waits shares one fdatasync with the next
      return 4;
    case Kind::kSurvey:
      return 2;
  }
  return 1;
}

void JobQueue::Start(Kind kind, Image::Visit visit, std::size_t bytes, Job job) {
  const LaneKey key(&visit.image(), kind);
  Waiting request{std::move(visit), bytes, std::move(job)};
  {
    MutexLock lock(mutex_);
    workers_.Await(lock, changed_, [this, bytes]() REQUIRES_LOCK(mutex_) {
      return bytes_ == 0 || bytes_ + bytes <= kJobBytesMax;
    });
    bytes_ += bytes;
    Lane& lane = lanes_[key];
    if (lane.running == AtOnce(kind)) {
      lane.waiting.push_back(std::move(request));
      return;
    }
    ++lane.running;
  }
  Post(key, std::move(request));
}

void JobQueue::Post(const LaneKey& key, Waiting request) {
  // A std::function is copied, a visit is not.
  const auto shared = std::make_shared<Waiting>(std::move(request));
  workers_.Post([this, key, shared] {
    const auto image = shared->visit.image().shared_from_this();  // the lane is known by its place
    shared->job(std::move(shared->visit));
    shared->job = nullptr;
    LeaveLane(key, shared->bytes);
  });
}

void JobQueue::LeaveLane(const LaneKey& key, std::size_t bytes) {
  std::unique_ptr<Waiting> next;
  {
    MutexLock lock(mutex_);
    bytes_ -= bytes;
    changed_.notify_all();
    const auto lane = lanes_.find(key);
    CHECK(lane != lanes_.end());
    if (lane->second.waiting.empty()) {
      if (--lane->second.running == 0) lanes_.erase(lane);
      return;
    }
    next = std::make_unique<Waiting>(std::move(lane->second.waiting.front()));
    lane->second.waiting.pop_front();
  }
  Post(key, std::move(*next));
}

}  // namespace coffer::fuse
