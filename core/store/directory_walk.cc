#include "core/store/directory_walk.h"

#include <utility>
#include <vector>

#include "core/base/log.h"

namespace coffer::store {
namespace {

tl::unexpected<Error> FailSymlink(const std::string& path) {
  return Fail(ErrorCode::kCorruption, Concat(path, " is a symbolic link; stores hold none"),
              "see what put it there, and remove it");
}

/// As Stat, but a symbolic link is an error.
Result<FileInfo> StatOwn(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (info.is_symlink) return FailSymlink(path);
  return info;
}

/// The directories of `name` ("a/b/c": "a", "a/b") are directories and no links; kNotFound if one
/// isn't there.
Status CheckDirectoriesOf(FileSystem& fs, const std::string& root, const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const std::string path = Concat(root, "/", name.substr(0, slash));
    ASSIGN_OR_RETURN(const FileInfo info, StatOwn(fs, path));
    if (!info.is_directory) {
      return Fail(ErrorCode::kNotFound, Concat(path, " is not a directory"));
    }
  }
  return {};
}

class Walk {
 public:
  Walk(FileSystem& fs, const std::string& root, const std::string& prefix,
       const std::string& start_after, std::size_t limit)
      : fs_(fs), root_(root), prefix_(prefix), start_after_(start_after), limit_(limit) {}

  /// `directory` is "" or ends with a slash.
  Status Visit(const std::string& directory) {
    const std::string path = directory.empty() ? root_ : Concat(root_, "/", directory);
    const Result<std::vector<std::string>> entries =
        fs_.List(directory.empty() ? root_ : path.substr(0, path.size() - 1));
    if (!entries.has_value()) {
      if (entries.error().code == ErrorCode::kNotFound) return {};
      return Fail(entries.error());
    }
    std::vector<std::string> waiting;  // directories, with their slash; the last one comes first
    for (const std::string& entry : *entries) {
      const std::string name = directory + entry;
      while (!waiting.empty() && waiting.back() < name) RETURN_IF_ERROR(VisitLast(waiting));
      if (full()) return {};
      if (!MayBeWanted(name)) continue;
      ASSIGN_OR_RETURN(const Kind kind, KindOf(name));
      if (kind == Kind::kDirectory) waiting.push_back(name + "/");
      if (kind == Kind::kFile && IsWanted(name)) page_.names.push_back(name);
    }
    while (!waiting.empty() && !full()) RETURN_IF_ERROR(VisitLast(waiting));
    return {};
  }

  ListPage TakePage() {
    page_.more = page_.names.size() > limit_;
    if (page_.more) page_.names.pop_back();
    return std::move(page_);
  }

 private:
  enum class Kind { kNothing, kFile, kDirectory };

  /// One more than asked for tells whether there are more.
  [[nodiscard]] bool full() const { return page_.names.size() > limit_; }

  Status VisitLast(std::vector<std::string>& waiting) {
    const std::string directory = std::move(waiting.back());
    waiting.pop_back();
    if (full()) return {};
    return Visit(directory);
  }

  [[nodiscard]] bool IsWanted(const std::string& name) const {
    return name.starts_with(prefix_) && name > start_after_;
  }

  /// Whether names in `directory` (with its slash) can be wanted.
  [[nodiscard]] bool HoldsWanted(const std::string& directory) const {
    const bool in_prefix = directory.starts_with(prefix_) || prefix_.starts_with(directory);
    return in_prefix && (directory > start_after_ || start_after_.starts_with(directory));
  }

  [[nodiscard]] bool MayBeWanted(const std::string& name) const {
    return IsValidObjectName(name) && (IsWanted(name) || HoldsWanted(name + "/"));
  }

  Result<Kind> KindOf(const std::string& name) {
    const Result<FileInfo> info = StatOwn(fs_, Concat(root_, "/", name));
    if (!info.has_value()) {
      if (info.error().code == ErrorCode::kNotFound) return Kind::kNothing;  // deleted just now
      return Fail(info.error());
    }
    if (!info->is_directory) return Kind::kFile;
    return HoldsWanted(name + "/") ? Kind::kDirectory : Kind::kNothing;
  }

  FileSystem& fs_;
  const std::string& root_;
  const std::string& prefix_;
  const std::string& start_after_;
  const std::size_t limit_;
  ListPage page_{{}, false};
};

}  // namespace

Result<ListPage> ListDirectoryTree(FileSystem& fs, const std::string& root,
                                   const std::string& prefix, const std::string& start_after,
                                   std::size_t limit) {
  const std::size_t slash = prefix.rfind('/');
  std::string start;  // the deepest directory that the prefix names
  if (slash != std::string::npos) {
    if (!IsValidObjectName(prefix.substr(0, slash))) return ListPage{{}, false};
    start = prefix.substr(0, slash + 1);
    const Status there = CheckDirectoriesOf(fs, root, start);
    if (!there.has_value()) {
      if (there.error().code == ErrorCode::kNotFound) return ListPage{{}, false};
      return Fail(there.error());
    }
  }
  Walk walk(fs, root, prefix, start_after, limit);
  RETURN_IF_ERROR(walk.Visit(start));
  return walk.TakePage();
}

Result<FileInfo> StatObject(FileSystem& fs, const std::string& root, const std::string& name) {
  RETURN_IF_ERROR(CheckDirectoriesOf(fs, root, name));
  const std::string path = Concat(root, "/", name);
  ASSIGN_OR_RETURN(const FileInfo info, StatOwn(fs, path));
  if (info.is_directory) return Fail(ErrorCode::kNotFound, Concat(path, " is a directory"));
  return info;
}

}  // namespace coffer::store
