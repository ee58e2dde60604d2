// Who keeps a mounted directory busy: for the message of an unmount that is refused. What the
// system shows this user; other users' processes remain unseen. Any thread.
#pragma once

#include <string>
#include <vector>

namespace coffer {

struct MountHolder {
  int pid;           // 0: the kernel itself
  std::string name;  // of the program, or of the device
  std::string how;   // "works in it", "has photos.img open"
};

/// Processes with a working directory, root, open file or mapping below `directory`, loop devices
/// on files of it, and what is mounted below it. `directory` is absolute and without symlinks.
[[nodiscard]] std::vector<MountHolder> FindMountHolders(const std::string& directory);

/// "bash (pid 312) works in it, loop3 is a device on photos.img": for a message; the first few.
/// "" for none.
[[nodiscard]] std::string DescribeHolders(const std::vector<MountHolder>& holders);

}  // namespace coffer
