#include "core/base/memory.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string_view>

namespace coffer {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// The number in a file that holds nothing else; "max", and no such file, are no limit.
std::uint64_t LimitIn(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t limit = 0;
  return file >> limit ? limit : kNoLimit;
}

/// The least one in `group` of the hierarchy mounted at `mount`, and in those that it lies in. In a
/// container the group's path may be one of the host's, and then only the top is there.
std::uint64_t LeastLimit(const std::string& mount, std::string group, std::string_view file) {
  std::uint64_t least = kNoLimit;
  while (true) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    std::string path = mount + group;
    path.append("/").append(file);
    least = std::min(least, LimitIn(path));
    if (group.empty()) return least;
    group.resize(group.rfind('/'));
  }
}

bool NamesMemory(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

std::uint64_t PhysicalMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size);
}

std::uint64_t ControlGroupMemoryLimit(const std::string& root) {
  std::uint64_t least = kNoLimit;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // cgroups(7): number:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos || line.compare(second + 1, 1, "/") != 0) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, LeastLimit(root + "/sys/fs/cgroup", group, "memory.max"));
    } else if (NamesMemory(controllers)) {
      least = std::min(least,
                       LeastLimit(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

std::uint64_t UsableMemoryBytes() {
  const std::uint64_t physical = PhysicalMemoryBytes();
  const std::uint64_t limit = ControlGroupMemoryLimit("");
  if (physical == 0) return limit == kNoLimit ? 0 : limit;
  return std::min(physical, limit);
}

void KeepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kMapped = 32 << 20;  // bytes; mallopt(3) takes no more
  constexpr std::uint64_t kAtTheTopMax = 256 << 20;
  constexpr std::uint64_t kShareOfMemory = 16;
  const std::uint64_t usable = UsableMemoryBytes();
  const std::uint64_t share = usable == 0 ? kAtTheTopMax : usable / kShareOfMemory;
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(std::min(kAtTheTopMax, share)));
  mallopt(M_TOP_PAD, 1 << 20);
#endif
}

void ReturnFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

bool BecomeIoFlusher() { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0; }

}  // namespace coffer
