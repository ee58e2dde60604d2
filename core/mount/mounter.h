// Mounter: mounts the file system in a volume's image file, whoever this user is, in the first of
// these ways that works:
//   loop     root: a loop device and mount(8), at the directory
//   udisks   udisks2, where it allows it: it chooses the place, the directory becomes a link to it
//   fuse2fs  ext2, ext3 and ext4 in user space, at the directory
// It sees a path, no volume and no protocol; core/daemon gives it what an exporter serves. Calls
// block for as long as their work takes. Thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
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
  bool made = false;                     // it was made for this
  std::vector<std::string> passed_over;  // the ways before, each with why
  std::string note;                      // what it does not do here, with the cure; "" for nothing
  pid_t server = 0;                      // the child that serves it, if one does
};

enum class Force {
  kNo,
  /// Flushes what can be flushed, and takes it away from under whoever uses it.
  kYes,
};

struct UnmountHow {
  Force force = Force::kNo;
  /// A number that grows while what is being flushed arrives: by force, a flush is waited for only
  /// as long as it does. Must not block.
  std::function<std::uint64_t()> progress = {};
  /// By force: how long what is done may stand still.
  std::chrono::milliseconds patience{10'000};
};

/// What the kernel says of a mount at the moment of the question.
enum class Presence {
  kThere,
  /// Somebody else has unmounted it, and nobody holds on to it: all that was written is with the
  /// image.
  kUnmounted,
  /// Somebody else has taken it out of sight (umount -l), and programs use it all the same.
  kHeld,
  /// What served it has died, with what it had not yet written.
  kDied,
};

class MountedImage {
 public:
  virtual ~MountedImage() = default;  // does not unmount
  [[nodiscard]] virtual const MountedAs& as() const = 0;
  [[nodiscard]] virtual Presence presence() = 0;
  /// The image has `image_bytes` now, not fewer than before: what is mounted takes that over, as
  /// far as it can while it is mounted. Returns what is left to the user, for whom the file system
  /// on it keeps its size in any case; "" if it is not mounted any more.
  [[nodiscard]] virtual std::string ImageGrew(std::uint64_t image_bytes) = 0;
  /// Everything written is with the image when it returns, but for what it returns: what could not
  /// be flushed and why, "" for nothing. kConflict while in use, by whom. What is not mounted any
  /// more is well.
  virtual Result<std::string> Unmount(const UnmountHow& how) = 0;
};

/// For a person: why what was mounted `as` that is not what it was; "" while it is there.
[[nodiscard]] std::string TroubleText(const MountedAs& as, Presence presence);

class Mounter {
 public:
  virtual ~Mounter() = default;
  /// What can be told of Mount without an image: its errors for what is asked for, for the
  /// directory, and for a file system that is to be made and could not be mounted.
  /// What stands at the directory because of the record at `record_path` is no
  /// hindrance: CleanUp takes it away.
  virtual Status Check(const MountSpec& spec) = 0;
  /// kUnsupported when no way works, with why of each; kNotFound when the image holds no file
  /// system; kAlreadyExists when one was to be made and there is something; kCorruption for a
  /// damaged one; errors of FindMountPoint. A file system that was made and then could not be
  /// mounted is recorded: the next Mount that is to make one of its type takes it.
  virtual Result<std::unique_ptr<MountedImage>> Mount(const MountSpec& spec) = 0;
  /// Undoes what the record at `record_path` says that a process left that was killed; nothing
  /// where there is none.
  virtual Status CleanUp(const std::string& record_path) = 0;
  /// Who uses `image` besides this process and, if it is not null, `mounted`.
  [[nodiscard]] virtual std::vector<MountHolder> OthersOn(const std::string& image,
                                                          const MountedImage* mounted) = 0;
};

/// For a volume that holds something that cannot be mounted.
inline constexpr char kOtherHint[] =
    "coffer open NAME --fuse=DIR serves the volume as the file NAME.img in DIR, where other "
    "programs "
    "can use it; if nothing on it is needed, fallocate -p -l SIZE NAME.img empties it there";

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
