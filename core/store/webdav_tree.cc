#include "core/store/webdav_tree.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace coffer::store {
namespace {

FileInfo InfoOf(const WebDavEntry& entry) {
  FileInfo info{};
  info.size = entry.size;
  info.is_directory = entry.is_collection;
  info.allocated_bytes = entry.size;
  info.modified_unix = entry.modified.value_or(0);
  return info;
}

FileInfo Collection() {
  FileInfo info{};
  info.is_directory = true;
  return info;
}

tl::unexpected<Error> FailUnsupported(std::string_view what) {
  return Fail(ErrorCode::kUnsupported, Concat("a WebDAV store has no ", what));
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// A small file, read whole when it was opened: the marker.
class ReadFile final : public File {
 public:
  explicit ReadFile(Bytes bytes) : bytes_(std::move(bytes)) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const ByteView left = ByteView(bytes_).subspan(static_cast<std::size_t>(offset));
    const std::size_t count = std::min(left.size(), out.size());
    std::copy_n(left.begin(), count, out.begin());
    return count;
  }
  Status WriteAt(std::uint64_t, ByteView) override { return FailUnsupported("write in place"); }
  Status SyncData() override { return {}; }
  Status Truncate(std::uint64_t) override { return FailUnsupported("truncation"); }
  Status Allocate(std::uint64_t) override { return FailUnsupported("allocation"); }
  Status Discard(std::uint64_t, std::uint64_t) override { return FailUnsupported("holes"); }
  Result<std::uint64_t> Size() override { return std::uint64_t{bytes_.size()}; }
  Result<FileInfo> Info() override { return FailUnsupported("owner of what is open"); }

 private:
  const Bytes bytes_;
};

constexpr std::uint64_t kReadMax = 64 << 10;

}  // namespace

Status WebDavTree::Enter(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, List(path));
  for (std::string above = path; !above.empty(); above = ParentOf(above)) {
    known_.insert_or_assign(above, Collection());
  }
  return {};
}

/// A file that is made to learn the store's time is not made: each answer tells that.
Result<std::unique_ptr<File>> WebDavTree::Open(const std::string& path, OpenMode mode) {
  if (mode == OpenMode::kCreate) {
    if (!client_.server_time().has_value()) return FailUnsupported("clock");
    FileInfo info{};
    info.modified_unix = *client_.server_time();
    known_.insert_or_assign(path, info);
    return std::unique_ptr<File>(std::make_unique<ReadFile>(Bytes()));
  }
  if (mode != OpenMode::kRead) return FailUnsupported("file that is changed in place");
  Result<Bytes> bytes = client_.Get(context_, path, kReadMax);
  if (!bytes.has_value()) {
    Error error = bytes.error();
    // Too long, as ReadWholeFile has it.
    if (error.code == ErrorCode::kCorruption) error.code = ErrorCode::kInvalidArgument;
    return Fail(std::move(error));
  }
  return std::unique_ptr<File>(std::make_unique<ReadFile>(std::move(*bytes)));
}

Status WebDavTree::CreateDirectory(const std::string& path) {
  return client_.MakeCollection(context_, path);
}
Status WebDavTree::Rename(const std::string&, const std::string&) {
  return FailUnsupported("rename that replaces");
}
Status WebDavTree::Link(const std::string&, const std::string&) {
  return FailUnsupported("second names");
}
Status WebDavTree::RenameNoReplace(const std::string&, const std::string&) {
  return FailUnsupported("renaming here");
}
Status WebDavTree::Remove(const std::string& path) {
  known_.erase(path);  // which nothing but Open(kCreate) has put there
  return {};
}
Status WebDavTree::RemoveDirectory(const std::string&) { return FailUnsupported("removal here"); }
Result<SpaceInfo> WebDavTree::Space(const std::string&) { return FailUnsupported("disk"); }
Result<std::unique_ptr<FileLock>> WebDavTree::Lock(const std::string&) {
  return FailUnsupported("locks here");
}

Result<FileInfo> WebDavTree::Stat(const std::string& path) {
  if (const auto told = known_.find(path); told != known_.end()) return told->second;
  if (listed_.contains(ParentOf(path))) {
    return Fail(ErrorCode::kNotFound, Concat(path, " is not there"));
  }
  ASSIGN_OR_RETURN(const WebDavClient::Look look, client_.LookAt(context_, path));
  const FileInfo info = InfoOf(look.entry);
  known_.insert_or_assign(path, info);
  return info;
}

Result<std::vector<std::string>> WebDavTree::List(const std::string& path) {
  if (const auto told = listed_.find(path); told != listed_.end()) return told->second;
  ASSIGN_OR_RETURN(const std::vector<WebDavEntry> entries, client_.List(context_, path));
  std::vector<std::string> names;
  for (const WebDavEntry& entry : entries) {
    names.push_back(entry.name);
    known_.insert_or_assign(Concat(path, "/", entry.name), InfoOf(entry));
  }
  std::ranges::sort(names);
  const auto [first, last] = std::ranges::unique(names);
  names.erase(first, last);
  listed_.emplace(path, names);
  return names;
}

Result<std::vector<std::string>> WebDavTree::ListFirst(const std::string& path,
                                                       const NameFilter& wanted,
                                                       std::size_t count) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, List(path));
  std::vector<std::string> first;
  for (const std::string& name : names) {
    if (first.size() == count) break;
    if (wanted(name)) first.push_back(name);
  }
  return first;
}

Result<std::unique_ptr<File>> WebDavTree::CreateShared(const std::string& path,
                                                       const std::string& /*grantor*/) {
  return Open(path, OpenMode::kCreate);
}

Status WebDavTree::CreateSharedDirectory(const std::string& path, const std::string* /*grantor*/) {
  return client_.MakeCollection(context_, path);
}

}  // namespace coffer::store
