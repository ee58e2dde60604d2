// Where a path leads.
#pragma once

#include <string>

namespace coffer {

/// `path` with every symbolic link in it followed; as it is where it leads nowhere.
[[nodiscard]] std::string RealPath(const std::string& path);

}  // namespace coffer
