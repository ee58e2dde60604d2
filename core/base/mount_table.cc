#include "core/base/mount_table.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/base/log.h"

namespace coffer {
namespace {

/// The kernel writes blank, tab, newline and backslash as three octal digits.
std::string Unescape(std::string_view field) {
  const auto digit = [&field](std::size_t at) {
    return static_cast<unsigned char>(field[at]) - '0';
  };
  const auto is_octal = [&](std::size_t at) { return digit(at) >= 0 && digit(at) < 8; };
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size() && is_octal(i + 1) && is_octal(i + 2) &&
        is_octal(i + 3)) {
      text.push_back(static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3)));
      i += 3;
    } else {
      text.push_back(field[i]);
    }
  }
  return text;
}

/// ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS
std::optional<MountEntry> ParseLine(const std::string& line) {
  constexpr std::size_t kMountPoint = 4;
  std::istringstream words(line);
  std::vector<std::string> fields;
  for (std::string word; words >> word;) fields.push_back(std::move(word));
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() <= static_cast<std::ptrdiff_t>(kMountPoint) ||
      fields.end() - dash < 3) {
    return std::nullopt;
  }
  return MountEntry{Unescape(fields[kMountPoint]), Unescape(dash[1]), Unescape(dash[2])};
}

}  // namespace

std::vector<MountEntry> ParseMountTable(std::string_view text) {
  std::vector<MountEntry> entries;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (auto entry = ParseLine(line)) entries.push_back(*std::move(entry));
  }
  return entries;
}

Result<std::vector<MountEntry>> ReadMountTable() {
  constexpr char kPath[] = "/proc/self/mountinfo";
  std::ifstream file(kPath, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return Fail(ErrorFromErrno(errno, Concat("reading ", kPath)));
  return ParseMountTable(text.str());
}

Result<std::optional<MountEntry>> FindMount(std::string_view mount_point) {
  ASSIGN_OR_RETURN(const std::vector<MountEntry> entries, ReadMountTable());
  const auto seen = std::find_if(entries.rbegin(), entries.rend(), [&](const MountEntry& entry) {
    return entry.mount_point == mount_point;
  });
  if (seen == entries.rend()) return std::optional<MountEntry>();
  return std::optional<MountEntry>(*seen);
}

}  // namespace coffer
