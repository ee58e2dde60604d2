// The directory at which a person wants a file system. It is taken over for as long as it is
// mounted, and given back as it was: made where it was missing, or in its place a symbolic link to
// where somebody else (udisks) has chosen to mount. Any thread with descriptors of its own.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/result.h"

namespace coffer::mount {

struct MountPoint {
  std::string path;  // absolute, its parent without symbolic links
  bool existed = true;
  mode_t mode = 0700;  // of the directory, if it existed
};

/// `directory` as MountPoint::path shows it, whatever is there. kNotFound: its parent is missing.
Result<std::string> MountPointPath(std::string directory);

/// What is there, if it can be mounted at. kNotFound: its parent is missing. kConflict: something
/// is mounted there, or it is not empty. kInvalidArgument: no directory, a symbolic link, somebody
/// else's.
Result<MountPoint> FindMountPoint(const std::string& directory, uid_t uid);

/// Makes it where it was missing.
Status TakeMountPoint(const MountPoint& point);
/// Puts a symbolic link to `target` in its place.
Status LinkMountPoint(const MountPoint& point, const std::string& target);
/// As it was before. Whatever else has come to stand there meanwhile is left alone.
Status GiveBackMountPoint(const MountPoint& point, const std::string& link_target);

}  // namespace coffer::mount
