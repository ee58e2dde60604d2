// The real file system without waiting for its disk: where time is virtual and nobody cuts the
// power, a sync would only cost real time.
#pragma once

#include "core/base/file_system.h"

namespace coffer::scale {

class UnsyncedFile final : public File {
 public:
  explicit UnsyncedFile(std::unique_ptr<File> inner) : inner_(std::move(inner)) {}
  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    return inner_->ReadAt(offset, out);
  }
  Status WriteAt(std::uint64_t offset, ByteView data) override {
    return inner_->WriteAt(offset, data);
  }
  Status SyncData() override { return {}; }
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

class UnsyncedFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, inner_->Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<UnsyncedFile>(std::move(file)));
  }
  Status CreateDirectory(const std::string& path) override { return inner_->CreateDirectory(path); }
  Status SyncDirectory(const std::string&) override { return {}; }
  Status Rename(const std::string& from, const std::string& to) override {
    return inner_->Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return inner_->Link(from, to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    return inner_->RenameNoReplace(from, to);
  }
  Status Remove(const std::string& path) override { return inner_->Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return inner_->RemoveDirectory(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return inner_->List(path);
  }
  Result<FileInfo> Stat(const std::string& path) override { return inner_->Stat(path); }
  Result<SpaceInfo> Space(const std::string& path) override { return inner_->Space(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return inner_->Lock(path);
  }

 private:
  const std::unique_ptr<FileSystem> inner_ = NewPosixFileSystem();
};

}  // namespace coffer::scale
