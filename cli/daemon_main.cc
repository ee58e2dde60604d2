// cofferd, built from the bottom to the top (Serve), and around it what a daemon is: its place on
// this machine, its start, its end.
#include "cli/daemon_main.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/daemon_options.h"
#include "core/base/awake_clock.h"
#include "core/base/check.h"
#include "core/base/descriptors.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/real_path.h"
#include "core/base/umask.h"
#include "core/config/config.h"
#include "core/control/activation.h"
#include "core/control/error_table.h"
#include "core/control/places.h"
#include "core/control/server.h"
#include "core/control/start_report.h"
#include "core/control/version.h"
#include "core/crypto/kdf.h"
#include "core/crypto/self_test.h"
#include "core/daemon/instance.h"
#include "core/daemon/signal_loop.h"
#include "core/daemon/volume_manager.h"
#include "core/http/http_engine.h"
#include "core/mount/mounter.h"
#include "fuse/server.h"
#include "nbd/server.h"

namespace coffer::cli {
namespace {

using daemon::SignalLoop;

struct DaemonKdf {
  const crypto::KdfPolicy& policy;
  const crypto::KdfBounds& bounds;
};

/// interfaces.md promises 10 s; what is left is for the process to be torn down.
constexpr Duration kEndWithin = std::chrono::seconds(9);

constexpr int kControlThreads = 32;  // requests of the control API that run at once
constexpr int kJobThreads = daemon::JobTable::kRunningMax;  // jobs of it
/// 1,024 NBD clients, the volumes' files, requests to stores.
constexpr std::uint64_t kDescriptorsWanted = 8192;

int WorkThreads() { return static_cast<int>(std::clamp(sysconf(_SC_NPROCESSORS_ONLN), 2L, 16L)); }

std::string HostName() {
  std::array<char, 65> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

/// Tells whoever started this in the background how the start went, once.
class ReadyPipe {
 public:
  explicit ReadyPipe(int fd) : fd_(fd) {}
  /// False if nobody waits for it.
  bool Report(const control::StartReport& report) {
    if (!fd_.valid()) return false;
    const std::string text = control::EncodeStartReport(report);
    [[maybe_unused]] const ssize_t written = write(fd_.get(), text.data(), text.size());
    fd_ = control::UniqueFd();
    return true;
  }

 private:
  control::UniqueFd fd_;
};

/// From now on stdout and stderr lead to a file beside the log: a crash's last words go there.
Status LeaveTerminal(const std::string& log_directory) {
  const std::string path = log_directory + "/cofferd.stderr";
  const control::UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return Fail(ErrorFromErrno(errno, "opening " + path));
  dup2(file.get(), STDOUT_FILENO);
  dup2(file.get(), STDERR_FILENO);
  return {};
}

/// The sockets that systemd or somebody like it handed over, if any.
struct Inherited {
  control::UniqueFd control;
  control::UniqueFd nbd;
  std::vector<std::string> paths;
};

/// Each has to be where clients look for it, or they would not find this daemon.
Result<Inherited> TakeInherited(const control::Places& places) {
  Inherited taken;
  ASSIGN_OR_RETURN(auto sockets, control::TakeInheritedSockets());
  for (control::InheritedSocket& socket : sockets) {
    const bool is_control = socket.name == "control";
    if (!is_control && socket.name != "nbd") {
      return Fail(ErrorCode::kInvalidArgument,
                  "socket activation: a socket is named " + EscapeForTerminal(socket.name) +
                      ", expected control and nbd",
                  "FileDescriptorName= in the socket unit");
    }
    const std::string place = is_control ? places.control_socket() : places.nbd_socket();
    control::UniqueFd& kept = is_control ? taken.control : taken.nbd;
    if (socket.path != place || kept.valid()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "socket activation: the socket " + socket.name + " is at " +
                      (socket.path.empty() ? "no path" : EscapeForTerminal(socket.path)) +
                      ", expected one, at " + place,
                  "ListenStream= in the socket unit");
    }
    kept = std::move(socket.fd);
    taken.paths.push_back(place);
  }
  return taken;
}

/// config.toml, read at the start and at each HUP.
struct ConfigFile {
  FileSystem& fs;
  std::string path;
  uid_t uid;
  std::optional<LogLevel> log_level;  // by flag or variable, which win over the file

  [[nodiscard]] Result<config::Config> Read() const {
    ASSIGN_OR_RETURN(config::Config config, config::Config::Load(fs, RealPath(path), uid));
    LogLevel level = LogLevel::kInfo;
    CHECK(ParseLogLevel(config.Defaults().text(config::Key::kLogLevel), &level));
    SetLogLevel(log_level.value_or(level));
    return config;
  }
};

void Reload(const ConfigFile& file, daemon::VolumeManager& manager) {
  manager.RereadFiles();
  auto config = file.Read();
  if (!config.has_value()) {
    LOG(kError, "HUP: the config stays as it was: ", config.error().message);
    return;
  }
  LOG(kInfo, "HUP: read ", file.path, " again");
  manager.Reload(*std::move(config));
}

/// Does what signals and the control API ask for, until one asks for the end.
void RunUntilStop(SignalLoop& signals, daemon::VolumeManager& manager, const ConfigFile& config) {
  for (;;) {
    switch (signals.Wait()) {
      case SignalLoop::Event::kStop:
        return;
      case SignalLoop::Event::kSyncAll:
        if (const auto job = manager.Sync(""); !job.has_value()) {
          LOG(kWarning, "USR1: ", job.error().message);
        }
        break;
      case SignalLoop::Event::kReload:
        Reload(config, manager);
        break;
    }
  }
}

Status Serve(FileSystem& fs, const control::UserEnvironment& user, const control::Places& places,
             const DaemonKdf& kdf, const ConfigFile& config_file, Inherited& inherited,
             SignalLoop& signals, ReadyPipe& ready) {
  ASSIGN_OR_RETURN(config::Config config, config_file.Read());
  RaiseDescriptorLimit(kDescriptorsWanted);
  // What a store's call may be in that never returns is never ended, as the file system of Run.
  static Clock& clock = *new SystemClock;
  static Random* const random = new SystemRandom;
  static Executor* const waits =
      NewThreadExecutor("waits", 1).release();  // runs nothing: each vault has lanes
  AwakeClock awake;  // of clients who are to say or take something in time
  const auto work = NewThreadExecutor("work", WorkThreads(), ThreadPriority::kBackground);
  const auto jobs = NewThreadExecutor("jobs", kJobThreads);
  const auto requests = NewThreadExecutor("requests", kControlThreads);
  ASSIGN_OR_RETURN(auto started_http, http::HttpEngine::Start({}, clock, *waits));
  static http::HttpClient* const http = started_http.release();
  vault::Environment environment{fs,     clock,      *random,    *waits,       *work,
                                 *waits, kdf.policy, kdf.bounds, places.state, HostName()};

  nbd::Server::Options nbd_options;
  nbd_options.shared_socket_path = places.nbd_socket();
  nbd_options.host_name = HostName();
  ASSIGN_OR_RETURN(const auto nbd, nbd::Server::Open(nbd_options, *jobs, awake, fs,
                                                     nbd::Descriptor(inherited.nbd.Release())));
  fuse::Server fuse({}, *jobs, clock, fs);

  daemon::VolumeManager::Options manager_options;
  manager_options.config = std::move(config);
  manager_options.config_path = config_file.path;
  manager_options.cache_directory = places.cache;
  manager_options.reach = {http, user.variable, user.home};
  const auto mounter = mount::NewSystemMounter(fs, {.uid = geteuid(), .gid = getegid()});
  manager_options.mounting = {mounter.get(), places.images()};
  manager_options.request_stop = [&signals] { signals.RequestStop(); };
  ASSIGN_OR_RETURN(
      const auto manager,
      daemon::VolumeManager::Open(environment, *jobs, {nbd.get(), &fuse}, manager_options));
  control::ControlServer::Options server_options;
  server_options.socket_path = places.control_socket();
  ASSIGN_OR_RETURN(const auto server,
                   control::ControlServer::Start(*manager, *requests, awake, server_options,
                                                 std::move(inherited.control)));

  LOG(kInfo, "cofferd ", control::Version(), " is ready, pid ", getpid());
  ready.Report({true, 0, "", ""});
  RunUntilStop(signals, *manager, config_file);

  signals.ExitAtLatestAfter(kEndWithin);
  manager->StopServing();
  LOG(kInfo, "ending");  // who reads this finds nothing begun any more
  server->StopAccepting();
  manager->Shutdown();
  server->Stop();
  LOG(kInfo, "ended");
  return {};
}

Status Run(const DaemonOptions& options, const DaemonKdf& kdf, SignalLoop& signals,
           ReadyPipe& ready) {
  // Never ends: a call of a store that does not return may be in it.
  static FileSystem* const fs = NewPosixFileSystem().release();
  const control::UserEnvironment user = control::SystemUserEnvironment();
  ASSIGN_OR_RETURN(const control::Places places, control::FindPlaces(*fs, user));
  ASSIGN_OR_RETURN(Inherited inherited, TakeInherited(places));
  ASSIGN_OR_RETURN(const auto instance,
                   daemon::Instance::Claim(*fs, places, user.uid, getpid(), inherited.paths));
  if (options.background) {
    RETURN_IF_ERROR(control::EnsurePrivateDirectory(*fs, places.log(), user.uid));
    RETURN_IF_ERROR(LogToFiles(places.log(), "cofferd"));
    RETURN_IF_ERROR(LeaveTerminal(places.log()));
  }
  const ConfigFile config{*fs, places.config_file(), user.uid, options.log_level};
  return Serve(*fs, user, places, kdf, config, inherited, signals, ready);
}

int Explain(const Error& error, int exit_code, ReadyPipe& ready) {
  if (!ready.Report({false, exit_code, error.message, error.hint})) {
    LOG(kError, error.message, error.hint.empty() ? "" : "; ", error.hint);
  }
  return exit_code;
}

/// Where a control group's limit is below what the machine has, a hash must leave room for the rest
/// of the process: beyond the limit it would be killed instead of refused.
crypto::KdfBounds KdfBoundsHere() {
  constexpr std::uint64_t kBesidesTheHash = 40 << 20;
  const std::uint64_t limit = ControlGroupMemoryLimit("");
  const std::uint64_t most_kib = limit > kBesidesTheHash ? (limit - kBesidesTheHash) / 1024 : 0;
  crypto::KdfBounds bounds = crypto::DefaultKdfBounds(PhysicalMemoryBytes());
  if (most_kib < bounds.memory_kib_max) {
    bounds.memory_kib_max = static_cast<std::uint32_t>(most_kib);
  }
  return bounds;
}

}  // namespace

int DaemonMain(int argc, char** argv) {
  return DaemonMain(argc, argv, crypto::KdfPolicy{}, KdfBoundsHere());
}

int DaemonMain(int argc, char** argv, const crypto::KdfPolicy& kdf_policy,
               const crypto::KdfBounds& kdf_bounds) {
  HardenProcess();
  KeepOwnersAccess();
  KeepFreedMemory();
  BecomeIoFlusher();  // before there are other threads; without the right to, it does nothing
  const auto options = ParseDaemonOptions(argc, argv);
  if (!options.has_value()) {
    std::fprintf(stderr, "cofferd: %s\n", options.error().message.c_str());
    return control::kExitUsage;
  }
  if (options->help) {
    std::fputs(kDaemonHelp, stdout);
    return control::kExitDone;
  }
  SetLogLevel(options->log_level.value_or(LogLevel::kInfo));
  ReadyPipe ready(options->ready_fd);
  const Status tested = crypto::SelfTest();
  if (!tested.has_value()) return Explain(tested.error(), control::kExitSelfTest, ready);
  if (!crypto::HasAesHardware()) LOG(kWarning, "this processor has no AES instructions: slow");
  const auto signals = SignalLoop::Create();
  if (!signals.has_value()) return Explain(signals.error(), control::kExitFailed, ready);
  const Status status = Run(*options, {kdf_policy, kdf_bounds}, **signals, ready);
  if (status.has_value()) return control::kExitDone;
  return Explain(status.error(), control::ExitCodeOf(status.error().code), ready);
}

}  // namespace coffer::cli
