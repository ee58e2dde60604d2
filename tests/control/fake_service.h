// A ControlService that holds volumes in a map, for tests of what stands above it: dispatcher,
// server, client, commands. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/control/event_hub.h"
#include "core/control/service.h"

namespace coffer::control {

class FakeService final : public ControlService {
 public:
  /// Runs at the start of every Open, outside the lock: a test may block in it.
  std::function<void()> before_open = [] {};
  /// As before_open, of StopDaemon.
  std::function<void()> before_stop;
  std::vector<HolderInfo> holding;  // refuse an end; set while no request runs
  EventHub events;

  VersionInfo Version() override { return {"9.9.9", 4711}; }
  VaultList Vaults() override { return {{{"photos", "00ff", "/store", true}}}; }

  Result<ProbeReply> ProbeStore(const ProbeRequest& request) override {
    if (request.store == "/gone") return Fail(ErrorCode::kUnavailable, "no store", "mount it");
    return ProbeReply{request.store == "/vault", false};
  }

  Result<PauseInfo> Pause(const PauseRequest& request) override {
    return PauseInfo{true, static_cast<std::int64_t>(request.seconds)};
  }
  Result<PauseInfo> Resume() override { return PauseInfo{}; }

  Result<StoreTestReply> TestStore(const StoreTestRequest& request) override {
    StoreTestReply reply;
    reply.store = request.store;
    reply.checks.push_back({"list", "ok", "", "", ""});
    return reply;
  }

  Result<InitReply> Init(InitRequest request) override {
    MutexLock lock(mutex_);
    password_ = AsText(request.password.view());
    if (volumes_.count(request.volume) > 0) {
      return Fail(ErrorCode::kAlreadyExists, "volume " + request.volume + " is there already");
    }
    VolumeStatus& status = volumes_[request.volume];
    status.volume = request.volume;
    status.vault = "photos";
    status.size_bytes = request.size_bytes;
    status.state = "closed";
    return InitReply{request.volume, request.size_bytes, true, {"photos", "00ff", "/store", true}};
  }

  Result<AddReply> Add(AddRequest request) override {
    if (AsText(request.password.view()) != "right") {
      return Fail(ErrorCode::kUnauthenticated, "the password does not open the vault");
    }
    return AddReply{{"photos", "00ff", request.store, false}, {{"pics", 4096}}};
  }

  Result<TrustInfo> Trust(const std::string& vault, TrustRequest request) override {
    if (AsText(request.password.view()) != "right") {
      return Fail(ErrorCode::kUnauthenticated, "the password does not open the vault");
    }
    TrustInfo info;
    info.vault = {vault, "00ff", "/store", false};
    info.offer = "ab";
    return info;
  }
  Result<TrustInfo> AcceptTrust(const std::string& vault, TrustAcceptRequest request) override {
    if (request.offer != "ab") return Fail(ErrorCode::kConflict, "the store has changed");
    return Trust(vault, {std::move(request.password)});
  }
  Result<Forgotten> Forget(const std::string& vault, const ForgetRequest& request) override {
    if (!request.force) return Fail(ErrorCode::kConflict, "bytes wait");
    return Forgotten{{vault, "00ff", "/store", false}, "/state"};
  }

  VolumeList Volumes() override {
    MutexLock lock(mutex_);
    VolumeList list;
    for (const auto& [name, status] : volumes_) list.volumes.push_back(status);
    return list;
  }

  Result<VolumeStatus> Volume(const std::string& reference) override {
    MutexLock lock(mutex_);
    const auto found = volumes_.find(reference);
    if (found == volumes_.end()) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    return found->second;
  }

  Result<SettingList> Settings(const std::string& reference) override {
    return SettingList{"/config.toml", {{"sync_age", "60s", "default of " + reference}}};
  }

  Result<OpenReply> Open(const std::string& reference, OpenRequest request) override {
    before_open();
    MutexLock lock(mutex_);
    password_ = AsText(request.password.view());
    const auto found = volumes_.find(reference);
    if (found == volumes_.end()) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    OpenReply reply;
    reply.volume = reference;
    reply.already_open = std::exchange(found->second.state, "open") == "open";
    reply.uri = "nbd+unix:///" + reference;
    events.Publish(found->second);
    return reply;
  }

  Result<JobInfo> Sync(const std::string& reference) override { return Start("sync", reference); }
  Result<JobInfo> Close(const std::string& reference, const CloseRequest& request) override {
    return Start(request.no_wait ? "close-no-wait" : "close", reference);
  }

  Result<PasswdReply> Passwd(const std::string& reference, PasswdRequest request) override {
    MutexLock lock(mutex_);
    if (volumes_.count(reference) == 0) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    if (AsText(request.password.view()) != "right") {
      return Fail(ErrorCode::kUnauthenticated, "wrong password");
    }
    password_ = AsText(request.new_password.view());
    return PasswdReply{{"photos", "00ff", "/store", true}, {reference, "music"}, 2};
  }
  Result<KeyList> Keys(const std::string& reference, KeysRequest request) override {
    if (AsText(request.password.view()) != "right") {
      return Fail(ErrorCode::kUnauthenticated, "wrong password");
    }
    KeyInfo key;
    key.slot = 3;
    key.kind = "password";
    key.label = reference;
    key.opened = true;
    return KeyList{{"photos", "00ff", "/store", true}, 7, {key}};
  }
  Result<VolumeStatus> Rename(const std::string& reference, RenameRequest request) override {
    MutexLock lock(mutex_);
    auto found = volumes_.extract(reference);
    if (found.empty()) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    found.key() = request.name;
    found.mapped().volume = request.name;
    return volumes_.insert(std::move(found)).position->second;
  }
  Result<JobInfo> Resize(const std::string& reference, ResizeRequest request) override {
    MutexLock lock(mutex_);
    const auto found = volumes_.find(reference);
    if (found == volumes_.end()) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    if (request.size_bytes < found->second.size_bytes && !request.discard_tail) {
      return Fail(ErrorCode::kInvalidArgument, "smaller");
    }
    found->second.size_bytes = request.size_bytes;
    return Done("7", "resize", reference);
  }
  Result<JobInfo> Delete(const std::string& reference, DeleteRequest request) override {
    MutexLock lock(mutex_);
    if (request.confirm != reference) return Fail(ErrorCode::kInvalidArgument, "say its name");
    if (volumes_.erase(reference) == 0) return Fail(ErrorCode::kNotFound, "no volume " + reference);
    JobInfo job = Done("8", "delete", reference);
    job.deleted = Deleted{reference, "photos", 1, 4096, true};
    return job;
  }
  Result<JobInfo> StartOpen(const std::string& reference, OpenRequest request) override {
    ASSIGN_OR_RETURN(const OpenReply opened, Open(reference, std::move(request)));
    JobInfo job = Done("9", "open", reference);
    job.opened = opened;
    return job;
  }
  Result<VolumeInfo> Info(const std::string& reference) override {
    VolumeInfo info;
    ASSIGN_OR_RETURN(info.volume, Volume(reference));
    info.codec = "zstd 1";
    info.requests = RequestCounts{1, 2, 3, 4, 5, 6, 7, 8};
    info.survey.emplace().patched_chunks = 9;
    return info;
  }
  Result<JobInfo> Survey(const std::string& reference, SurveyRequest request) override {
    if (AsText(request.password.view()) != "right") {
      return Fail(ErrorCode::kUnauthenticated, "wrong password");
    }
    return Start("survey", reference);
  }

  JobList Jobs() override {
    MutexLock lock(mutex_);
    JobList list;
    for (const auto& [id, job] : jobs_) list.jobs.push_back(job);
    return list;
  }

  /// Every look at a job moves it on by a third.
  Result<JobInfo> Job(const std::string& id) override {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return Fail(ErrorCode::kNotFound, "no job " + id);
    JobInfo& job = found->second;
    if (job.done < job.total) job.done += 1;
    if (job.done == job.total) job.state = "done";
    return job;
  }

  std::unique_ptr<EventSubscription> Subscribe(EventSink sink) override {
    return events.Subscribe(std::move(sink));
  }

  Status CheckOpen(const std::string&, const OpenRequest&) override { return {}; }

  Status StopDaemon(const StopRequest&, std::vector<HolderInfo>* holders) override {
    if (before_stop) before_stop();
    MutexLock lock(mutex_);
    if (!holding.empty()) {
      *holders = holding;
      return Fail(ErrorCode::kConflict, "cofferd goes on, since photos is in use");
    }
    stop_asked_ = true;
    return {};
  }

  [[nodiscard]] std::string password() {
    MutexLock lock(mutex_);
    return password_;
  }
  [[nodiscard]] bool stop_asked() {
    MutexLock lock(mutex_);
    return stop_asked_;
  }
  void AddVolume(const std::string& name) {
    MutexLock lock(mutex_);
    volumes_[name].volume = name;
    volumes_[name].state = "closed";
  }

 private:
  Result<JobInfo> Start(const std::string& kind, const std::string& reference) {
    MutexLock lock(mutex_);
    if (!reference.empty() && volumes_.count(reference) == 0) {
      return Fail(ErrorCode::kNotFound, "no volume " + reference);
    }
    const std::string id = std::to_string(jobs_.size() + 1);
    JobInfo job = Done(id, kind, reference);
    job.state = "running";
    job.total = 3;
    return jobs_[id] = job;
  }
  static JobInfo Done(const std::string& id, const std::string& kind,
                      const std::string& reference) {
    JobInfo job;
    job.id = id;
    job.kind = kind;
    job.volume = reference;
    job.state = "done";
    job.unit = "bytes";
    return job;
  }

  Mutex mutex_;
  std::map<std::string, VolumeStatus> volumes_ GUARDED_BY(mutex_);
  std::map<std::string, JobInfo> jobs_ GUARDED_BY(mutex_);
  std::string password_ GUARDED_BY(mutex_);
  bool stop_asked_ GUARDED_BY(mutex_) = false;
};

}  // namespace coffer::control
