// Who keeps something in use that is to be taken away: a mounted directory, a served volume. For
// the message of a refusal. What the system shows this user; other users' processes remain unseen.
// Any thread.
#pragma once

#include <string>
#include <vector>

namespace coffer {

struct MountHolder {
  int pid;           // 0: the kernel itself, or another machine
  std::string name;  // of the program, the device, or its address
  std::string how;   // "works in it", "has photos.img open"
};

/// Of a running process; "" if it is gone or not to be seen.
[[nodiscard]] std::string ProgramName(int pid);

/// Processes with a working directory, root, open file or mapping below `directory`, loop devices
/// on files of it, and what is mounted below it. `directory` is absolute and without symlinks.
[[nodiscard]] std::vector<MountHolder> FindMountHolders(const std::string& directory);

/// "bash (pid 312) works in it, loop3 is a device on photos.img": for a message; the first few.
/// "" for none.
[[nodiscard]] std::string DescribeHolders(const std::vector<MountHolder>& holders);

}  // namespace coffer
