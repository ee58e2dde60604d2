// A file system that passes every call on to another: derive from it to change a few.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"

namespace coffer {

class ForwardingFile : public File {
 public:
  explicit ForwardingFile(std::unique_ptr<File> inner) : inner_(std::move(inner)) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    return inner_->ReadAt(offset, out);
  }
  Status WriteAt(std::uint64_t offset, ByteView data) override {
    return inner_->WriteAt(offset, data);
  }
  Status SyncData() override { return inner_->SyncData(); }
  Status Truncate(std::uint64_t size) override { return inner_->Truncate(size); }
  Status Allocate(std::uint64_t size) override { return inner_->Allocate(size); }
  Status Discard(std::uint64_t offset, std::uint64_t length) override {
    return inner_->Discard(offset, length);
  }
  Result<std::uint64_t> Size() override { return inner_->Size(); }
  Result<FileInfo> Info() override { return inner_->Info(); }

 private:
  const std::unique_ptr<File> inner_;
};

class ForwardingFileSystem : public FileSystem {
 public:
  explicit ForwardingFileSystem(FileSystem& inner) : inner_(inner) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return inner_.Open(path, mode);
  }
  Status CreateDirectory(const std::string& path) override { return inner_.CreateDirectory(path); }
  Status SyncDirectory(const std::string& path) override { return inner_.SyncDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return inner_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return inner_.Link(from, to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    return inner_.RenameNoReplace(from, to);
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
};

}  // namespace coffer
