#include "core/store/sftp_tree.h"

#include <limits>
#include <utility>

#include "core/base/log.h"

namespace coffer::store {
namespace {

constexpr std::uint32_t kPermissions = 07777;

FileInfo InfoOf(const sftp::Attributes& attributes) {
  FileInfo info{};
  info.size = attributes.size.value_or(0);
  info.is_directory = attributes.IsDirectory();
  info.is_symlink = attributes.IsSymlink();
  info.mode = attributes.mode.value_or(0) & kPermissions;
  info.owner_uid = attributes.owner_uid.value_or(0);
  info.allocated_bytes = info.size;
  info.modified_unix = attributes.modified_unix.value_or(0);
  return info;
}

tl::unexpected<Error> FailUnsupported(std::string_view what) {
  return Fail(ErrorCode::kUnsupported, Concat("an SFTP store has no ", what));
}

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

/// A file that is opened so is small, or not what was expected: its beginning tells as much.
constexpr std::uint64_t kReadMax = 64 << 10;

}  // namespace

Result<std::unique_ptr<File>> SftpTree::Open(const std::string& path, OpenMode mode) {
  if (mode == OpenMode::kCreate) {
    ASSIGN_OR_RETURN(const std::string handle, files_.OpenNew(path));
    RETURN_IF_ERROR(files_.WriteAndClose(handle, path, {}));
    return std::unique_ptr<File>(std::make_unique<ReadFile>(Bytes()));
  }
  if (mode != OpenMode::kRead) return FailUnsupported("file that is changed in place");
  const auto beginning = [](std::uint64_t size) -> Result<SftpFiles::Range> {
    return SftpFiles::Range{0, std::min(size, kReadMax)};
  };
  ASSIGN_OR_RETURN(Bytes bytes, files_.Read(path, {0, kReadMax}, beginning));
  return std::unique_ptr<File>(std::make_unique<ReadFile>(std::move(bytes)));
}

Status SftpTree::SyncDirectory(const std::string& path) {
  Status synced = files_.SyncDirectory(path);
  if (!synced.has_value() && synced.error().code == ErrorCode::kUnsupported) return {};
  return synced;
}

Status SftpTree::Rename(const std::string&, const std::string&) {
  return FailUnsupported("rename that replaces");
}
Status SftpTree::Link(const std::string&, const std::string&) {
  return FailUnsupported("second names here");
}
Status SftpTree::RenameNoReplace(const std::string&, const std::string&) {
  return FailUnsupported("renaming here");
}
Result<SpaceInfo> SftpTree::Space(const std::string& path) {
  ASSIGN_OR_RETURN(const sftp::Space space, files_.Space(path));
  return SpaceInfo{space.free_bytes, space.total_bytes};
}
Result<std::unique_ptr<FileLock>> SftpTree::Lock(const std::string&) {
  return FailUnsupported("locks");
}

Result<FileInfo> SftpTree::Stat(const std::string& path) {
  if (const auto told = listed_.find(path); told != listed_.end()) return told->second;
  ASSIGN_OR_RETURN(const sftp::Attributes attributes, files_.Lstat(path));
  return InfoOf(attributes);
}

Result<std::vector<std::string>> SftpTree::List(const std::string& path) {
  return ListFirst(
      path, [](const std::string&) { return true; }, std::numeric_limits<std::size_t>::max());
}

/// The first names by byte value are kept, whatever order they come in: memory for `count`.
Result<std::vector<std::string>> SftpTree::ListFirst(const std::string& path,
                                                     const NameFilter& wanted, std::size_t count) {
  std::map<std::string, sftp::Attributes> first;
  const auto take = [&](const sftp::NamedAttributes& named) {
    // No name: servers are not to lead anywhere else.
    if (named.name.empty() || named.name.find('/') != std::string::npos) return;
    if (!wanted(named.name)) return;
    if (first.size() == count && named.name > first.rbegin()->first) return;
    first.emplace(named.name, named.attributes);
    if (first.size() > count) first.erase(std::prev(first.end()));
  };
  RETURN_IF_ERROR(files_.ForEach(path, take));
  std::vector<std::string> names;
  for (const auto& [name, attributes] : first) {
    names.push_back(name);
    // Where a listing does not tell what it is, Stat asks.
    if (attributes.TellsKind()) listed_.emplace(Concat(path, "/", name), InfoOf(attributes));
  }
  return names;
}

Result<std::unique_ptr<File>> SftpTree::CreateShared(const std::string& path,
                                                     const std::string& /*grantor*/) {
  return Open(path, OpenMode::kCreate);
}

Status SftpTree::CreateSharedDirectory(const std::string& path, const std::string* /*grantor*/) {
  return files_.MakeDirectory(path);
}

}  // namespace coffer::store
