// Loop devices: set up by root (ioctls of linux/loop.h), looked at by anybody (/sys). Any thread
// with descriptors of its own (own_descriptors.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace coffer::mount {

/// Past the page cache where that can be: a loop device takes that over from the descriptor.
Result<UniqueFd> OpenForLoop(const std::string& image, bool read_only);

/// A free loop device on `image`, past the page cache where the image allows it (its file system's
/// cache is above, the image's below: nothing is kept twice), which is let go of by itself at its
/// last use. kUnsupported where this user or this machine has none to set up.
///
/// `keep_fd` keeps it there until it is mounted: the caller closes it then.
Result<std::string> SetUpLoop(const std::string& image, bool read_only, int* keep_fd);

/// What the kernel says of loop devices in /sys/block.
class LoopDevices {
 public:
  explicit LoopDevices(std::string sys_block) : sys_block_(std::move(sys_block)) {}
  /// What "/dev/loop3" is on, also if that has another file in its place by now; "" for nothing.
  [[nodiscard]] std::string BackingFileOf(const std::string& device) const;
  /// In bytes, as the kernel takes it.
  [[nodiscard]] std::uint64_t SizeOf(const std::string& device) const;
  /// Whether what is freed on it is punched out of its file.
  [[nodiscard]] bool TakesDiscards(const std::string& device) const;
  /// Whether a file system or anybody else has it open; "no" where that cannot be told.
  [[nodiscard]] bool IsInUse(const std::string& device) const;
  /// All on that file.
  [[nodiscard]] std::vector<std::string> On(const std::string& image) const;

 private:
  [[nodiscard]] std::string PathOf(const std::string& device, const char* file) const;
  const std::string sys_block_;
};

/// Has the kernel ask the file under `device`, which may be mounted, for its size again. kIoError
/// for a user who is not root.
Status TakeOverFileSize(const std::string& device);

/// kConflict while it is in use. One that is not set up is well.
Status DetachLoop(const std::string& device);

}  // namespace coffer::mount
