// One machine with cofferd's inside: a VolumeManager over real vaults and volumes, with the real
// file system in a directory of its own. The key derivation is cheap, and the exporter hands the
// device to the test.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/control/error_table.h"
#include "core/daemon/volume_manager.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::daemon {

/// Serves nothing: keeps what is exported where a test finds it.
class FakeExporter final : public block::Exporter {
 public:
  explicit FakeExporter(std::string kind = "nbd") : kind_(std::move(kind)) {}
  [[nodiscard]] std::string kind() const override { return kind_; }
  Result<block::ExportPlace> Export(const block::ExportSpec& spec) override {
    MutexLock lock(mutex_);
    if (spec.address == "refuse") return Fail(ErrorCode::kIoError, "no place there");
    devices_[spec.name] = spec.device;
    tls_[spec.name] = spec.tls;
    addresses_[spec.name] = spec.address;
    return block::ExportPlace{"fake:" + spec.name};
  }
  Status Withdraw(const std::string& name) override {
    if (at_withdraw) at_withdraw(name);
    MutexLock lock(mutex_);
    if (devices_.erase(name) == 0) return Fail(ErrorCode::kNotFound, "not exported: " + name);
    return {};
  }
  [[nodiscard]] int client_count(const std::string&) const override { return clients; }
  [[nodiscard]] std::vector<MountHolder> Clients(const std::string&) const override {
    return connected;
  }
  Status Check(const block::ExportSpec& spec) override {
    if (spec.address == "refuse") return Fail(ErrorCode::kIoError, "no place there");
    return {};
  }
  void Resized(const std::string&) override {
    if (at_resized) at_resized();
  }

  std::vector<MountHolder> connected;  // to every export; while no call runs

  std::atomic<int> clients{0};  // of every export
  std::function<void()> at_resized;
  std::function<void(const std::string& name)> at_withdraw;  // while it is still served

  [[nodiscard]] std::string address(const std::string& name) const {
    MutexLock lock(mutex_);
    const auto found = addresses_.find(name);
    return found == addresses_.end() ? "" : found->second;
  }
  /// What it was last exported with.
  [[nodiscard]] block::TlsFiles tls(const std::string& name) const {
    MutexLock lock(mutex_);
    const auto found = tls_.find(name);
    return found == tls_.end() ? block::TlsFiles{} : found->second;
  }
  /// Null when nothing is exported under that name.
  [[nodiscard]] block::BlockDevice* device(const std::string& name) const {
    MutexLock lock(mutex_);
    const auto found = devices_.find(name);
    return found == devices_.end() ? nullptr : found->second;
  }

 private:
  const std::string kind_;
  mutable Mutex mutex_;
  std::map<std::string, std::string> addresses_ GUARDED_BY(mutex_);
  std::map<std::string, block::BlockDevice*> devices_ GUARDED_BY(mutex_);
  std::map<std::string, block::TlsFiles> tls_ GUARDED_BY(mutex_);
};

/// Mounts nothing: notes what it is asked, and fails as it is told.
class FakeMounter final : public mount::Mounter {
 public:
  std::optional<Error> refuse_mount;
  std::optional<Error> refuse_unmount;
  std::optional<Error> refuse_clean_up;
  std::optional<Error> refuse_check;
  mount::Presence presence = mount::Presence::kThere;  // of all that is mounted
  std::string lost;                                    // by every unmount
  std::vector<MountHolder> others;                     // on every image
  std::function<void()> at_clean_up;                   // while the caller waits
  std::function<void()> at_mount;
  std::vector<mount::MountSpec> mounted;
  std::vector<std::string> log;

  Result<std::unique_ptr<mount::MountedImage>> Mount(const mount::MountSpec& spec) override {
    log.push_back("mount");
    if (at_mount) at_mount();
    if (refuse_mount) return Fail(*refuse_mount);
    mounted.push_back(spec);
    return std::make_unique<Image>(*this, spec);
  }
  Status Check(const mount::MountSpec&) override {
    return refuse_check ? Status(Fail(*refuse_check)) : Status();
  }
  Status CleanUp(const std::string& record_path) override {
    log.push_back("clean up " + record_path);
    if (at_clean_up) at_clean_up();
    if (refuse_clean_up) return Fail(*refuse_clean_up);
    return {};
  }
  [[nodiscard]] std::vector<MountHolder> OthersOn(const std::string&,
                                                  const mount::MountedImage*) override {
    return others;
  }

 private:
  class Image final : public mount::MountedImage {
   public:
    Image(FakeMounter& mounter, const mount::MountSpec& spec) : mounter_(mounter) {
      as_.directory = spec.directory;
      as_.path = "/media/me/" + spec.label;
      as_.way = "udisks";
      as_.device = "/dev/loop7";
      as_.file_system = "ext4";
      as_.passed_over = {"loop: not root"};
    }
    [[nodiscard]] const mount::MountedAs& as() const override { return as_; }
    [[nodiscard]] mount::Presence presence() override { return mounter_.presence; }
    [[nodiscard]] std::string ImageGrew(std::uint64_t image_bytes) override {
      mounter_.log.push_back("grew to " + std::to_string(image_bytes));
      return "run resize2fs";
    }
    Result<std::string> Unmount(const mount::UnmountHow& how) override {
      mounter_.log.push_back(how.force == mount::Force::kYes ? "unmount by force" : "unmount");
      if (mounter_.refuse_unmount) return Fail(*mounter_.refuse_unmount);
      return mounter_.lost;
    }

   private:
    FakeMounter& mounter_;
    mount::MountedAs as_;
  };
};

inline FileSystem& EndlessFileSystem() {
  static FileSystem* const fs = NewPosixFileSystem().release();
  return *fs;
}

inline Random& EndlessRandom() {
  static Random* const random = new SystemRandom;
  return *random;
}

class Machine {
 public:
  static constexpr std::string_view kPassword = "correct horse";

  Machine() { Start(); }
  ~Machine() {
    if (manager_ != nullptr) Stop();
  }

  /// As TERM and a new start of cofferd.
  void Restart() {
    Stop();
    Start();
  }
  void Stop() {
    manager_->Shutdown();
    manager_.reset();
  }
  void Start() {
    VolumeManager::Options options;
    options.request_stop = [this] { stop_asked = true; };
    options.mounting = {&mounter, state_ / "images"};
    auto opened = VolumeManager::Open(env_, *jobs_, {&exporter, &images}, options);
    EXPECT_OK(opened);
    if (opened.has_value()) manager_ = std::move(*opened);
  }

  [[nodiscard]] VolumeManager& manager() { return *manager_; }
  [[nodiscard]] const std::string& state() const { return state_.path(); }

  Result<control::InitReply> Init(const std::string& volume, const std::string& store,
                                  std::uint64_t size_bytes = 1 << 20,
                                  std::string_view password = kPassword) {
    control::InitRequest request;
    request.volume = volume;
    request.store = store;
    request.size_bytes = size_bytes;
    request.password = SecretBytes::CopyOf(AsBytes(password));
    return manager_->Init(std::move(request));
  }
  Result<control::AddReply> Add(const std::string& store, std::string_view password = kPassword,
                                const std::string& alias = "") {
    control::AddRequest request;
    request.store = store;
    request.alias = alias;
    request.password = SecretBytes::CopyOf(AsBytes(password));
    return manager_->Add(std::move(request));
  }
  Result<control::OpenReply> Open(const std::string& reference,
                                  std::string_view password = kPassword,
                                  control::OpenRequest request = {}) {
    if (!password.empty()) request.password = SecretBytes::CopyOf(AsBytes(password));
    return manager_->Open(reference, std::move(request));
  }
  /// Waits for a job that was started.
  Result<control::JobInfo> Finish(Result<control::JobInfo> job) {
    while (job.has_value() && job->state == "running") {
      std::this_thread::yield();
      job = manager_->Job(job->id);
    }
    return job;
  }
  Result<control::JobInfo> Sync(const std::string& reference) {
    return Finish(manager_->Sync(reference));
  }
  Result<control::JobInfo> Close(const std::string& reference, bool no_wait = false,
                                 bool force = false) {
    return Finish(manager_->Close(reference, control::CloseRequest{no_wait, force}));
  }
  control::VolumeStatus Status(const std::string& reference) {
    auto status = manager_->Volume(reference);
    EXPECT_OK(status);
    return status.has_value() ? *status : control::VolumeStatus{};
  }

  FakeExporter exporter;
  FakeExporter images{"fuse"};
  FakeMounter mounter;
  std::atomic<bool> stop_asked{false};

 private:
  TemporaryDirectory state_;
  // The first two never end, as in cofferd: a call of a store whose caller was told to stop goes
  // on.
  FileSystem& fs_ = EndlessFileSystem();
  Random& random_ = EndlessRandom();
  SystemClock clock_;
  std::unique_ptr<Executor> fetch_ = NewThreadExecutor("fetch", 4);
  std::unique_ptr<Executor> work_ = NewThreadExecutor("work", 2);
  std::unique_ptr<Executor> sync_ = NewThreadExecutor("sync", 2);
  std::unique_ptr<Executor> jobs_ = NewThreadExecutor("jobs", 4);
  vault::Environment env_{fs_,
                          clock_,
                          random_,
                          *sync_,
                          *work_,
                          *fetch_,
                          crypto::KdfPolicy{64, 1, 1},
                          crypto::KdfBounds{64, 256, 1, 2, 1},
                          state_.path(),
                          "test-host"};
  std::unique_ptr<VolumeManager> manager_;
};

}  // namespace coffer::daemon
