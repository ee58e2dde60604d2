// The directory that an image is served in: whether it may be, before anything is mounted.
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"

namespace coffer::fuse {

/// fstype and source of our mounts in /proc/self/mountinfo.
inline constexpr char kMountType[] = "fuse.coffer";
inline constexpr char kMountSource[] = "coffer";

/// Where the programs and files are that mounting needs; tests give their own.
struct MountTools {
  std::string fusermount = "/usr/bin/fusermount3";
  std::string device = "/dev/fuse";
  std::string configuration = "/etc/fuse.conf";
  std::string sync = "/bin/sync";
  std::string truncate = "/usr/bin/truncate";
};

/// `directory` (absolute) without symlinks: one directory, one path. Its last component need not
/// be there, or may be a mount that answers no more.
Result<std::string> PlaceOf(const std::string& directory);

/// What is seen at `place` is a mount of a cofferd.
[[nodiscard]] bool IsCofferMount(const std::string& place);

/// What PrepareMountPoint would refuse, as far as it can be seen without changing anything.
Status CheckMountPoint(FileSystem& fs, const MountTools& tools, const std::string& place);

/// Makes `place`, as PlaceOf gives it, fit to be mounted on: its last component is made if it is
/// missing, a mount that a killed cofferd left there is removed. kInvalidArgument, kNotFound,
/// kConflict or kIoError with what to do about it.
Status PrepareMountPoint(FileSystem& fs, const MountTools& tools, const std::string& place);

}  // namespace coffer::fuse
