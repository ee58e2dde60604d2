#include "fuse/mount_point.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <optional>
#include <vector>

#include "core/base/log.h"
#include "core/base/mount_table.h"
#include "fuse/kernel_mount.h"

namespace coffer::fuse {
namespace {

/// /dev/fuse is there and may be opened by this user: fusermount3 opens it with his rights.
Status CheckDevice(const MountTools& tools) {
  if (access(tools.device.c_str(), R_OK | W_OK) == 0) return {};
  const int error = errno;
  if (error == ENOENT) {
    return Fail(ErrorCode::kUnsupported, "there is no " + tools.device + " on this machine",
                "modprobe fuse as root; in a container start it with --device /dev/fuse");
  }
  return Fail(ErrorFromErrno(
      error, "opening " + tools.device + " for reading and writing, which FUSE needs"));
}

Result<std::string> Resolve(const std::string& path) {
  std::array<char, PATH_MAX> resolved{};
  if (realpath(path.c_str(), resolved.data()) == nullptr) {
    return Fail(ErrorFromErrno(errno, "looking at " + path));
  }
  return std::string(resolved.data());
}

struct Split {
  std::string parent;
  std::string name;
};

Split SplitPath(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::size_t slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// Dead: the process that served it is gone, and every call on it gives ENOTCONN.
bool IsDead(const std::string& directory) {
  struct stat unused {};
  return stat(directory.c_str(), &unused) != 0 && errno == ENOTCONN;
}

bool IsOurs(const MountEntry& mount) {
  return mount.type == kMountType && mount.source == kMountSource;
}

/// What a killed cofferd left mounted there, which may be taken away; nullopt: nothing is mounted.
/// kConflict for anything else.
Result<std::optional<MountEntry>> FindLeftMount(const std::string& directory) {
  ASSIGN_OR_RETURN(std::optional<MountEntry> seen, FindMount(directory));
  if (!seen) return seen;
  const bool ours = IsOurs(*seen);
  const bool dead = IsDead(directory);
  if (ours && dead) return seen;
  return Fail(ErrorCode::kConflict,
              Concat(directory, " has something mounted on it already: ",
                     EscapeForTerminal(seen->source), ", ", EscapeForTerminal(seen->type),
                     dead   ? ", whose server is gone"
                     : ours ? ", by another cofferd"
                            : ""),
              ours ? "take another directory, or close the volume there"
                   : "unmount it, or take another directory");
}

/// Takes away what is dead and ours.
Status ClearMounts(const MountTools& tools, const std::string& directory) {
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<MountEntry> left, FindLeftMount(directory));
    if (!left) return {};
    LOG(kInfo, "fuse: ", directory,
        " was left mounted by a cofferd that was killed: unmounting it");
    RETURN_IF_ERROR(UnmountConnection(tools, directory, UnmountMode::kLazy));
  }
}

Status CheckDirectory(FileSystem& fs, const std::string& directory) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(directory));
  if (!info.is_directory) {
    return Fail(ErrorCode::kInvalidArgument, directory + " is no directory",
                "--fuse=DIR wants an empty directory of your own");
  }
  if (info.owner_uid != geteuid()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        Concat(directory, " belongs to user ", info.owner_uid, ", not to you, user ", geteuid()),
        "take an empty directory of your own");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(directory));
  if (names.empty()) return {};
  return Fail(ErrorCode::kConflict,
              Concat(directory, " is not empty: it holds ", EscapeForTerminal(names.front()),
                     ", which could not be seen while the volume is served there"),
              "take another directory");
}

Status MakeIfMissing(FileSystem& fs, const std::string& directory) {
  const Status made = fs.CreateDirectory(directory);
  if (made.has_value() || made.error().code == ErrorCode::kAlreadyExists) return {};
  return made;
}

}  // namespace

Result<std::string> PlaceOf(const std::string& directory) {
  if (directory.empty() || directory.front() != '/' || directory.find('\0') != std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "FUSE needs an absolute path of a directory, not '" +
                                                 EscapeForTerminal(directory) + "'");
  }
  const Split split = SplitPath(directory);
  if (directory.size() >= PATH_MAX || split.name.size() > NAME_MAX) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("the path of the directory to serve in is ", directory.size(),
                       " bytes long; the system takes at most ", PATH_MAX - 1, ", and ", NAME_MAX,
                       " for each name in it"),
                "take a shorter path");
  }
  auto resolved = Resolve(directory);
  if (resolved.has_value()) return resolved;
  const auto parent = Resolve(split.parent);
  if (!parent.has_value()) {
    return Fail(parent.error().code,
                "cannot serve in " + EscapeForTerminal(directory) + ": " + parent.error().message,
                "mkdir -p " + EscapeForTerminal(split.parent));
  }
  return (*parent == "/" ? "" : *parent) + "/" + split.name;
}

bool IsCofferMount(const std::string& place) {
  const auto seen = FindMount(place);
  return seen.has_value() && seen->has_value() && IsOurs(**seen);
}

Status CheckMountPoint(FileSystem& fs, const MountTools& tools, const std::string& place) {
  RETURN_IF_ERROR(CheckDevice(tools));
  ASSIGN_OR_RETURN(const std::optional<MountEntry> left, FindLeftMount(place));
  if (left) return {};  // what is beneath it is seen when it is taken away
  const Status fit = CheckDirectory(fs, place);
  return !fit.has_value() && fit.error().code == ErrorCode::kNotFound ? Status() : fit;
}

Status PrepareMountPoint(FileSystem& fs, const MountTools& tools, const std::string& place) {
  RETURN_IF_ERROR(CheckDevice(tools));
  RETURN_IF_ERROR(MakeIfMissing(fs, place));
  RETURN_IF_ERROR(ClearMounts(tools, place));
  return CheckDirectory(fs, place);
}

}  // namespace coffer::fuse
