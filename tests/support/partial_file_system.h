// A file system without hard links, and perhaps without RENAME_NOREPLACE: FAT, some shares.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"

namespace coffer {

class PartialFileSystem final : public FileSystem {
 public:
  enum class Renames { kNoReplace, kPlainOnly };

  PartialFileSystem(FileSystem& inner, Renames renames) : inner_(inner), renames_(renames) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return inner_.Open(path, mode);
  }
  Status CreateDirectory(const std::string& path) override { return inner_.CreateDirectory(path); }
  Status SyncDirectory(const std::string& path) override { return inner_.SyncDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return inner_.Rename(from, to);
  }
  Status Link(const std::string&, const std::string& to) override {
    return Fail(ErrorCode::kUnsupported, "no hard links here: " + to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    if (renames_ == Renames::kNoReplace) return inner_.RenameNoReplace(from, to);
    return Fail(ErrorCode::kUnsupported, "no rename flags here: " + to);
  }
  Status Remove(const std::string& path) override { return inner_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return inner_.RemoveDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return inner_.List(path);
  }
  Result<FileInfo> Stat(const std::string& path) override { return inner_.Stat(path); }
  Result<SpaceInfo> Space(const std::string& path) override { return inner_.Space(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return inner_.Lock(path);
  }

 private:
  FileSystem& inner_;
  const Renames renames_;
};

}  // namespace coffer
