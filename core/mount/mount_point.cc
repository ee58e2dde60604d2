#include "core/mount/mount_point.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/base/mount_table.h"
#include "core/base/shell_words.h"
#include "core/mount/system_files.h"

namespace coffer::mount {
namespace {

Status CheckNothingMounted(const std::string& path) {
  ASSIGN_OR_RETURN(const auto mounted, FindMount(path));
  if (!mounted) return {};
  return Fail(
      ErrorCode::kConflict,
      "something is mounted at " + path + " already: " + mounted->type + " from " + mounted->source,
      (mounted->type.substr(0, 4) == "fuse" ? "fusermount3 -u " : "umount ") + ShellQuoted(path));
}

Status CheckEmpty(const std::string& path) {
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) return Fail(ErrorFromErrno(errno, path));
  if (ListSystemDirectory(path).empty()) return {};
  return Fail(ErrorCode::kConflict, path + " is not empty: mounting there would hide what is in it",
              "an empty directory, or one that does not exist yet");
}

}  // namespace

Result<std::string> MountPointPath(std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  const std::size_t slash = directory.rfind('/');
  const std::string name = slash == std::string::npos ? "" : directory.substr(slash + 1);
  if (directory.empty() || directory[0] != '/' || name.empty() || name == "." || name == "..") {
    return Fail(ErrorCode::kInvalidArgument, directory + " is no directory to mount at",
                "an absolute path such as /home/me/photos");
  }
  const std::string parent = slash == 0 ? "/" : directory.substr(0, slash);
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(parent.c_str(), nullptr),
                                                         &std::free);
  if (real == nullptr) {
    return Fail(ErrorFromErrno(errno, "the directory " + parent + ", in which to mount"));
  }
  const std::string resolved = real.get();
  return (resolved == "/" ? "" : resolved) + "/" + name;
}

Result<MountPoint> FindMountPoint(const std::string& directory, uid_t uid) {
  MountPoint point;
  ASSIGN_OR_RETURN(point.path, MountPointPath(directory));
  RETURN_IF_ERROR(CheckNothingMounted(point.path));
  struct stat info {};
  if (lstat(point.path.c_str(), &info) != 0) {
    if (errno != ENOENT) return Fail(ErrorFromErrno(errno, point.path));
    point.existed = false;
    return point;
  }
  if (S_ISLNK(info.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, point.path + " is a symbolic link",
                "name the directory itself");
  }
  if (!S_ISDIR(info.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, point.path + " is not a directory");
  }
  if (uid != 0 && info.st_uid != uid) {
    return Fail(ErrorCode::kInvalidArgument, point.path + " belongs to another user",
                "a directory of your own, or one that does not exist yet");
  }
  RETURN_IF_ERROR(CheckEmpty(point.path));
  point.mode = info.st_mode & 07777;
  return point;
}

Status TakeMountPoint(const MountPoint& point) {
  if (point.existed || mkdir(point.path.c_str(), 0700) == 0) return {};
  return Fail(ErrorFromErrno(errno, "making " + point.path));
}

Status LinkMountPoint(const MountPoint& point, const std::string& target) {
  if (rmdir(point.path.c_str()) != 0 && errno != ENOENT) {
    return Fail(ErrorFromErrno(errno, "putting a link in the place of " + point.path));
  }
  if (symlink(target.c_str(), point.path.c_str()) == 0) return {};
  Error error = ErrorFromErrno(errno, "making a link at " + point.path);
  if (point.existed) static_cast<void>(mkdir(point.path.c_str(), point.mode));
  return Fail(std::move(error));
}

Status GiveBackMountPoint(const MountPoint& point, const std::string& link_target) {
  if (!link_target.empty() && ReadLink(point.path) == link_target) {
    if (unlink(point.path.c_str()) != 0) {
      return Fail(ErrorFromErrno(errno, "removing the link " + point.path));
    }
  }
  struct stat info {};
  const bool is_there = lstat(point.path.c_str(), &info) == 0;
  if (point.existed && !is_there && mkdir(point.path.c_str(), point.mode) != 0) {
    return Fail(ErrorFromErrno(errno, "making " + point.path + " again"));
  }
  // Not empty: somebody has put something there, which is his.
  if (!point.existed && is_there && S_ISDIR(info.st_mode)) {
    static_cast<void>(rmdir(point.path.c_str()));
  }
  return {};
}

}  // namespace coffer::mount
