// Mounting and unmounting a FUSE connection: with mount(2) where that is allowed, else through
// fusermount3, which is setuid root.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "fuse/mount_point.h"

namespace coffer::fuse {

struct KernelMount {
  UniqueFd connection;  // /dev/fuse, non-blocking
  bool root_may_enter =
      false;  // the kernel lets everybody in; the session keeps others than root out
};

/// `directory` as PrepareMountPoint returns it.
Result<KernelMount> MountConnection(FileSystem& fs, const MountTools& tools,
                                    const std::string& directory);

enum class UnmountMode {
  kNow,   // kConflict while it is in use
  kLazy,  // out of sight at once, gone when nobody uses it any more
};
Status UnmountConnection(const MountTools& tools, const std::string& directory, UnmountMode mode);

/// fsync(2) of a file in a mount of this very process: in a child, since a thread that waits there
/// for this process's own answers would keep it from ending when it is killed.
Status SyncFile(const MountTools& tools, const std::string& path);
/// ftruncate(2) of one, in a child too: `size` is what its device has, and the kernel, which with
/// write-back believes its own size alone, takes it over, for open files too. Pages beyond it are
/// dropped. Nothing is done where `directory` is no mount of coffer's any more: a file of that name
/// would be somebody else's.
Status TellSize(const MountTools& tools, const std::string& directory, const std::string& name,
                std::uint64_t size);

}  // namespace coffer::fuse
