#include "core/base/file_system.h"

#include <utility>

#include "core/base/failpoint.h"
#include "core/base/log.h"

namespace coffer {
namespace {

/// "/a/b" → "/a"; "/a" → "/".
std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// The missing directories of `path`, deepest first, and the deepest one that exists.
struct DirectoryGap {
  std::vector<std::string> missing;
  std::string existing;
};

Result<DirectoryGap> FindGap(FileSystem& fs, std::string path) {
  DirectoryGap gap;
  while (true) {
    const Result<FileInfo> info = fs.Stat(path);
    if (info.has_value()) {
      if (!info->is_directory && !info->is_symlink) {
        return Fail(ErrorCode::kInvalidArgument, Concat(path, " is not a directory"));
      }
      gap.existing = std::move(path);
      return gap;
    }
    if (info.error().code != ErrorCode::kNotFound || path == "/") return Fail(info.error());
    gap.missing.push_back(path);
    path = ParentOf(path);
  }
}

Status WriteNewFile(FileSystem& fs, const std::string& path, ByteView data) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.Open(path, FileSystem::OpenMode::kCreate));
  RETURN_IF_ERROR(file->WriteAt(0, data));
  return file->SyncData();
}

}  // namespace

Status CreateDirectories(FileSystem& fs, const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return Fail(ErrorCode::kInvalidArgument, Concat("not an absolute path: ", path));
  }
  ASSIGN_OR_RETURN(const DirectoryGap gap, FindGap(fs, WithoutTrailingSlashes(path)));
  const Status synced = fs.SyncDirectory(ParentOf(gap.existing));
  if (!synced.has_value() && synced.error().code != ErrorCode::kUnsupported) return synced;
  for (auto it = gap.missing.rbegin(); it != gap.missing.rend(); ++it) {
    const Status made = fs.CreateDirectory(*it);
    if (!made.has_value() && made.error().code != ErrorCode::kAlreadyExists) return made;
    RETURN_IF_ERROR(fs.SyncDirectory(ParentOf(*it)));
  }
  return {};
}

Result<Bytes> ReadWholeFile(FileSystem& fs, const std::string& path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.Open(path, FileSystem::OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size > size_max) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat(path, " is ", size, " bytes long, more than the ", size_max, " expected"));
  }
  Bytes data(size);
  ASSIGN_OR_RETURN(const std::size_t got, file->ReadAt(0, data));
  data.resize(got);
  return data;
}

Status RemoveTree(FileSystem& fs, const std::string& path) {
  const auto info = fs.Stat(path);
  if (!info.has_value()) {
    if (info.error().code == ErrorCode::kNotFound) return {};
    return Fail(info.error());
  }
  if (!info->is_directory) return fs.Remove(path);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(path));
  Status result;
  for (const std::string& name : names) {
    const Status removed = RemoveTree(fs, Concat(path, "/", name));
    if (result.has_value()) result = removed;
  }
  if (!result.has_value()) return result;
  return fs.RemoveDirectory(path);
}

Status ReplaceFile(FileSystem& fs, const std::string& path, ByteView data) {
  const std::string temporary = path + ".tmp";
  const Status dropped = fs.Remove(temporary);
  if (!dropped.has_value() && dropped.error().code != ErrorCode::kNotFound) return dropped;
  Status status = WriteNewFile(fs, temporary, data);
  COFFER_FAILPOINT("file-written");
  if (status.has_value()) status = fs.Rename(temporary, path);
  COFFER_FAILPOINT("file-renamed");
  if (!status.has_value()) {
    (void)fs.Remove(temporary);  // the first error is the one to report
    return status;
  }
  return fs.SyncDirectory(ParentOf(path));
}

Result<Bytes> ReadReplacedFile(FileSystem& fs, const std::string& path, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(Bytes data, ReadWholeFile(fs, path, size_max));
  // Its bytes were synced before the rename.
  RETURN_IF_ERROR(fs.SyncDirectory(ParentOf(path)));
  return data;
}

}  // namespace coffer
