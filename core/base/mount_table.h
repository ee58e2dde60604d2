// What is mounted where, as this process sees it (/proc/self/mountinfo). Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace coffer {

struct MountEntry {
  std::string mount_point;  // absolute, without symlinks
  std::string type;         // "ext4", "fuse.coffer"
  std::string source;       // "/dev/loop0"
};

/// Every mount, in the order in which the kernel lists them: of several at one place the last one
/// is what is seen there.
Result<std::vector<MountEntry>> ReadMountTable();
/// What is seen at `mount_point`; nullopt if it is no mount point.
Result<std::optional<MountEntry>> FindMount(std::string_view mount_point);

/// Lines of mountinfo (proc(5)); one that makes no sense is left out.
[[nodiscard]] std::vector<MountEntry> ParseMountTable(std::string_view text);

}  // namespace coffer
