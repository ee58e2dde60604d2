// Places: where coffer keeps things on this machine (interfaces.md, "Places"), and the refusal to
// use a directory that somebody else could read or replace.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"

namespace coffer::control {

/// What the places depend on; a test gives its own.
struct UserEnvironment {
  std::function<std::optional<std::string>(const std::string&)> variable;
  std::string home;  // from the environment, else the user database
  uid_t uid;
};
[[nodiscard]] UserEnvironment SystemUserEnvironment();

/// Absolute directories; none needs to exist yet.
struct Places {
  std::string config;
  std::string state;
  std::string cache;
  std::string runtime;

  [[nodiscard]] std::string config_file() const { return config + "/config.toml"; }
  [[nodiscard]] std::string control_socket() const { return runtime + "/control.sock"; }
  [[nodiscard]] std::string nbd_socket() const { return runtime + "/nbd.sock"; }
  /// Where images are served that are asked for only to be mounted.
  [[nodiscard]] std::string images() const { return runtime + "/images"; }
  [[nodiscard]] std::string pid_file() const { return runtime + "/cofferd.pid"; }
  [[nodiscard]] std::string runtime_lock() const { return runtime + "/lock"; }
  [[nodiscard]] std::string start_lock() const { return runtime + "/start.lock"; }
  [[nodiscard]] std::string state_lock() const { return state + "/lock"; }
  /// Holds the path of the control socket of the daemon that holds state_lock(): who looks for it
  /// may have another runtime directory (cron, su).
  [[nodiscard]] std::string socket_pointer() const { return state + "/control-socket"; }
  [[nodiscard]] std::string log() const { return state + "/log"; }
};

/// kInvalidArgument without a home directory. A relative XDG variable counts as unset, as its
/// specification says.
Result<Places> FindPlaces(FileSystem& fs, const UserEnvironment& user);

/// Makes `path` (0700) where it is missing. kInvalidArgument, with the reason, when it is a symlink
/// or no directory, belongs to another user, or opens to group or others.
Status EnsurePrivateDirectory(FileSystem& fs, const std::string& path, uid_t uid);

/// The same check of what is there already; kNotFound when it is missing. Changes nothing.
Status CheckPrivateDirectory(FileSystem& fs, const std::string& path, uid_t uid);

/// Of a directory without secrets: others may look into it, and a symbolic link may lead there.
/// kInvalidArgument when it belongs to another user or others may write to it; kNotFound.
Status CheckOwnDirectory(FileSystem& fs, const std::string& path, uid_t uid);

/// The path of the control socket of the daemon that has this state, as it left it; kNotFound.
Result<std::string> ReadSocketPointer(FileSystem& fs, const Places& places);

}  // namespace coffer::control
