// VolumeManager: the ControlService of cofferd. Finds what a request means (names, defaults, jobs)
// and hands it to whom it concerns: VaultAdmin, VolumeAdmin, OpenVolumes, JobTable. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/block/exporter.h"
#include "core/control/event_hub.h"
#include "core/control/service.h"
#include "core/daemon/job_table.h"
#include "core/daemon/live_config.h"
#include "core/daemon/open_volumes.h"
#include "core/daemon/registry.h"
#include "core/daemon/store_admin.h"
#include "core/daemon/trust_admin.h"
#include "core/daemon/upload_pause.h"
#include "core/daemon/vault_admin.h"
#include "core/daemon/vault_pool.h"
#include "core/daemon/volume_admin.h"

namespace coffer::daemon {

class VolumeManager final : public control::ControlService {
 public:
  struct Options {
    config::Config config;
    std::string config_path;
    std::string cache_directory;  // for frames on disk; empty: none
    OpenVolumes::Mounting mounting;
    store::StoreReach reach;
    StoreSeams stores;                   // for tests
    std::function<void()> request_stop;  // for POST /v1/daemon/stop; must not block
  };

  /// All outlive the manager. `jobs` runs syncs and closes: its tasks wait for env's executors.
  static Result<std::unique_ptr<VolumeManager>> Open(vault::Environment& env, Executor& jobs,
                                                     std::vector<block::Exporter*> exporters,
                                                     Options options);
  ~VolumeManager() override;  // after Shutdown

  control::VersionInfo Version() override;
  control::VaultList Vaults() override { return admin_.Vaults(); }
  Result<control::ProbeReply> ProbeStore(const control::ProbeRequest& request) override {
    return admin_.Probe(request);
  }
  Result<control::InitReply> Init(control::InitRequest request) override;
  Result<control::AddReply> Add(control::AddRequest request) override;
  Result<control::StoreTestReply> TestStore(const control::StoreTestRequest& request) override;
  Result<control::TrustInfo> Trust(const std::string& vault,
                                   control::TrustRequest request) override;
  Result<control::TrustInfo> AcceptTrust(const std::string& vault,
                                         control::TrustAcceptRequest request) override;
  Result<control::Forgotten> Forget(const std::string& vault,
                                    const control::ForgetRequest& request) override;
  control::VolumeList Volumes() override;
  Result<control::VolumeStatus> Volume(const std::string& reference) override;
  Result<control::SettingList> Settings(const std::string& reference) override;
  Result<control::OpenReply> Open(const std::string& reference,
                                  control::OpenRequest request) override;
  Status CheckOpen(const std::string& reference, const control::OpenRequest& request) override;
  Result<control::JobInfo> StartOpen(const std::string& reference,
                                     control::OpenRequest request) override;
  Result<control::JobInfo> Sync(const std::string& reference) override;
  Result<control::JobInfo> Close(const std::string& reference,
                                 const control::CloseRequest& request) override;
  Result<control::PauseInfo> Pause(const control::PauseRequest& request) override;
  Result<control::PauseInfo> Resume() override;
  Result<control::PasswdReply> Passwd(const std::string& reference,
                                      control::PasswdRequest request) override;
  Result<control::KeyList> Keys(const std::string& reference,
                                control::KeysRequest request) override;
  Result<control::VolumeStatus> Rename(const std::string& reference,
                                       control::RenameRequest request) override;
  Result<control::JobInfo> Resize(const std::string& reference,
                                  control::ResizeRequest request) override;
  Result<control::JobInfo> Delete(const std::string& reference,
                                  control::DeleteRequest request) override;
  Result<control::VolumeInfo> Info(const std::string& reference) override;
  Result<control::JobInfo> Survey(const std::string& reference,
                                  control::SurveyRequest request) override;
  control::JobList Jobs() override { return jobs_.List(); }
  Result<control::JobInfo> Job(const std::string& id) override { return jobs_.Find(id); }
  std::unique_ptr<control::EventSubscription> Subscribe(EventSink sink) override {
    return events_.Subscribe(std::move(sink));
  }
  Status StopDaemon(const control::StopRequest& request,
                    std::vector<control::HolderInfo>* holders) override;

  /// The file was read again: what can change while the daemon runs does.
  void Reload(config::Config config);
  /// Keys that exporters have from files.
  void RereadFiles() { open_.RereadFiles(); }

  /// From now on whatever would begin something is refused.
  void StopServing() { ending_ = true; }
  /// Opens nothing any more, cuts all clients off, makes every journal durable and closes the
  /// volumes without waiting for uploads.
  void Shutdown();

 private:
  /// A volume that a reference means; `known` is empty when the vault is known and the volume not.
  struct Target {
    KnownVault vault;
    VolumeKey key;
    std::optional<KnownVolume> known;
    [[nodiscard]] std::string full_name() const { return vault.alias + "/" + key.volume; }
  };

  VolumeManager(vault::Environment& env, Executor& jobs, std::vector<block::Exporter*> exporters,
                std::unique_ptr<Registry> registry, Options options);

  enum class Among { kAll, kOpenFirst };  // kOpenFirst: of several, the one that is open
  Result<Target> Resolve(const std::string& reference, Among among = Among::kAll) const;
  /// The vault of that alias or id, or of the volume that is named.
  Result<KnownVault> ResolveVault(const std::string& name) const;
  /// A volume known by that name, without looking at its vault's store.
  Result<Target> ResolveKnown(const std::string& reference) const;
  control::VolumeStatus StatusOf(const KnownVault& vault, const KnownVolume& volume);
  /// Of a volume that may be in the vault's catalog.
  control::VolumeStatus StatusOfUnseen(const KnownVault& vault, const std::string& name);
  Result<VaultPool::Lease> UnlockFor(const Target& target, const control::OpenRequest& request);
  Result<control::JobInfo> SyncAll();
  Result<control::JobInfo> CloseAll(OpenVolumes::CloseHow how);
  /// `work` on every open volume, all at once; the first error, each of them a note of the job.
  Status ForEachOpen(JobTable::Reporter& reporter,
                     const std::function<Status(const VolumeKey&)>& work);
  Result<control::JobInfo> ListedAgain(Result<control::JobInfo> started);
  Status CheckServing() const;
  [[nodiscard]] control::PauseInfo PauseNow() const;
  void SetBandwidth(const config::Effective& settings);

  vault::Environment& env_;
  Executor& jobs_executor_;
  const Options options_;
  LiveConfig config_;
  const std::unique_ptr<Registry> registry_;
  control::EventHub events_;
  VaultPool pool_;
  VaultAdmin admin_;
  OpenVolumes open_;
  UploadPause pause_;
  VolumeAdmin volume_admin_;
  StoreAdmin store_admin_;
  TrustAdmin trust_admin_;
  JobTable jobs_;  // last: its end waits for jobs, which use the others
  std::atomic<bool> ending_{false};
};

}  // namespace coffer::daemon
