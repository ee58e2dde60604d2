#include "core/mount/growth.h"

#include <sys/stat.h>

#include "core/base/result.h"
#include "core/base/shell_words.h"
#include "core/mount/file_systems.h"

namespace coffer::mount {
namespace {

constexpr char kOnTheImage[] =
    "open the volume with --fuse=DIR alone, run e2fsck -f and resize2fs on its image there, and "
    "close it again";

/// The command that makes a mounted file system as large as its device; "" for one that has none.
std::string GrowingCommand(const std::string& file_system, const std::string& device,
                           const std::string& path) {
  if (IsExt(file_system)) return "resize2fs " + device;
  if (file_system == "xfs") return "xfs_growfs " + ShellQuoted(path);
  if (file_system == "btrfs") return "btrfs filesystem resize max " + ShellQuoted(path);
  return {};
}

Status TakeOver(const LoopDevices& loops, const MountedLoop& mounted, std::uint64_t image_bytes) {
  if (loops.SizeOf(mounted.device) == image_bytes) return {};
  // Before Linux 6.16 a loop device takes the size that the kernel knows, which a look renews.
  struct stat ignored {};
  static_cast<void>(stat(mounted.image.c_str(), &ignored));
  RETURN_IF_ERROR(TakeOverFileSize(mounted.device));
  if (loops.SizeOf(mounted.device) == image_bytes) return {};
  return Fail(ErrorCode::kIoError, "the kernel does not see it");
}

}  // namespace

std::string GrowLoop(const LoopDevices& loops, const MountedLoop& mounted,
                     std::uint64_t image_bytes) {
  const std::string& device = mounted.device;
  const Status taken = TakeOver(loops, mounted, image_bytes);
  const std::string command = GrowingCommand(mounted.file_system, device, mounted.path);
  const std::string what = "the " + mounted.file_system + " on it keeps its size";
  if (taken.has_value()) {
    return device + " has the new size; " + what +
           (command.empty()
                ? " until its own program makes it larger"
                : " until it is made larger, as root and while it is mounted: " + command);
  }
  std::string text = device + " keeps its size until the volume is closed and opened again (" +
                     taken.error().message + "); " + what + " until it is made larger then";
  if (!command.empty()) {
    text.append(", as root and while it is mounted: ")
        .append(command)
        .append(" (the device may be another one then)");
  }
  if (IsExt(mounted.file_system)) text.append("; or, without root: ").append(kOnTheImage);
  return text;
}

std::string HowFuse2fsGrows(const std::string& file_system) {
  return "the " + file_system +
         " keeps its size as long as fuse2fs has it; to make it larger: close the volume, " +
         kOnTheImage;
}

}  // namespace coffer::mount
