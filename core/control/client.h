// ControlClient: the control API as calls. Used by coffer and the tray. One connection a call; no
// state but the socket's path, so any thread may use its own.
//
// Every call may fail with kNotFound "cofferd is not running", kCancelled when the descriptor given
// became readable, kUnavailable when the daemon is silent for 20 s on what it answers at once
// (dispatcher.h: a stopped process), and kUnsupported "run coffer daemon restart" when the daemon
// is of another version and does not know the request.
#pragma once

#include <functional>
#include <string>

#include "core/base/result.h"
#include "core/control/http.h"
#include "core/control/messages.h"

namespace coffer::control {

class ControlClient {
 public:
  /// `cancel_fd`: a call ends when it becomes readable; -1 for none. The work itself goes on.
  explicit ControlClient(std::string socket_path, int cancel_fd = -1)
      : socket_path_(std::move(socket_path)), cancel_fd_(cancel_fd) {}

  Result<VersionInfo> Version();
  Result<VaultList> Vaults();
  Result<ProbeReply> ProbeStore(const ProbeRequest& request);
  Result<InitReply> Init(const InitRequest& request);
  Result<AddReply> Add(const AddRequest& request);
  Result<StoreTestReply> TestStore(const StoreTestRequest& request);
  Result<PauseInfo> Pause(const PauseRequest& request);
  Result<PauseInfo> Resume();
  Result<TrustInfo> Trust(const std::string& vault, const TrustRequest& request);
  Result<TrustInfo> AcceptTrust(const std::string& vault, const TrustAcceptRequest& request);
  Result<Forgotten> Forget(const std::string& vault, const ForgetRequest& request);
  Result<VolumeList> Volumes();
  Result<VolumeStatus> Volume(const std::string& reference);
  Result<SettingList> Settings(const std::string& reference);
  Result<OpenReply> Open(const std::string& reference, const OpenRequest& request);
  Status CheckOpen(const std::string& reference, const OpenRequest& request);
  /// REQUIRES: request.background.
  Result<JobInfo> StartOpen(const std::string& reference, const OpenRequest& request);
  /// An empty reference: every open volume.
  Result<JobInfo> Sync(const std::string& reference);
  Result<JobInfo> Close(const std::string& reference, const CloseRequest& request);
  Result<PasswdReply> Passwd(const std::string& reference, const PasswdRequest& request);
  Result<KeyList> Keys(const std::string& reference, const KeysRequest& request);
  Result<VolumeStatus> Rename(const std::string& reference, const RenameRequest& request);
  Result<JobInfo> Resize(const std::string& reference, const ResizeRequest& request);
  Result<JobInfo> Delete(const std::string& reference, const DeleteRequest& request);
  Result<VolumeInfo> Info(const std::string& reference);
  Result<JobInfo> Survey(const std::string& reference, const SurveyRequest& request);
  Result<JobList> Jobs();
  Result<JobInfo> Job(const std::string& id);
  /// Refused, it tells who uses a volume.
  Status StopDaemon(const StopRequest& request, std::vector<HolderInfo>* holders);

  /// Asks for the job until it has ended, telling `progress` each time. The job's own error is in
  /// the JobInfo; the Result's is that of asking.
  Result<JobInfo> WaitForJob(JobInfo job, const std::function<void(const JobInfo&)>& progress);

  /// Gives every event to `sink` until it returns false or the daemon ends.
  Status WatchEvents(const std::function<bool(const Event&)>& sink);

  /// Returns kCancelled when cancelled within `milliseconds`.
  Status Pause(int milliseconds);

 private:
  /// `on_refusal` sees the reply that becomes an error.
  Result<HttpReply> Exchange(const HttpRequest& request,
                             const std::function<void(const HttpReply&)>& on_refusal = {});
  template <class Reply>
  Result<Reply> Call(std::string method, std::string target, WipedString body);

  std::string socket_path_;
  int cancel_fd_;
};

}  // namespace coffer::control
