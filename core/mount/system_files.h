// Small files of /proc and /sys, whose size says nothing. Not for what is stored: that goes through
// FileSystem.
#pragma once

#include <string>
#include <vector>

namespace coffer::mount {

/// "" if it cannot be read; at most 4 MiB of it.
[[nodiscard]] std::string ReadSystemFile(const std::string& path);
/// The same without the end of its only line.
[[nodiscard]] std::string ReadSystemLine(const std::string& path);
/// Names in a directory, without "." and ".."; none if it cannot be read.
[[nodiscard]] std::vector<std::string> ListSystemDirectory(const std::string& path);
/// Where a link leads, as it says; "" if it cannot be read.
[[nodiscard]] std::string ReadLink(const std::string& path);

}  // namespace coffer::mount
