#include "core/store/directory_walk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/directory_tools.h"
#include "core/base/log.h"
#include "core/format/chain_name.h"

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

/// Whether objects can lie right in `directory`, which ends with a slash, or further down: not
/// where other programs have made directories inside keys/, catalog/, heads/<volume>/ or
/// packs/<xx>/.
bool MayHoldObjects(std::string_view directory) {
  const auto slashes = std::count(directory.begin(), directory.end(), '/');
  if (directory.starts_with(format::kKeysPrefix) || directory.starts_with(format::kCatalogPrefix))
    return slashes == 1;
  if (directory.starts_with(format::kHeadsPrefix) || directory.starts_with(format::kPacksPrefix))
    return slashes <= 2;
  return true;
}

class Walk {
 public:
  Walk(FileSystem& fs, const std::string& root, const std::string& prefix,
       const std::string& start_after, std::size_t limit)
      : fs_(fs), root_(root), prefix_(prefix), start_after_(start_after), limit_(limit) {}

  /// `directory` is "" or ends with a slash.
  Status Visit(const std::string& directory) {
    const std::string path =
        directory.empty() ? root_ : Concat(root_, "/", directory.substr(0, directory.size() - 1));
    std::vector<std::string> waiting;  // directories, with their slash; the last one comes first
    std::string name = directory;
    std::string last;  // of the entries looked at
    const auto wanted = [&](const std::string& entry) {
      if (entry <= last) return false;
      name.replace(directory.size(), std::string::npos, entry);
      return MayBeWanted(name);
    };
    std::size_t count = std::max(limit_ + 1, kEntriesFirst);
    while (!full()) {
      const Result<std::vector<std::string>> entries = ListFirst(fs_, path, wanted, count);
      if (!entries.has_value()) {
        if (entries.error().code == ErrorCode::kNotFound) return {};
        return Fail(entries.error());
      }
      for (const std::string& entry : *entries) {
        RETURN_IF_ERROR(Take(directory + entry, waiting));
        if (full()) return {};
      }
      if (entries->size() < count) break;
      last = entries->back();
      count *= kMoreEachTime;
    }
    while (!waiting.empty() && !full()) RETURN_IF_ERROR(VisitLast(waiting));
    return {};
  }

  ListPage TakePage() {
    page_.more = page_.objects.size() > limit_;
    if (page_.more) page_.objects.pop_back();
    return std::move(page_);
  }

 private:
  /// A directory is read as far as its first names that are wanted; where those turn out to be too
  /// few, again and further, so that all the readings together cost little more than the last one.
  static constexpr std::size_t kEntriesFirst = 64;
  static constexpr std::size_t kMoreEachTime = 16;

  /// A symbolic link counts as a file: where an object should be, reading it says what it is, and
  /// elsewhere it is nobody's.
  Status Take(const std::string& name, std::vector<std::string>& waiting) {
    while (!waiting.empty() && waiting.back() < name) RETURN_IF_ERROR(VisitLast(waiting));
    if (full()) return {};
    const Result<FileInfo> info = fs_.Stat(Concat(root_, "/", name));
    if (!info.has_value()) {
      if (info.error().code == ErrorCode::kNotFound) return {};  // deleted just now
      return Fail(info.error());
    }
    if (info->is_directory) {
      if (HoldsWanted(name + "/")) waiting.push_back(name + "/");
    } else if (IsWanted(name)) {
      page_.objects.push_back({.name = name, .size = info->size, .modified = info->modified_unix});
    }
    return {};
  }

  /// One more than asked for tells whether there are more.
  [[nodiscard]] bool full() const { return page_.objects.size() > limit_; }

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
    if (!MayHoldObjects(directory)) return false;
    const bool in_prefix = directory.starts_with(prefix_) || prefix_.starts_with(directory);
    return in_prefix && (directory > start_after_ || start_after_.starts_with(directory));
  }

  [[nodiscard]] bool MayBeWanted(const std::string& name) const {
    return IsValidObjectName(name) && (IsWanted(name) || HoldsWanted(name + "/"));
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
