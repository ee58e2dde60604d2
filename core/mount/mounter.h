// Mounter: mounts the file system in a volume's image file, whoever this user is, in the first of
// these ways that works:
//   loop     root: a loop device and mount(8), at the directory
//   udisks   udisks2, where it allows it: it chooses the place, the directory becomes a link to it
//   fuse2fs  ext2, ext3 and ext4 in user space, at the directory
// It sees a path, no volume and no protocol; core/daemon gives it what an exporter serves. Calls
// block for as long as their work takes. Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/mount_holders.h"
#include "core/base/process.h"
#include "core/base/result.h"
#include "core/mount/udisks.h"

namespace coffer::mount {

struct MountSpec {
  std::string image;      // absolute
  std::string directory;  // absolute; its last part is made where it is missing
  std::string way;        // "" for the first that works
  /// The type to make ("ext4", "xfs", "btrfs") where there is nothing; "" to mount what is there.
  std::string make;
  /// REQUIRES when `make` is set: whether every byte of the image is known to read as zero.
  bool is_blank = false;
  std::string label;  // of what is made
  bool read_only = false;
  std::string record_path;  // a file of this image's own, in a directory that lasts
};

struct MountedAs {
  std::string directory;                 // as asked for
  std::string path;                      // where the files are; the same unless udisks chose it
  std::string way;                       // "loop", "udisks", "fuse2fs"
  std::string device;                    // "/dev/loop0"; "" for fuse2fs
  std::string file_system;               // "ext4"
  bool made = false;                     // it was made just now
  std::vector<std::string> passed_over;  // the ways before, each with why
  std::string note;                      // what it does not do here, with the cure; "" for nothing
  pid_t server = 0;                      // the child that serves it, if one does
};

enum class Force {
  kNo,
  /// Flushes what can be flushed, and takes it away from under whoever uses it.
  kYes,
};

class MountedImage {
 public:
  virtual ~MountedImage() = default;  // does not unmount
  [[nodiscard]] virtual const MountedAs& as() const = 0;
  /// Why it is not what it was: its server has died, somebody else has unmounted it. "" while all
  /// is well.
  [[nodiscard]] virtual std::string trouble() = 0;
  /// The image has `image_bytes` now, not fewer than before: what is mounted takes that over, as
  /// far as it can while it is mounted. Returns what is left to the user, for whom the file system
  /// on it keeps its size in any case; "" if it is not mounted any more.
  [[nodiscard]] virtual std::string ImageGrew(std::uint64_t image_bytes) = 0;
  /// Everything written is with the image when it returns. kConflict while in use, by whom. What
  /// is not mounted any more is well.
  virtual Status Unmount(Force force) = 0;
};

class Mounter {
 public:
  virtual ~Mounter() = default;
  /// kUnsupported when no way works, with why of each; kNotFound when the image holds no file
  /// system; kAlreadyExists when one was to be made and there is something; kCorruption for a
  /// damaged one; errors of FindMountPoint.
  virtual Result<std::unique_ptr<MountedImage>> Mount(const MountSpec& spec) = 0;
  /// Undoes what the record at `record_path` says that a process left that was killed; nothing
  /// where there is none.
  virtual Status CleanUp(const std::string& record_path) = 0;
  /// Who uses `image` besides this process and, if it is not null, `mounted`.
  [[nodiscard]] virtual std::vector<MountHolder> OthersOn(const std::string& image,
                                                          const MountedImage* mounted) = 0;
};

/// "loop", "udisks", "fuse2fs", in the order in which they are tried.
[[nodiscard]] const std::vector<std::string>& WayNames();

struct SystemMounterOptions {
  uid_t uid;
  gid_t gid;
  std::vector<std::string> program_directories = SystemProgramDirectories();
  ConnectUdisks connect_udisks = ConnectSystemUdisks;
  std::string sys_block = "/sys/block";
};
/// `fs` outlives it.
[[nodiscard]] std::unique_ptr<Mounter> NewSystemMounter(FileSystem& fs,
                                                        SystemMounterOptions options);

}  // namespace coffer::mount
