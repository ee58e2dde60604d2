#include "nbd/jobs.h"

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

Status CarryOut(Job& job) {
  switch (job.command) {
    case Command::kRead:
      return job.device->Read(job.offset, job.data.mutable_view().subspan(kReplyHeaderBytes));
    case Command::kWrite:
      return job.device->Write(job.offset, job.data.view(), WriteFlagOf(job));
    case Command::kFlush:
      return job.device->Flush();
    case Command::kTrim:
      return job.device->Trim(job.offset, job.length, WriteFlagOf(job));
    case Command::kWriteZeroes:
      return job.device->WriteZeroes(job.offset, job.length, ZeroFlagOf(job));
    case Command::kDisconnect:
    case Command::kCache:
    case Command::kBlockStatus:
    case Command::kResize:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "not a request for a device");
}

bool MayWaitForRoom(Command command) {
  return command == Command::kWrite || command == Command::kTrim ||
         command == Command::kWriteZeroes;
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

void JobQueue::Start(Job& job) {
  if (!MayWaitForRoom(job.command)) return Post(job);
  WriteLane& lane = lanes_[job.device];
  if (lane.running == kWritesAtOnce) {
    lane.waiting.push_back(&job);
    return;
  }
  ++lane.running;
  Post(job);
}

void JobQueue::Post(Job& job) {
  workers_.Post([this, &job] { Run(job); });
}

void JobQueue::EndWrite(const Job& job) {
  const auto lane = lanes_.find(job.device);
  CHECK(lane != lanes_.end());
  if (!lane->second.waiting.empty()) {
    Job& next = *lane->second.waiting.front();
    lane->second.waiting.pop_front();
    Post(next);
  } else if (--lane->second.running == 0) {
    lanes_.erase(lane);
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
  if (MayWaitForRoom(job.command)) EndWrite(job);
  job.data.Release();
  job.result = Status{};
  --lent_;
  idle_.push_back(&job);
}

}  // namespace coffer::nbd
