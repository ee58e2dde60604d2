// What is on an image, and the programs that make or check it: blkid, mke2fs, mkfs.xfs, e2fsck. All
// of them are children that open the image by its path. Any thread with descriptors of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/result.h"

namespace coffer::mount {

/// What an image was found to hold.
struct Contents {
  std::string file_system;  // "ext4"; "" for none
  std::string uuid;         // of the file system
  std::string other;        // what else was found, for a person: "a partition table (gpt)"
  [[nodiscard]] bool nothing() const { return file_system.empty() && other.empty(); }
};

class FileSystems {
 public:
  explicit FileSystems(std::vector<std::string> program_directories)
      : directories_(std::move(program_directories)) {}

  /// kUnsupported without blkid; kIoError when the image cannot be read.
  [[nodiscard]] Result<Contents> Probe(const std::string& image) const;

  struct NewFileSystem {
    std::string type;  // "ext4", "xfs", "btrfs"
    std::string uuid;
    std::string label;  // cut to what the type can hold
    uid_t uid;          // whose it is
    gid_t gid;
    std::string scratch;  // path of a file that may be written for the time of the call
  };
  /// Destroys what is there: the caller has made sure that there is nothing, and after a failure
  /// there is nothing again. kInvalidArgument for another type, kUnsupported when its program is
  /// missing.
  [[nodiscard]] Status Make(const std::string& image, const NewFileSystem& wanted) const;
  /// What Make could refuse without looking at an image.
  [[nodiscard]] Status CheckCanMake(const std::string& type, uid_t uid) const;

  /// Puts right what an unclean end left in an ext file system, as every boot does (`e2fsck -p`):
  /// at once where it was left clean. kCorruption where that takes a person.
  [[nodiscard]] Status PutRightExt(const std::string& image) const;

  [[nodiscard]] std::string Find(const std::string& program) const;

 private:
  [[nodiscard]] Status RunMaker(const std::string& image, const NewFileSystem& wanted) const;
  [[nodiscard]] Status Tune(const std::string& image, const NewFileSystem& wanted) const;
  const std::vector<std::string> directories_;
};

/// A new one.
[[nodiscard]] std::string NewUuid();

[[nodiscard]] bool IsExt(const std::string& type);
/// Of one that is mounted without what its journal holds.
[[nodiscard]] std::string UnreplayedNote(const std::string& file_system);

struct MountOptions {
  std::string words;  // of mount(8)
  std::string note;   // what a person should know if it is mounted with them; "" for nothing
};
/// What to try in turn, the plainest first. A file system that was in use when it was last written
/// can be mounted read-only only without what its journal holds, since that would be written back.
enum class Access { kReadWrite, kReadOnly };
[[nodiscard]] std::vector<MountOptions> KernelOptions(const std::string& file_system,
                                                      Access access);

/// "fuse2fs is not installed", with what installs it.
[[nodiscard]] Error NotInstalled(const std::string& program, const std::string& package);

}  // namespace coffer::mount
