#include "fuse/jobs.h"

#include <utility>

#include "fuse/limits.h"

namespace coffer::fuse {

constexpr int JobQueue::AtOnce(Kind kind) {
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

JobQueue::JobQueue()
    : workers_(NewThreadExecutor("fuse", AtOnce(Kind::kRead) + AtOnce(Kind::kWrite) +
                                             AtOnce(Kind::kFlush) + AtOnce(Kind::kSurvey))) {}

JobQueue::~JobQueue() {
  MutexLock lock(mutex_);
  workers_->Await(lock, changed_, [this]() REQUIRES_LOCK(mutex_) { return running_ == 0; });
}

bool JobQueue::HasRoomFor(std::size_t bytes) const {
  MutexLock lock(mutex_);
  return bytes_ == 0 || bytes_ + bytes <= kJobBytesMax;
}

void JobQueue::Start(Kind kind, Image::Visit visit, std::size_t bytes, Job job) {
  Waiting request{std::move(visit), bytes, std::move(job)};
  {
    MutexLock lock(mutex_);
    bytes_ += bytes;
    Lane& lane = LaneOf(kind);
    if (lane.running == AtOnce(kind)) {
      lane.waiting.push_back(std::move(request));
      return;
    }
    ++lane.running;
    ++running_;
  }
  Post(kind, std::move(request));
}

void JobQueue::Post(Kind kind, Waiting request) {
  // A std::function is copied, a visit is not.
  const auto shared = std::make_shared<Waiting>(std::move(request));
  workers_->Post([this, kind, shared] {
    shared->job(std::move(shared->visit));
    shared->job = nullptr;
    LeaveLane(kind, shared->bytes);
  });
}

void JobQueue::LeaveLane(Kind kind, std::size_t bytes) {
  std::unique_ptr<Waiting> next;
  {
    MutexLock lock(mutex_);
    bytes_ -= bytes;
    Lane& lane = LaneOf(kind);
    if (lane.waiting.empty()) {
      --lane.running;
      if (--running_ == 0) changed_.notify_all();
      return;
    }
    next = std::make_unique<Waiting>(std::move(lane.waiting.front()));
    lane.waiting.pop_front();
  }
  Post(kind, std::move(*next));
}

}  // namespace coffer::fuse
