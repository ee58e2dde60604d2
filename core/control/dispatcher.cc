#include "core/control/dispatcher.h"

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "core/control/error_table.h"
#include "core/control/message_json.h"
#include "core/control/names.h"

namespace coffer::control {
namespace {

/// What a handler gets: the parts of the path that the route left open, and the body.
struct Call {
  ControlService& service;
  std::vector<std::string> arguments;
  WipedString body;

  template <class Message>
  [[nodiscard]] Result<Message> Decode() const {
    return DecodeJson<Message>({body.data(), body.size()});
  }
};

using Answer = Result<HttpReply>;

template <class Message>
HttpReply Reply(const Message& message, int status = 200) {
  return HttpReply{status, EncodeJson(message)};
}

template <class Message>
Answer ReplyOf(const Result<Message>& result, int status = 200) {
  if (!result.has_value()) return Fail(result.error());
  return Reply(*result, status);
}

constexpr int kAccepted = 202;  // a job was started

Answer GetVersion(Call& call) { return Reply(call.service.Version()); }
Answer GetVaults(Call& call) { return Reply(call.service.Vaults()); }
Answer GetVolumes(Call& call) { return Reply(call.service.Volumes()); }
Answer GetJobs(Call& call) { return Reply(call.service.Jobs()); }
Answer GetVolume(Call& call) { return ReplyOf(call.service.Volume(call.arguments[0])); }
Answer GetSettings(Call& call) { return ReplyOf(call.service.Settings(call.arguments[0])); }
Answer GetJob(Call& call) { return ReplyOf(call.service.Job(call.arguments[0])); }

Answer ProbeStore(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<ProbeRequest>());
  return ReplyOf(call.service.ProbeStore(request));
}
Answer TestStore(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<StoreTestRequest>());
  return ReplyOf(call.service.TestStore(request));
}
Answer InitVault(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<InitRequest>());
  return ReplyOf(call.service.Init(std::move(request)), 201);
}
Answer AddVault(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<AddRequest>());
  return ReplyOf(call.service.Add(std::move(request)), 201);
}
Answer ShowTrust(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<TrustRequest>());
  return ReplyOf(call.service.Trust(call.arguments[0], std::move(request)));
}
Answer AcceptTrust(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<TrustAcceptRequest>());
  return ReplyOf(call.service.AcceptTrust(call.arguments[0], std::move(request)));
}
Answer ForgetVault(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<ForgetRequest>());
  return ReplyOf(call.service.Forget(call.arguments[0], request));
}
Answer OpenVolume(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<OpenRequest>());
  if (request.background) {
    return ReplyOf(call.service.StartOpen(call.arguments[0], std::move(request)), kAccepted);
  }
  return ReplyOf(call.service.Open(call.arguments[0], std::move(request)));
}
Answer CheckOpen(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<OpenRequest>());
  RETURN_IF_ERROR(call.service.CheckOpen(call.arguments[0], request));
  return Reply(Empty{});
}
Answer SyncVolume(Call& call) { return ReplyOf(call.service.Sync(call.arguments[0]), kAccepted); }
Answer SyncAll(Call& call) { return ReplyOf(call.service.Sync(""), kAccepted); }
Answer CloseVolume(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<CloseRequest>());
  return ReplyOf(call.service.Close(call.arguments[0], request), kAccepted);
}
Answer CloseAll(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<CloseRequest>());
  return ReplyOf(call.service.Close("", request), kAccepted);
}
Answer PauseUploads(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<PauseRequest>());
  return ReplyOf(call.service.Pause(request));
}
Answer ResumeUploads(Call& call) { return ReplyOf(call.service.Resume()); }
Answer ChangePassword(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<PasswdRequest>());
  return ReplyOf(call.service.Passwd(call.arguments[0], std::move(request)));
}
Answer ListKeys(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<KeysRequest>());
  return ReplyOf(call.service.Keys(call.arguments[0], std::move(request)));
}
Answer RenameVolume(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<RenameRequest>());
  return ReplyOf(call.service.Rename(call.arguments[0], std::move(request)));
}
Answer ResizeVolume(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<ResizeRequest>());
  return ReplyOf(call.service.Resize(call.arguments[0], std::move(request)), kAccepted);
}
Answer DeleteVolume(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<DeleteRequest>());
  return ReplyOf(call.service.Delete(call.arguments[0], std::move(request)), kAccepted);
}
Answer GetInfo(Call& call) { return ReplyOf(call.service.Info(call.arguments[0])); }
Answer SurveyVolume(Call& call) {
  ASSIGN_OR_RETURN(auto request, call.Decode<SurveyRequest>());
  return ReplyOf(call.service.Survey(call.arguments[0], std::move(request)), kAccepted);
}
Answer StopDaemon(Call& call) {
  ASSIGN_OR_RETURN(const auto request, call.Decode<StopRequest>());
  WireError refused;
  const Status asked = call.service.StopDaemon(request, &refused.holders);
  if (asked.has_value()) return Reply(Empty{}, kAccepted);
  refused.code = ErrorCodeName(asked.error().code);
  refused.message = asked.error().message;
  refused.what = "POST /v1/daemon/stop";
  refused.hint = asked.error().hint;
  return Reply(refused, HttpStatusOf(asked.error().code));
}

using Takes = Dispatcher::Takes;

struct Route {
  std::string_view method;
  std::array<std::string_view, 4> parts;  // "*" stands for any one non-empty part
  std::size_t part_count;
  Answer (*handle)(Call&);
  Takes takes = Takes::kAWhile;
};

constexpr std::string_view kAny = "*";
constexpr Route kRoutes[] = {
    {"GET", {"v1", "version"}, 2, GetVersion, Takes::kNoTime},
    {"GET", {"v1", "vaults"}, 2, GetVaults, Takes::kNoTime},
    {"POST", {"v1", "vaults", "probe"}, 3, ProbeStore},
    {"POST", {"v1", "stores", "test"}, 3, TestStore},
    {"POST", {"v1", "vaults", "init"}, 3, InitVault},
    {"POST", {"v1", "vaults", "add"}, 3, AddVault},
    {"POST", {"v1", "vaults", kAny, "trust"}, 4, ShowTrust},
    {"POST", {"v1", "vaults", kAny, "accept"}, 4, AcceptTrust},
    {"POST", {"v1", "vaults", kAny, "forget"}, 4, ForgetVault},
    {"GET", {"v1", "volumes"}, 2, GetVolumes, Takes::kNoTime},
    {"GET", {"v1", "volumes", kAny}, 3, GetVolume, Takes::kNoTime},
    {"GET", {"v1", "volumes", kAny, "settings"}, 4, GetSettings, Takes::kNoTime},
    {"PUT", {"v1", "volumes", kAny, "open"}, 4, OpenVolume},
    {"POST", {"v1", "volumes", kAny, "check-open"}, 4, CheckOpen},
    {"POST", {"v1", "volumes", kAny, "sync"}, 4, SyncVolume, Takes::kNoTime},
    {"POST", {"v1", "volumes", kAny, "close"}, 4, CloseVolume, Takes::kNoTime},
    {"POST", {"v1", "volumes", kAny, "passwd"}, 4, ChangePassword},
    {"POST", {"v1", "volumes", kAny, "keys"}, 4, ListKeys},
    {"POST", {"v1", "volumes", kAny, "rename"}, 4, RenameVolume},
    {"POST", {"v1", "volumes", kAny, "resize"}, 4, ResizeVolume},
    {"POST", {"v1", "volumes", kAny, "delete"}, 4, DeleteVolume},
    {"GET", {"v1", "volumes", kAny, "info"}, 4, GetInfo},
    {"POST", {"v1", "volumes", kAny, "survey"}, 4, SurveyVolume},
    {"POST", {"v1", "sync"}, 2, SyncAll, Takes::kNoTime},
    {"POST", {"v1", "pause"}, 2, PauseUploads, Takes::kNoTime},
    {"POST", {"v1", "resume"}, 2, ResumeUploads, Takes::kNoTime},
    {"POST", {"v1", "close"}, 2, CloseAll, Takes::kNoTime},
    {"GET", {"v1", "jobs"}, 2, GetJobs, Takes::kNoTime},
    {"GET", {"v1", "jobs", kAny}, 3, GetJob, Takes::kNoTime},
    {"POST", {"v1", "daemon", "stop"}, 3, StopDaemon, Takes::kAMoment},
};

bool Matches(const Route& route, std::span<const std::string> parts) {
  if (parts.size() != route.part_count) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) return false;
    if (route.parts[i] != kAny && route.parts[i] != parts[i]) return false;
  }
  return true;
}

std::vector<std::string> OpenParts(const Route& route, std::vector<std::string> parts) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (route.parts[i] == kAny) open.push_back(std::move(parts[i]));
  }
  return open;
}

HttpReply UnknownRequest(int status, const std::string& what) {
  return Reply(WireError{std::string(kUnknownRequest),
                         "this cofferd knows no request " + Quoted(what), what, ""},
               status);
}

}  // namespace

HttpReply ErrorReply(const Error& error, const std::string& what) {
  const WireError wire{std::string(ErrorCodeName(error.code)), error.message, what, error.hint};
  return Reply(wire, HttpStatusOf(error.code));
}

HttpReply RefusalReply(int status, const std::string& message) {
  const WireError wire{std::string(ErrorCodeName(ErrorCode::kInvalidArgument)), message, "", ""};
  return Reply(wire, status);
}

HttpReply Dispatcher::Dispatch(HttpRequest request) {
  auto parts = SplitTarget(request.target);
  if (!parts.has_value()) return ErrorReply(parts.error(), request.method);
  const std::string what = request.method + " " + request.target;
  bool path_known = false;
  for (const Route& route : kRoutes) {
    if (!Matches(route, *parts)) continue;
    path_known = true;
    if (route.method != request.method) continue;
    Call call{service_, OpenParts(route, std::move(*parts)), std::move(request.body)};
    Answer answer = route.handle(call);
    return answer.has_value() ? std::move(*answer) : ErrorReply(answer.error(), what);
  }
  return UnknownRequest(path_known ? 405 : 404, what);
}

Dispatcher::Takes Dispatcher::HowLong(const HttpRequest& request) {
  const auto parts = SplitTarget(request.target);
  if (!parts.has_value()) return Takes::kNoTime;
  for (const Route& route : kRoutes) {
    if (route.method == request.method && Matches(route, *parts)) return route.takes;
  }
  return Takes::kNoTime;
}

bool Dispatcher::IsEventStream(const HttpRequest& request) {
  return request.method == "GET" && request.target == "/v1/events";
}

}  // namespace coffer::control
