// WebDavTree: collections of a WebDAV server as a FileSystem, so far as directory_guard and
// directory_walk ask for one: those decide alike for directories here and there. For the time of
// one call of the store; what a listing has told is not asked again within it, so that a LIST is
// one request a collection.
//
// What the two do not need is kUnsupported. One thread's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/directory_tools.h"
#include "core/base/file_system.h"
#include "core/store/webdav_client.h"

namespace coffer::store {

class WebDavTree final : public FileSystem, public DirectoryTools {
 public:
  WebDavTree(WebDavClient& client, const RequestContext& context)
      : client_(client), context_(context) {}

  /// Lists `path` now: all on the way there are collections then, and need not be looked at.
  Status Enter(const std::string& path);

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string&) override { return {}; }  // the server's affair
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status RenameNoReplace(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<SpaceInfo> Space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  Result<std::unique_ptr<File>> CreateShared(const std::string& path,
                                             const std::string& grantor) override;
  Status CreateSharedDirectory(const std::string& path, const std::string* grantor) override;
  Result<std::vector<std::string>> ListFirst(const std::string& path, const NameFilter& wanted,
                                             std::size_t count) override;
  Result<std::string> Resolve(const std::string& path) override { return path; }

 private:
  WebDavClient& client_;
  const RequestContext& context_;
  std::map<std::string, std::vector<std::string>> listed_;  // sorted names by collection
  std::map<std::string, FileInfo> known_;                   // by path
};

}  // namespace coffer::store
