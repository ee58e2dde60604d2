#include "nbd/jobs.h"

#include <algorithm>

#include "core/base/check.h"

namespace coffer::nbd {
namespace {

block::WriteFlag WriteFlagOf(const Job& job) {
  return job.flags & kCommandFua ? block::WriteFlag::kForceUnitAccess : block::WriteFlag::kNone;
}

block::ZeroFlag ZeroFlagOf(const Job& job) {
  const auto bit = [&job](unsigned flag, block::ZeroFlag means) {
    return job.flags & flag ? static_cast<unsigned>(means) : 0u;
  };
  return static_cast<block::ZeroFlag>(bit(kCommandFua, block::ZeroFlag::kForceUnitAccess) |
                                      bit(kCommandNoHole, block::ZeroFlag::kNoHole));
}

/// Reading is what puts bytes into the device's caches.
Status ReadAhead(const Job& job) {
  constexpr std::uint64_t kPieceBytes = 1u << 20;
  const std::uint64_t length = std::min(job.length, JobQueue::kCacheBytesMax);
  Bytes piece(std::min(length, kPieceBytes));
  for (std::uint64_t done = 0; done < length; done += piece.size()) {
    piece.resize(std::min(length - done, kPieceBytes));
    RETURN_IF_ERROR(job.device->Read(job.to.offset + done, piece));
  }
  return {};
}

// The reply is laid out here, so that the event loop need not look at megabytes.
Status ReadAndLayOut(Job& job) {
  const MutableByteView reply = job.data.mutable_view();
  RETURN_IF_ERROR(job.device->Read(job.to.offset, reply.subspan(ReadHeaderBytes(job.to.style))));
  job.reply_bytes = LayOutRead(reply, job.to, FragmentsOf(job.flags));
  return {};
}

Status AskStatus(Job& job) {
  ASSIGN_OR_RETURN(job.status, StatusReply(*job.device, *job.selected, job.to,
                                           {job.length, job.flags, job.contexts}));
  return {};
}

// As many at once as the device can, each of the rest by itself.
Status WriteBatch(Job& job) {
  std::vector<block::BlockDevice::WriteRequest> views;
  for (const BatchedWrite& write : job.batch) views.push_back({write.to.offset, write.payload});
  for (std::size_t i = 0; i < job.batch.size(); ++i) {
    if (const auto rest = job.device->TryWrite(std::span(views).subspan(i))) {
      for (std::size_t j = i; j < job.batch.size(); ++j) job.batch[j].result = *rest;
      break;
    }
    job.batch[i].result =
        job.device->Write(views[i].offset, views[i].data, block::WriteFlag::kNone);
  }
  return {};
}

Status CarryOut(Job& job) {
  switch (job.command) {
    case Command::kRead:
      return ReadAndLayOut(job);
    case Command::kWrite:
      if (!job.batch.empty()) return WriteBatch(job);
      return job.device->Write(job.to.offset, job.data.view(), WriteFlagOf(job));
    case Command::kFlush:
      return job.device->Flush();
    case Command::kTrim:
      return job.device->Trim(job.to.offset, job.length, WriteFlagOf(job));
    case Command::kWriteZeroes:
      return job.device->WriteZeroes(job.to.offset, job.length, ZeroFlagOf(job));
    case Command::kCache:
      return ReadAhead(job);
    case Command::kBlockStatus:
      return AskStatus(job);
    case Command::kDisconnect:
    case Command::kResize:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "not a request for a device");
}

}  // namespace

JobQueue::~JobQueue() { CHECK(lent_ == 0); }

Job& JobQueue::New() {
  ++lent_;
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Job>());
    return *all_.back();
  }
  Job& job = *idle_.back();
  idle_.pop_back();
  return job;
}

std::optional<JobQueue::LaneKey> JobQueue::LaneOf(const Job& job) {
  if (IsWriteClass(job.command)) return LaneKey{job.device, Kind::kWrite};
  if (job.command == Command::kCache || job.command == Command::kBlockStatus) {
    return LaneKey{job.device, Kind::kSurvey};
  }
  return std::nullopt;
}

void JobQueue::Start(Job& job) {
  const std::optional<LaneKey> key = LaneOf(job);
  if (!key) return Post(job);
  Lane& lane = lanes_[*key];
  if (lane.running == (key->second == Kind::kWrite ? kWritesAtOnce : kSurveysAtOnce)) {
    lane.waiting.push_back(&job);
    return;
  }
  ++lane.running;
  Post(job);
}

void JobQueue::Post(Job& job) {
  workers_.Post([this, &job] { Run(job); });
}

void JobQueue::LeaveLane(const LaneKey& key) {
  const auto lane = lanes_.find(key);
  CHECK(lane != lanes_.end());
  if (!lane->second.waiting.empty()) {
    Job& next = *lane->second.waiting.front();
    lane->second.waiting.pop_front();
    Post(next);
  } else if (--lane->second.running == 0) {
    lanes_.erase(lane);
  }
}

void JobQueue::StartFlush(block::BlockDevice& device, std::span<const Barrier> barriers) {
  Flushes& flushes = flushes_[&device];
  if (flushes.running == kFlushesAtOnce) {
    flushes.waiting.insert(flushes.waiting.end(), barriers.begin(), barriers.end());
    return;
  }
  ++flushes.running;
  PostFlush(device, {barriers.begin(), barriers.end()});
}

void JobQueue::PostFlush(block::BlockDevice& device, std::vector<Barrier> barriers) {
  Job& job = New();
  job.command = Command::kFlush;
  job.device = &device;
  job.barriers = std::move(barriers);
  Post(job);
}

void JobQueue::FlushIsOver(block::BlockDevice& device) {
  const auto flushes = flushes_.find(&device);
  CHECK(flushes != flushes_.end());
  if (!flushes->second.waiting.empty()) {
    PostFlush(device, std::exchange(flushes->second.waiting, {}));
  } else if (--flushes->second.running == 0) {
    flushes_.erase(flushes);
  }
}

void JobQueue::Run(Job& job) {
  job.result = CarryOut(job);
  MutexLock lock(mutex_);
  finished_.push_back(&job);
  // Under the lock: once it is open the loop may take the last job and end, poller and all.
  if (finished_.size() == 1) poller_.Wake();
}

void JobQueue::TakeFinished(std::vector<Job*>& finished) {
  finished.clear();
  MutexLock lock(mutex_);
  finished.swap(finished_);
}

void JobQueue::Recycle(Job& job) {
  if (const std::optional<LaneKey> key = LaneOf(job)) LeaveLane(*key);
  if (job.command == Command::kFlush) FlushIsOver(*job.device);
  job.barriers.clear();
  job.batch.clear();
  job.data.Release();
  job.status = {};
  job.reply_bytes = 0;
  job.result = Status{};
  --lent_;
  idle_.push_back(&job);
}

}  // namespace coffer::nbd
