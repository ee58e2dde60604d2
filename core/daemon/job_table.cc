#include "core/daemon/job_table.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/log.h"

namespace coffer::daemon {
namespace {

/// Between two events about a job that only gets on.
constexpr Duration kProgressEvery = std::chrono::milliseconds(500);

/// "" of a job for all volumes.
std::string_view VaultOf(std::string_view volume) { return volume.substr(0, volume.find('/')); }

}  // namespace

JobTable::~JobTable() {
  MutexLock lock(mutex_);
  executor_.Await(lock, changed_, [this]() REQUIRES_LOCK(mutex_) { return running_ == 0; });
}

Result<control::JobInfo> JobTable::Start(std::string kind, std::string volume, std::string unit,
                                         Work work) {
  std::uint64_t number;
  control::JobInfo info;
  {
    MutexLock lock(mutex_);
    if (running_ >= kRunningMax) {
      return Fail(ErrorCode::kConflict, Concat(running_, " jobs are running already"));
    }
    const std::string_view vault = VaultOf(volume);
    if (const std::size_t running = RunningOfLocked(vault); running >= kRunningOfVaultMax) {
      return Fail(ErrorCode::kConflict,
                  Concat(running, " jobs of vault ", vault, " are running already"));
    }
    running_ += 1;
    number = ++last_number_;
    info.id = std::to_string(number);
    info.kind = std::move(kind);
    info.volume = std::move(volume);
    info.unit = std::move(unit);
    info.state = "running";
    jobs_[number].info = info;
  }
  events_.Publish(info);
  executor_.Post([this, number, work = std::move(work)] { Run(number, work); });
  return info;
}

void JobTable::Run(std::uint64_t number, const Work& work) {
  Reporter reporter(*this, number);
  const Status status = work(reporter);
  Change(
      number,
      [&status](control::JobInfo& info) {
        info.state = status.has_value() ? "done" : "failed";
        if (!status.has_value()) info.error = status.error();
      },
      true);
  MutexLock lock(mutex_);
  running_ -= 1;
  ForgetOldLocked();
  changed_.notify_all();
}

void JobTable::Change(std::uint64_t number, const std::function<void(control::JobInfo&)>& change,
                      bool always_publish) {
  control::JobInfo info;
  {
    MutexLock lock(mutex_);
    Job& job = jobs_.at(number);
    change(job.info);
    const MonotonicTime now = clock_.Now();
    if (!always_publish && now - job.published < kProgressEvery) return;
    job.published = now;
    info = job.info;
  }
  events_.Publish(info);
}

void JobTable::ForgetOldLocked() {
  for (auto job = jobs_.begin(); job != jobs_.end() && jobs_.size() > kKept + running_;) {
    job = job->second.info.state == "running" ? std::next(job) : jobs_.erase(job);
  }
}

std::size_t JobTable::RunningOfLocked(std::string_view vault) const {
  return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [vault](auto& entry) {
    const control::JobInfo& info = entry.second.info;
    return info.state == "running" && VaultOf(info.volume) == vault;
  }));
}

std::optional<control::JobInfo> JobTable::FindRunning(const std::string& kind,
                                                      const std::string& volume) const {
  MutexLock lock(mutex_);
  for (const auto& [number, job] : jobs_) {
    const control::JobInfo& info = job.info;
    if (info.state == "running" && info.kind == kind && info.volume == volume) return info;
  }
  return std::nullopt;
}

Result<control::JobInfo> JobTable::Find(const std::string& id) const {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  MutexLock lock(mutex_);
  const auto found = jobs_.find(number);
  if (error != std::errc() || end != id.data() + id.size() || found == jobs_.end()) {
    return Fail(ErrorCode::kNotFound, "there is no such job");
  }
  return found->second.info;
}

control::JobList JobTable::List() const {
  MutexLock lock(mutex_);
  control::JobList list;
  for (const auto& [number, job] : jobs_) list.jobs.push_back(job.info);
  return list;
}

void JobTable::Reporter::Progress(std::uint64_t done, std::uint64_t total) {
  table_.Change(
      number_,
      [done, total](control::JobInfo& info) {
        info.done = done;
        info.total = total;
      },
      false);
}

void JobTable::Reporter::Message(std::string message) {
  table_.Change(
      number_, [&message](control::JobInfo& info) { info.message = std::move(message); }, true);
}

void JobTable::Reporter::Note(std::string note) {
  if (note.empty()) return;
  table_.Change(
      number_, [&note](control::JobInfo& info) { info.notes.push_back(std::move(note)); }, false);
}

void JobTable::Reporter::Opened(control::OpenReply reply) {
  table_.Change(
      number_, [&reply](control::JobInfo& info) { info.opened = std::move(reply); }, false);
}

void JobTable::Reporter::Deleted(control::Deleted deleted) {
  table_.Change(
      number_, [&deleted](control::JobInfo& info) { info.deleted = std::move(deleted); }, false);
}

void JobTable::Reporter::Holder(control::HolderInfo holder) {
  table_.Change(
      number_, [&holder](control::JobInfo& info) { info.holders.push_back(std::move(holder)); },
      false);
}

void JobTable::Reporter::WaitingBytes(std::uint64_t bytes) {
  table_.Change(
      number_, [bytes](control::JobInfo& info) { info.waiting_bytes = bytes; }, true);
}

}  // namespace coffer::daemon
