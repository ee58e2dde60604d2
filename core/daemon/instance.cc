#include "core/daemon/instance.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/control/unix_socket.h"

namespace coffer::daemon {
namespace {

/// " (pid 4711)", from the pid file of whoever runs.
std::string WhoRuns(FileSystem& fs, const control::Places& places) {
  const auto bytes = ReadWholeFile(fs, places.pid_file(), 32);
  if (!bytes.has_value()) return {};
  std::string pid(AsText(*bytes));
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) return {};
  return " (pid " + pid + ")";
}

Status RemoveIfThere(FileSystem& fs, const std::string& path) {
  const Status removed = fs.Remove(path);
  if (removed.has_value() || removed.error().code == ErrorCode::kNotFound) return {};
  return Fail(removed.error().Within("removing what an earlier cofferd left"));
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::Claim(FileSystem& fs, const control::Places& places,
                                                  uid_t uid, pid_t pid,
                                                  const std::vector<std::string>& inherited) {
  for (const std::string& directory : {places.state, places.cache, places.runtime}) {
    RETURN_IF_ERROR(control::EnsurePrivateDirectory(fs, directory, uid));
  }
  const Status config = control::CheckOwnDirectory(fs, places.config, uid);
  if (!config.has_value() && config.error().code != ErrorCode::kNotFound) {
    return Fail(config.error());
  }
  RETURN_IF_ERROR(control::CheckSocketPath(places.control_socket()));
  RETURN_IF_ERROR(control::CheckSocketPath(places.nbd_socket()));
  std::unique_ptr<Instance> instance(new Instance(fs, places));
  RETURN_IF_ERROR(instance->TakeLocks());
  for (const std::string& socket : {places.control_socket(), places.nbd_socket()}) {
    const bool is_inherited =
        std::find(inherited.begin(), inherited.end(), socket) != inherited.end();
    if (!is_inherited) RETURN_IF_ERROR(RemoveIfThere(fs, socket));
  }
  RETURN_IF_ERROR(ReplaceFile(fs, places.pid_file(), AsBytes(std::to_string(pid) + "\n")));
  RETURN_IF_ERROR(ReplaceFile(fs, places.socket_pointer(),
                              AsBytes(places.control_socket() + "\n" + places.state + "\n")));
  return instance;
}

Status Instance::TakeLocks() {
  const auto take = [this](const std::string& path,
                           const std::string& directory) -> Result<std::unique_ptr<FileLock>> {
    auto lock = fs_.Lock(path);
    if (!lock.has_value() && lock.error().code == ErrorCode::kConflict) {
      const auto socket = control::ReadSocketPointer(fs_, places_);
      return Fail(ErrorCode::kConflict,
                  "another cofferd" + WhoRuns(fs_, places_) + " runs on " + directory +
                      (socket.has_value() ? ", at " + *socket : std::string()),
                  "coffer daemon status tells about it");
    }
    return lock;
  };
  ASSIGN_OR_RETURN(state_lock_, take(places_.state_lock(), places_.state));
  ASSIGN_OR_RETURN(runtime_lock_, take(places_.runtime_lock(), places_.runtime));
  return {};
}

Instance::~Instance() {
  if (runtime_lock_ == nullptr) return;
  (void)fs_.Remove(places_.socket_pointer());
  const Status removed = fs_.Remove(places_.pid_file());
  if (!removed.has_value()) LOG(kDebug, removed.error().message);
}

}  // namespace coffer::daemon
