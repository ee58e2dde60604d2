// What a store in a directory asks of a file system beyond FileSystem: files that others may use,
// and the first names of a directory of very many. Free functions over any FileSystem: one that
// does not have DirectoryTools, a fake, is used by the calls that it has.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"

namespace coffer {

using NameFilter = std::function<bool(const std::string&)>;

/// Implemented beside FileSystem by those that can. Thread-safe.
class DirectoryTools {
 public:
  virtual ~DirectoryTools() = default;
  virtual Result<std::unique_ptr<File>> CreateShared(const std::string& path,
                                                     const std::string& grantor) = 0;
  virtual Status CreateSharedDirectory(const std::string& path, const std::string* grantor) = 0;
  virtual Result<std::vector<std::string>> ListFirst(const std::string& path,
                                                     const NameFilter& wanted,
                                                     std::size_t count) = 0;
  virtual Result<std::string> Resolve(const std::string& path) = 0;
};

/// As FileSystem::Open(kCreate), for what others use too: a default ACL of its directory decides
/// who, or else umask and the mode of the directory `grantor`: whom that lets read may read the
/// file.
Result<std::unique_ptr<File>> CreateShared(FileSystem& fs, const std::string& path,
                                           const std::string& grantor);
/// As FileSystem::CreateDirectory, likewise: whom `grantor` lets read, write or enter may do so
/// here as well. Without one the umask has the last word, but its owner may always use it.
Status CreateSharedDirectory(FileSystem& fs, const std::string& path, const std::string* grantor);

/// The first `count` names of FileSystem::List that `wanted` takes, in memory for so many, whatever
/// the directory holds.
Result<std::vector<std::string>> ListFirst(FileSystem& fs, const std::string& path,
                                           const NameFilter& wanted, std::size_t count);

/// The path of the same place without symbolic links.
Result<std::string> ResolvePath(FileSystem& fs, const std::string& path);

}  // namespace coffer
