#include "core/control/places.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "core/base/real_path.h"

namespace coffer::control {
namespace {

std::string HomeFromUserDatabase(uid_t uid) {
  std::vector<char> buffer(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0) return {};
  return found != nullptr && found->pw_dir != nullptr ? found->pw_dir : "";
}

std::optional<std::string> AbsoluteVariable(const UserEnvironment& user, const std::string& name) {
  auto value = user.variable(name);
  if (!value || value->empty() || value->front() != '/') return std::nullopt;
  while (value->size() > 1 && value->back() == '/') value->pop_back();
  return value;
}

/// /run/user/UID, if it is there and ours.
std::optional<std::string> UsersRunDirectory(FileSystem& fs, uid_t uid) {
  std::string path = "/run/user/" + std::to_string(uid);
  const auto info = fs.Stat(path);
  if (!info.has_value() || !info->is_directory || info->owner_uid != uid) return std::nullopt;
  return path;
}

Status CheckFound(const FileInfo& info, const std::string& path, uid_t uid) {
  const auto refuse = [&path](const std::string& why, const std::string& hint) {
    return Fail(ErrorCode::kInvalidArgument, "refusing to use " + path + ": " + why, hint);
  };
  if (info.is_symlink) return refuse("it is a symbolic link", "replace it by a directory");
  if (!info.is_directory) return refuse("it is not a directory", "move it away");
  if (info.owner_uid != uid) {
    return refuse(
        "it belongs to user " + std::to_string(info.owner_uid) + ", not to " + std::to_string(uid),
        "move it away");
  }
  if ((info.mode & 077U) != 0) {
    return refuse("others than its owner may enter it", "chmod 700 " + path);
  }
  return {};
}

}  // namespace

UserEnvironment SystemUserEnvironment() {
  UserEnvironment user;
  user.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  user.uid = geteuid();
  const auto home = user.variable("HOME");
  user.home = home && !home->empty() ? *home : HomeFromUserDatabase(user.uid);
  return user;
}

Result<Places> FindPlaces(FileSystem& fs, const UserEnvironment& user) {
  const auto base = [&user](const std::string& name, const std::string& below_home) {
    const auto value = AbsoluteVariable(user, name);
    if (value) return *value;
    return user.home.empty() ? std::string() : user.home + below_home;
  };
  Places places{base("XDG_CONFIG_HOME", "/.config"), base("XDG_STATE_HOME", "/.local/state"),
                base("XDG_CACHE_HOME", "/.cache"), ""};
  for (std::string* place : {&places.config, &places.state, &places.cache}) {
    if (place->empty() || place->front() != '/') {
      return Fail(ErrorCode::kInvalidArgument, "this user has no home directory",
                  "set HOME to an absolute path");
    }
    place->append("/coffer");
  }
  if (const auto runtime = AbsoluteVariable(user, "XDG_RUNTIME_DIR")) {
    places.runtime = *runtime + "/coffer";
  } else if (const auto run = UsersRunDirectory(fs, user.uid)) {
    places.runtime = *run + "/coffer";
  } else {
    places.runtime = places.state + "/run";
  }
  return places;
}

Status CheckPrivateDirectory(FileSystem& fs, const std::string& path, uid_t uid) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  return CheckFound(info, path, uid);
}

Status EnsurePrivateDirectory(FileSystem& fs, const std::string& path, uid_t uid) {
  auto info = fs.Stat(path);
  if (!info.has_value()) {
    if (info.error().code != ErrorCode::kNotFound) return Fail(info.error());
    RETURN_IF_ERROR(CreateDirectories(fs, path));
    info = fs.Stat(path);
    if (!info.has_value()) return Fail(info.error());
  }
  return CheckFound(*info, path, uid);
}

Status CheckOwnDirectory(FileSystem& fs, const std::string& path, uid_t uid) {
  const std::string real = RealPath(path);
  ASSIGN_OR_RETURN(FileInfo info, fs.Stat(real));
  if ((info.mode & 022U) != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "refusing to use " + real + ": others than its owner may write to it",
                "chmod go-w " + real);
  }
  info.mode &= 0700U;  // who may look is no matter
  return CheckFound(info, real, uid);
}

Result<std::string> ReadSocketPointer(FileSystem& fs, const Places& places) {
  constexpr std::uint64_t kPathBytesMax = 4096;
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(fs, places.socket_pointer(), kPathBytesMax));
  const std::string text(AsText(bytes));
  const std::size_t end = text.find('\n');
  std::string path = text.substr(0, end);
  // In a copy of the state it means the daemon of the original.
  const bool is_copy = end == std::string::npos || text.substr(end + 1) != places.state + "\n";
  if (is_copy || path.empty() || path.front() != '/') {
    return Fail(ErrorCode::kNotFound, places.socket_pointer() + " names no socket");
  }
  return path;
}

}  // namespace coffer::control
