// What becomes of a mount whose image has grown: the loop device takes the new size over where this
// user may have it so; the file system is the user's to grow, since that changes what is on the
// volume. Any thread with descriptors of its own.
#pragma once

#include <cstdint>
#include <string>

#include "core/mount/loop_device.h"

namespace coffer::mount {

struct MountedLoop {
  std::string device;
  std::string path;  // where it is mounted
  std::string file_system;
  std::string image;
};
/// Gives the loop device the `image_bytes` that its image has now; returns what is left to the
/// user.
[[nodiscard]] std::string GrowLoop(const LoopDevices& loops, const MountedLoop& mounted,
                                   std::uint64_t image_bytes);

/// What is left to the user of fuse2fs, which knows an image in one size only.
[[nodiscard]] std::string HowFuse2fsGrows(const std::string& file_system);

}  // namespace coffer::mount
