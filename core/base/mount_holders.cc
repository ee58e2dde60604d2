#include "core/base/mount_holders.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/base/log.h"
#include "core/base/mount_table.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;

/// Of `path` below `directory`, "" for the directory itself; nullopt if it lies elsewhere.
std::optional<std::string> Below(const std::string& directory, const std::string& path) {
  const std::string prefix = directory == "/" ? "" : directory;
  if (path.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  if (path.size() == prefix.size()) return "";
  if (path[prefix.size()] != '/') return std::nullopt;
  return path.substr(prefix.size() + 1);
}

/// Of a path as the kernel shows it: the name may be gone, and the file is not (proc(5)).
std::string WithoutDeleted(std::string path) {
  constexpr std::string_view kNameless = " (deleted)";
  if (path.size() > kNameless.size() && path.ends_with(kNameless)) {
    path.resize(path.size() - kNameless.size());
  }
  return path;
}

/// What this user may not see, or what is gone by now, is no error: "".
std::string LinkTarget(const fs::path& link) {
  std::error_code ignored;
  return WithoutDeleted(fs::read_symlink(link, ignored).string());
}

std::string FirstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

template <class Visit>
void ForEachIn(const fs::path& directory, const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    visit(at->path());
  }
}

std::string Opened(const std::string& below) {
  return below.empty() ? "has it open" : "has " + below + " open";
}

std::optional<std::string> HowByFiles(const fs::path& process, const std::string& directory) {
  std::optional<std::string> how;
  ForEachIn(process / "fd", [&](const fs::path& file) {
    if (how) return;
    if (const auto below = Below(directory, LinkTarget(file))) how = Opened(*below);
  });
  return how;
}

/// Lines of /proc/PID/maps, proc(5): five fields, then the path.
std::optional<std::string> HowByMaps(const fs::path& process, const std::string& directory) {
  std::ifstream maps(process / "maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t path = line.find('/');
    if (path == std::string::npos) continue;
    if (const auto below = Below(directory, line.substr(path))) return "has " + *below + " mapped";
  }
  return std::nullopt;
}

std::optional<std::string> HowHeld(const fs::path& process, const std::string& directory) {
  if (Below(directory, LinkTarget(process / "cwd"))) return "works in it";
  if (Below(directory, LinkTarget(process / "root"))) return "has its root in it";
  if (const auto by_files = HowByFiles(process, directory)) return by_files;
  return HowByMaps(process, directory);
}

void AddProcesses(const std::string& directory, std::vector<MountHolder>& holders) {
  ForEachIn("/proc", [&](const fs::path& process) {
    const std::string name = process.filename().string();
    int pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) return;
    if (const auto how = HowHeld(process, directory)) {
      holders.push_back({pid, FirstLine(process / "comm"), *how});
    }
  });
}

void AddLoopDevices(const std::string& directory, std::vector<MountHolder>& holders) {
  ForEachIn("/sys/block", [&](const fs::path& device) {
    const std::string name = device.filename().string();
    if (name.compare(0, 4, "loop") != 0) return;
    const std::string file = WithoutDeleted(FirstLine(device / "loop" / "backing_file"));
    if (const auto below = Below(directory, file)) {
      holders.push_back({0, name, "is a device on " + (below->empty() ? "it" : *below)});
    }
  });
}

void AddMounts(const std::string& directory, std::vector<MountHolder>& holders) {
  const auto mounts = ReadMountTable();
  if (!mounts.has_value()) return;
  for (const MountEntry& mount : *mounts) {
    const auto below = Below(directory, mount.mount_point);
    if (below && !below->empty()) holders.push_back({0, mount.source, "is mounted on " + *below});
  }
}

}  // namespace

std::string ProgramName(int pid) { return FirstLine(Concat("/proc/", pid, "/comm")); }

std::vector<MountHolder> FindMountHolders(const std::string& directory) {
  std::vector<MountHolder> holders;
  AddProcesses(directory, holders);
  AddLoopDevices(directory, holders);
  AddMounts(directory, holders);
  return holders;
}

std::string DescribeHolders(const std::vector<MountHolder>& holders) {
  constexpr std::size_t kShown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(holders.size(), kShown); ++i) {
    const MountHolder& holder = holders[i];
    if (i > 0) text.append(", ");
    text.append(EscapeForTerminal(holder.name));
    if (holder.pid > 0) text.append(Concat(" (pid ", holder.pid, ")"));
    text.append(" ").append(EscapeForTerminal(holder.how));
  }
  if (holders.size() > kShown) text.append(Concat(", and ", holders.size() - kShown, " more"));
  return text;
}

}  // namespace coffer
