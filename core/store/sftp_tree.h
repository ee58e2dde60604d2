// SftpTree: a tree on an SFTP server as a FileSystem, so far as directory_guard and directory_walk
// ask for one: those decide alike for directories here and there. For the time of one call of the
// store; what a listing has told of its entries is not asked again within it.
//
// What the two do not need is kUnsupported. One thread's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/directory_tools.h"
#include "core/base/file_system.h"
#include "core/store/sftp_files.h"

namespace coffer::store {

class SftpTree final : public FileSystem, public DirectoryTools {
 public:
  explicit SftpTree(SftpFiles& files) : files_(files) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectory(const std::string& path) override { return files_.MakeDirectory(path); }
  /// Success where the server has no such call.
  Status SyncDirectory(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status RenameNoReplace(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override { return files_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return files_.RemoveDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<SpaceInfo> Space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  Result<std::unique_ptr<File>> CreateShared(const std::string& path,
                                             const std::string& grantor) override;
  Status CreateSharedDirectory(const std::string& path, const std::string* grantor) override;
  Result<std::vector<std::string>> ListFirst(const std::string& path, const NameFilter& wanted,
                                             std::size_t count) override;
  Result<std::string> Resolve(const std::string& path) override { return files_.RealPath(path); }

 private:
  SftpFiles& files_;
  std::map<std::string, FileInfo> listed_;  // entries of listings, by their paths
};

}  // namespace coffer::store
