// ControlService: what the control API can do, without a word of HTTP. core/daemon implements it;
// the dispatcher calls it.
//
// Thread-safe: requests come from several threads at once, and each may block for as long as its
// work takes (a password hash, a store far away). What takes longer answers with a job.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/control/messages.h"

namespace coffer::control {

/// Ends a subscription when destroyed; afterwards its sink is not called any more.
class EventSubscription {
 public:
  virtual ~EventSubscription() = default;
};

class ControlService {
 public:
  using EventSink = std::function<void(const Event&)>;  // must not block

  virtual ~ControlService() = default;

  virtual VersionInfo Version() = 0;
  virtual VaultList Vaults() = 0;
  /// Looks whether a store holds a vault, so that a client knows whether to ask for a new password.
  virtual Result<ProbeReply> ProbeStore(const ProbeRequest& request) = 0;
  /// Tries out what coffer needs of a store.
  virtual Result<StoreTestReply> TestStore(const StoreTestRequest& request) = 0;
  virtual Result<InitReply> Init(InitRequest request) = 0;
  virtual Result<AddReply> Add(AddRequest request) = 0;

  /// `vault` is its alias or id, or a volume of it.
  virtual Result<TrustInfo> Trust(const std::string& vault, TrustRequest request) = 0;
  virtual Result<TrustInfo> AcceptTrust(const std::string& vault, TrustAcceptRequest request) = 0;
  virtual Result<Forgotten> Forget(const std::string& vault, const ForgetRequest& request) = 0;

  virtual VolumeList Volumes() = 0;
  /// `reference` is VOLUME or VAULT/VOLUME.
  virtual Result<VolumeStatus> Volume(const std::string& reference) = 0;
  /// What holds for a volume, and who said so.
  virtual Result<SettingList> Settings(const std::string& reference) = 0;
  virtual Result<OpenReply> Open(const std::string& reference, OpenRequest request) = 0;
  /// What of Open's errors can be told before a password is asked for.
  virtual Status CheckOpen(const std::string& reference, const OpenRequest& request) = 0;
  /// Open as a job, which tells how the journal's replay gets on and carries the reply.
  virtual Result<JobInfo> StartOpen(const std::string& reference, OpenRequest request) = 0;
  /// An empty reference means every open volume.
  virtual Result<JobInfo> Sync(const std::string& reference) = 0;
  virtual Result<JobInfo> Close(const std::string& reference, const CloseRequest& request) = 0;

  /// Uploads rest, but for those that somebody waits for. At most kPauseSecondsMax.
  virtual Result<PauseInfo> Pause(const PauseRequest& request) = 0;
  virtual Result<PauseInfo> Resume() = 0;

  virtual Result<PasswdReply> Passwd(const std::string& reference, PasswdRequest request) = 0;
  virtual Result<KeyList> Keys(const std::string& reference, KeysRequest request) = 0;
  /// The volume as it stands under its new name.
  virtual Result<VolumeStatus> Rename(const std::string& reference, RenameRequest request) = 0;
  virtual Result<JobInfo> Resize(const std::string& reference, ResizeRequest request) = 0;
  virtual Result<JobInfo> Delete(const std::string& reference, DeleteRequest request) = 0;

  virtual Result<VolumeInfo> Info(const std::string& reference) = 0;
  /// Counts what the volume has in its store; Info tells the result.
  virtual Result<JobInfo> Survey(const std::string& reference, SurveyRequest request) = 0;

  virtual JobList Jobs() = 0;
  virtual Result<JobInfo> Job(const std::string& id) = 0;
  virtual std::unique_ptr<EventSubscription> Subscribe(EventSink sink) = 0;
  /// Asks the daemon to end; returns before it does. kConflict while somebody uses a volume, unless
  /// by force: who that is goes into `holders`. That is looked at for a second.
  virtual Status StopDaemon(const StopRequest& request, std::vector<HolderInfo>* holders) = 0;
};

}  // namespace coffer::control
