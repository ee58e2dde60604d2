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
  Bytes piece(std::min<std::uint64_t>(job.length, kPieceBytes));
  for (std::uint64_t done = 0; done < job.length; done += piece.size()) {
    piece.resize(std::min<std::uint64_t>(job.length - done, kPieceBytes));
    RETURN_IF_ERROR(job.device->Read(job.offset + done, piece));
  }
  return {};
}

// The reply is laid out here, so that the event loop need not look at megabytes.
Status ReadAndLayOut(Job& job) {
  const MutableByteView reply = job.data.mutable_view();
  RETURN_IF_ERROR(job.device->Read(job.offset, reply.subspan(ReadHeaderBytes(job.style))));
  job.reply_bytes = LayOutRead(reply, job.style, job.cookie, job.offset, FragmentsOf(job.flags));
  return {};
}

Status AskStatus(Job& job) {
  ASSIGN_OR_RETURN(job.status, StatusReply(*job.device, *job.contexts, job.cookie, job.offset,
                                           job.length, job.flags));
  return {};
}

Status CarryOut(Job& job) {
  switch (job.command) {
    case Command::kRead:
      return ReadAndLayOut(job);
    case Command::kWrite:
      return job.device->Write(job.offset, job.data.view(), WriteFlagOf(job));
    case Command::kFlush:
      return job.device->Flush();
    case Command::kTrim:
      return job.device->Trim(job.offset, job.length, WriteFlagOf(job));
    case Command::kWriteZeroes:
      return job.device->WriteZeroes(job.offset, job.length, ZeroFlagOf(job));
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

void JobQueue::Start(Job& job) {
  if (!IsWriteClass(job.command)) return Post(job);
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
  if (IsWriteClass(job.command)) EndWrite(job);
  job.data.Release();
  job.status = {};
  job.reply_bytes = 0;
  job.result = Status{};
  --lent_;
  idle_.push_back(&job);
}

}  // namespace coffer::nbd
