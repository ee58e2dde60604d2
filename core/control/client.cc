#include "core/control/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/base/check.h"
#include "core/control/dispatcher.h"
#include "core/control/error_table.h"
#include "core/control/message_json.h"
#include "core/control/unix_socket.h"
#include "core/control/version.h"

namespace coffer::control {
namespace {

constexpr std::size_t kEventBytesMax = 1 << 20;
constexpr int kJobPauseMax = 200;  // milliseconds between two looks at a job
/// For what the daemon answers at once, however busy the machine is.
constexpr int kAnswerMilliseconds = 20'000;

Error Cancelled() {
  return Error{ErrorCode::kCancelled, "interrupted; the work goes on in cofferd",
               "coffer status shows how far it is"};
}

/// Waits until `fd` is ready for `events`; kCancelled if `cancel_fd` is first. False if neither is
/// in time (-1: however long it takes).
Result<bool> AwaitReady(int fd, short events, int cancel_fd, int timeout_milliseconds) {
  std::array<pollfd, 2> entries = {{{cancel_fd, POLLIN, 0}, {fd, events, 0}}};
  int ready = 0;
  while ((ready = poll(entries.data(), entries.size(), timeout_milliseconds)) < 0) {
    if (errno != EINTR) return Fail(ErrorFromErrno(errno, "waiting for cofferd"));
  }
  if (entries[0].revents != 0) return Fail(Cancelled());
  return ready > 0;
}

Error DoesNotAnswer(int fd) {
  const auto peer = PeerPid(fd);
  const std::string pid = peer.has_value() ? std::to_string(*peer) : "PID";
  return Error{ErrorCode::kUnavailable,
               "cofferd (pid " + pid + ") does not answer; it may be stopped or stuck",
               "kill -CONT " + pid + " lets a stopped one go on; kill -KILL " + pid +
                   " ends it, the journals keep what is not uploaded"};
}

/// One exchange: its socket, what ends it, and for how long the daemon may be silent.
struct Line {
  int fd;
  int cancel_fd;
  int silence_milliseconds;  // -1: as long as it likes

  [[nodiscard]] Status Await(short events) const {
    ASSIGN_OR_RETURN(const bool ready, AwaitReady(fd, events, cancel_fd, silence_milliseconds));
    if (!ready) return Fail(DoesNotAnswer(fd));
    return {};
  }
};

/// Sends all of `bytes`, or as much as the daemon takes: one that refuses a request answers before
/// it has read all of it.
Status SendAll(const Line& line, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(line.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(line.Await(POLLOUT));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {};
    } else if (errno != EINTR) {
      return Fail(ErrorFromErrno(errno, "sending a request to cofferd"));
    }
  }
  return {};
}

Error ConnectionLost() {
  return Error{ErrorCode::kIoError, "cofferd ended the connection without an answer",
               "coffer daemon status tells whether it still runs; its log tells why"};
}

/// Reads what is there into `reader`; false at the end of the stream.
Result<bool> ReceiveSome(const Line& line, ResponseReader& reader) {
  RETURN_IF_ERROR(line.Await(POLLIN));
  std::array<char, 16 << 10> buffer;
  const ssize_t count = recv(line.fd, buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return true;
    if (errno == ECONNRESET) return Fail(ConnectionLost());  // it was killed, say
    return Fail(ErrorFromErrno(errno, "reading the answer of cofferd"));
  }
  if (count == 0) return false;
  RETURN_IF_ERROR(reader.Feed({buffer.data(), static_cast<std::size_t>(count)}));
  return true;
}

/// Connects to our own user's daemon: a password must not go to anybody else's.
Result<UniqueFd> ConnectToOwnDaemon(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectUnix(path));
  ASSIGN_OR_RETURN(const uid_t peer, PeerUid(socket.get()));
  if (peer != geteuid()) {
    return Fail(ErrorCode::kUnauthenticated,
                "the daemon at " + path + " belongs to user " + std::to_string(peer));
  }
  return socket;
}

Error UnknownToDaemon(const std::string& server) {
  return Error{ErrorCode::kUnsupported,
               "the running " + (server.empty() ? "daemon" : server) +
                   " does not know this request of coffer " + Version(),
               "run coffer daemon restart"};
}

Error DecodeError(const WipedString& body, int status, const std::string& server) {
  const auto wire = DecodeJson<WireError>({body.data(), body.size()});
  if (!wire.has_value() || wire->code.empty()) {
    return Error{ErrorCode::kIoError,
                 "cofferd answered with HTTP status " + std::to_string(status)};
  }
  if (wire->code == kUnknownRequest) return UnknownToDaemon(server);
  return Error{ErrorCodeFromName(wire->code).value_or(ErrorCode::kIoError), wire->message,
               wire->hint};
}

std::string VaultPath(const std::string& vault, const std::string& action) {
  return "/v1/vaults/" + PercentEncode(vault) + action;
}

std::string VolumePath(const std::string& reference, const std::string& action) {
  if (reference.empty()) return "/v1" + action;
  return "/v1/volumes/" + PercentEncode(reference) + action;
}

}  // namespace

Result<HttpReply> ControlClient::Exchange(const HttpRequest& request,
                                          const std::function<void(const HttpReply&)>& on_refusal) {
  if (request.body.size() > kBodyBytesMax) {
    return Fail(ErrorCode::kInvalidArgument, "the request is larger than cofferd accepts");
  }
  ASSIGN_OR_RETURN(const UniqueFd socket, ConnectToOwnDaemon(socket_path_));
  const WipedString text = FormatRequest(request);
  const Line line{
      socket.get(), cancel_fd_,
      Dispatcher::HowLong(request) == Dispatcher::Takes::kAWhile ? -1 : kAnswerMilliseconds};
  RETURN_IF_ERROR(SendAll(line, {text.data(), text.size()}));
  ResponseReader reader(kReplyBytesMax);
  while (!reader.done()) {
    const auto more = ReceiveSome(line, reader);
    if (!more.has_value()) return Fail(more.error());
    if (*more) continue;
    if (!reader.FeedEnd().has_value()) return Fail(ConnectionLost());
    break;
  }
  HttpReply reply{reader.status(), reader.TakeBody()};
  if (reply.status < 300) return reply;
  if (on_refusal) on_refusal(reply);
  return Fail(DecodeError(reply.body, reply.status, reader.server()));
}

template <class Reply>
Result<Reply> ControlClient::Call(std::string method, std::string target, WipedString body) {
  auto reply = Exchange(HttpRequest{std::move(method), std::move(target), std::move(body)});
  if (!reply.has_value()) return Fail(reply.error());
  auto decoded = DecodeJson<Reply>({reply->body.data(), reply->body.size()});
  if (!decoded.has_value()) return Fail(decoded.error().Within("the answer of cofferd"));
  return decoded;
}

Result<VersionInfo> ControlClient::Version() { return Call<VersionInfo>("GET", "/v1/version", {}); }
Result<VaultList> ControlClient::Vaults() { return Call<VaultList>("GET", "/v1/vaults", {}); }
Result<ProbeReply> ControlClient::ProbeStore(const ProbeRequest& request) {
  return Call<ProbeReply>("POST", "/v1/vaults/probe", EncodeJson(request));
}
Result<StoreTestReply> ControlClient::TestStore(const StoreTestRequest& request) {
  return Call<StoreTestReply>("POST", "/v1/stores/test", EncodeJson(request));
}
Result<PauseInfo> ControlClient::Pause(const PauseRequest& request) {
  return Call<PauseInfo>("POST", "/v1/pause", EncodeJson(request));
}
Result<PauseInfo> ControlClient::Resume() { return Call<PauseInfo>("POST", "/v1/resume", {}); }
Result<InitReply> ControlClient::Init(const InitRequest& request) {
  return Call<InitReply>("POST", "/v1/vaults/init", EncodeJson(request));
}
Result<AddReply> ControlClient::Add(const AddRequest& request) {
  return Call<AddReply>("POST", "/v1/vaults/add", EncodeJson(request));
}
Result<TrustInfo> ControlClient::Trust(const std::string& vault, const TrustRequest& request) {
  return Call<TrustInfo>("POST", VaultPath(vault, "/trust"), EncodeJson(request));
}
Result<TrustInfo> ControlClient::AcceptTrust(const std::string& vault,
                                             const TrustAcceptRequest& request) {
  return Call<TrustInfo>("POST", VaultPath(vault, "/accept"), EncodeJson(request));
}
Result<Forgotten> ControlClient::Forget(const std::string& vault, const ForgetRequest& request) {
  return Call<Forgotten>("POST", VaultPath(vault, "/forget"), EncodeJson(request));
}
Result<VolumeList> ControlClient::Volumes() { return Call<VolumeList>("GET", "/v1/volumes", {}); }
Result<VolumeStatus> ControlClient::Volume(const std::string& reference) {
  return Call<VolumeStatus>("GET", VolumePath(reference, ""), {});
}
Result<SettingList> ControlClient::Settings(const std::string& reference) {
  return Call<SettingList>("GET", VolumePath(reference, "/settings"), {});
}
Result<OpenReply> ControlClient::Open(const std::string& reference, const OpenRequest& request) {
  return Call<OpenReply>("PUT", VolumePath(reference, "/open"), EncodeJson(request));
}
Result<JobInfo> ControlClient::StartOpen(const std::string& reference, const OpenRequest& request) {
  CHECK(request.background);
  return Call<JobInfo>("PUT", VolumePath(reference, "/open"), EncodeJson(request));
}
Result<JobInfo> ControlClient::Sync(const std::string& reference) {
  return Call<JobInfo>("POST", VolumePath(reference, "/sync"), {});
}
Result<JobInfo> ControlClient::Close(const std::string& reference, const CloseRequest& request) {
  return Call<JobInfo>("POST", VolumePath(reference, "/close"), EncodeJson(request));
}
Result<PasswdReply> ControlClient::Passwd(const std::string& reference,
                                          const PasswdRequest& request) {
  return Call<PasswdReply>("POST", VolumePath(reference, "/passwd"), EncodeJson(request));
}
Result<KeyList> ControlClient::Keys(const std::string& reference, const KeysRequest& request) {
  return Call<KeyList>("POST", VolumePath(reference, "/keys"), EncodeJson(request));
}
Result<VolumeStatus> ControlClient::Rename(const std::string& reference,
                                           const RenameRequest& request) {
  return Call<VolumeStatus>("POST", VolumePath(reference, "/rename"), EncodeJson(request));
}
Result<JobInfo> ControlClient::Resize(const std::string& reference, const ResizeRequest& request) {
  return Call<JobInfo>("POST", VolumePath(reference, "/resize"), EncodeJson(request));
}
Result<JobInfo> ControlClient::Delete(const std::string& reference, const DeleteRequest& request) {
  return Call<JobInfo>("POST", VolumePath(reference, "/delete"), EncodeJson(request));
}
Result<VolumeInfo> ControlClient::Info(const std::string& reference) {
  return Call<VolumeInfo>("GET", VolumePath(reference, "/info"), {});
}
Result<JobInfo> ControlClient::Survey(const std::string& reference, const SurveyRequest& request) {
  return Call<JobInfo>("POST", VolumePath(reference, "/survey"), EncodeJson(request));
}
Result<JobList> ControlClient::Jobs() { return Call<JobList>("GET", "/v1/jobs", {}); }
Result<JobInfo> ControlClient::Job(const std::string& id) {
  return Call<JobInfo>("GET", "/v1/jobs/" + PercentEncode(id), {});
}
Status ControlClient::CheckOpen(const std::string& reference, const OpenRequest& request) {
  const auto reply = Call<Empty>("POST", VolumePath(reference, "/check-open"), EncodeJson(request));
  if (!reply.has_value()) return Fail(reply.error());
  return {};
}
Status ControlClient::StopDaemon(const StopRequest& request, std::vector<HolderInfo>* holders) {
  const auto reply =
      Exchange({"POST", "/v1/daemon/stop", EncodeJson(request)}, [holders](const HttpReply& no) {
        auto wire = DecodeJson<WireError>({no.body.data(), no.body.size()});
        if (wire.has_value()) *holders = std::move(wire->holders);
      });
  if (!reply.has_value()) return Fail(reply.error());
  return {};
}

Status ControlClient::Pause(int milliseconds) {
  const auto cancelled = AwaitReady(-1, 0, cancel_fd_, milliseconds);
  if (!cancelled.has_value()) return Fail(cancelled.error());
  return {};
}

Result<JobInfo> ControlClient::WaitForJob(JobInfo job,
                                          const std::function<void(const JobInfo&)>& progress) {
  for (int pause = 5;; pause = std::min(pause * 2, kJobPauseMax)) {
    progress(job);
    if (job.state != "running") return job;
    RETURN_IF_ERROR(Pause(pause));
    ASSIGN_OR_RETURN(job, Job(job.id));
  }
}

Status ControlClient::WatchEvents(const std::function<bool(const Event&)>& sink) {
  ASSIGN_OR_RETURN(const UniqueFd socket, ConnectToOwnDaemon(socket_path_));
  const WipedString request = FormatRequest({"GET", "/v1/events", {}});
  const Line line{socket.get(), cancel_fd_, -1};
  RETURN_IF_ERROR(SendAll(line, {request.data(), request.size()}));
  ResponseReader reader(0);
  WipedString lines;
  for (bool more = true; more && !reader.done();) {
    ASSIGN_OR_RETURN(more, ReceiveSome(line, reader));
    if (!reader.header_done()) continue;
    lines.append(reader.TakeBody());
    if (reader.status() >= 300) continue;
    for (auto end = lines.find('\n'); end != WipedString::npos; end = lines.find('\n')) {
      const auto event = DecodeJson<Event>({lines.data(), end});
      lines.erase(0, end + 1);
      if (!event.has_value()) return Fail(event.error().Within("an event of cofferd"));
      if (!sink(*event)) return {};
    }
    if (lines.size() > kEventBytesMax) {
      return Fail(ErrorCode::kCorruption, "an event of cofferd is longer than 1 MiB");
    }
  }
  if (!reader.header_done()) return Fail(ConnectionLost());
  if (reader.status() >= 300) return Fail(DecodeError(lines, reader.status(), reader.server()));
  return {};
}

}  // namespace coffer::control
