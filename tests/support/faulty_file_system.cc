#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer {
namespace {

constexpr std::size_t kRecentCalls = 64;
constexpr std::size_t kNameBytesMax = 255;

const char* NameOf(FsCall call) {
  switch (call) {
    case FsCall::kOpen:
      return "open";
    case FsCall::kRead:
      return "read";
    case FsCall::kWrite:
      return "write";
    case FsCall::kSync:
      return "sync";
    case FsCall::kTruncate:
      return "truncate";
    case FsCall::kAllocate:
      return "allocate";
    case FsCall::kDiscard:
      return "discard";
    case FsCall::kInfo:
      return "info";
    case FsCall::kCreateDirectory:
      return "create-directory";
    case FsCall::kSyncDirectory:
      return "sync-directory";
    case FsCall::kRename:
      return "rename";
    case FsCall::kLink:
      return "link";
    case FsCall::kRenameNoReplace:
      return "rename-no-replace";
    case FsCall::kRemove:
      return "remove";
    case FsCall::kRemoveDirectory:
      return "remove-directory";
    case FsCall::kList:
      return "list";
    case FsCall::kStat:
      return "stat";
    case FsCall::kSpace:
      return "space";
    case FsCall::kLock:
      return "lock";
  }
  return "?";
}

tl::unexpected<Error> FailErrno(int error_number, std::string_view action,
                                const std::string& path) {
  return Fail(ErrorFromErrno(error_number, Concat("cannot ", action, " ", path)));
}

}  // namespace

/// An open file; dead once the process or the machine was restarted.
class FaultyFileSystem::OpenFile final : public File {
 public:
  OpenFile(FaultyFileSystem& fs, std::shared_ptr<FakeFile> file, std::string path, OpenMode mode,
           std::uint64_t epoch)
      : fs_(fs),
        file_(std::move(file)),
        path_(std::move(path)),
        writable_(mode != OpenMode::kRead),
        epoch_(epoch) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    MutexLock lock(fs_.mutex_);
    ReadDamage damage = ReadDamage::kNone;
    RETURN_IF_ERROR(Begin({FsCall::kRead, Effect::kReads, path_, offset, out.size()}, &damage));
    const FakeImage& data =
        damage == ReadDamage::kOlderVersion ? file_->durable() : file_->visible();
    const std::size_t count = data.Read(offset, out);
    DamageRead(damage, data, offset, out.first(count));
    return count;
  }

  Status WriteAt(std::uint64_t offset, ByteView data) override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    if (!writable_) return FailErrno(EBADF, "write", path_);
    return fs_.WriteLocked(*file_, path_, offset, data);
  }

  Status SyncData() override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    const Status status = fs_.BeginLocked({FsCall::kSync, Effect::kChanges, path_});
    if (status.has_value()) {
      file_->Sync();
    } else if (!fs_.halted_) {
      file_->ForgetUnsynced();
    }
    return status;
  }

  Status Truncate(std::uint64_t size) override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(Begin({FsCall::kTruncate, Effect::kChanges, path_, size}));
    if (!writable_) return FailErrno(EINVAL, "truncate", path_);
    file_->Resize(fs_.NextNumberLocked(), size);
    return {};
  }

  Status Allocate(std::uint64_t size) override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(Begin({FsCall::kAllocate, Effect::kChanges, path_, size}));
    if (!writable_) return FailErrno(EBADF, "allocate space for", path_);
    if (fs_.UsedBytesLocked() + file_->NewBytes(0, size) > fs_.total_bytes_) {
      return FailErrno(ENOSPC, "allocate space for", path_);
    }
    file_->Allocate(fs_.NextNumberLocked(), size);
    return {};
  }

  Status Discard(std::uint64_t offset, std::uint64_t length) override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(Begin({FsCall::kDiscard, Effect::kChanges, path_, offset, length}));
    if (!writable_) return FailErrno(EBADF, "give back space of", path_);
    file_->Discard(fs_.NextNumberLocked(), offset, length);
    return {};
  }

  Result<std::uint64_t> Size() override {
    ASSIGN_OR_RETURN(const FileInfo info, Info());
    return info.size;
  }

  Result<FileInfo> Info() override {
    MutexLock lock(fs_.mutex_);
    RETURN_IF_ERROR(Begin({FsCall::kInfo, Effect::kReads, path_}));
    const std::uint64_t size = file_->visible().size();
    return FileInfo{size, false, false, file_->mode, file_->owner_uid, size};
  }

 private:
  Status CheckAlive() REQUIRES_LOCK(fs_.mutex_) {
    if (epoch_ != fs_.epoch_) return FailErrno(EIO, "use, after a restart,", path_);
    return {};
  }

  Status Begin(const Call& call, ReadDamage* damage = nullptr) REQUIRES_LOCK(fs_.mutex_) {
    RETURN_IF_ERROR(CheckAlive());
    return fs_.BeginLocked(call, damage);
  }

  void DamageRead(ReadDamage damage, const FakeImage& data, std::uint64_t offset,
                  MutableByteView out) {
    if (out.empty()) return;
    if (damage == ReadDamage::kBitFlip) {
      const auto bit = static_cast<unsigned char>(1U << fs_.random_.Below(8));
      out[fs_.random_.Below(out.size())] ^= std::byte{bit};
    } else if (damage == ReadDamage::kZeros) {
      std::fill(out.begin(), out.end(), std::byte{0});
    } else if (damage == ReadDamage::kWrongSector) {
      for (std::size_t i = 0; i < out.size(); ++i) {
        (void)data.Read((offset + i + kFakeSectorBytes) % data.size(), out.subspan(i, 1));
      }
    }
  }

  FaultyFileSystem& fs_;
  const std::shared_ptr<FakeFile> file_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t epoch_;
};

class FaultyFileSystem::HeldLock final : public FileLock {
 public:
  HeldLock(FaultyFileSystem& fs, std::shared_ptr<FakeNode> node, std::uint64_t epoch)
      : fs_(fs), node_(std::move(node)), epoch_(epoch) {}
  ~HeldLock() override {
    MutexLock lock(fs_.mutex_);
    if (epoch_ == fs_.epoch_) node_->locked = false;
  }

 private:
  FaultyFileSystem& fs_;
  const std::shared_ptr<FakeNode> node_;
  const std::uint64_t epoch_;
};

FaultyFileSystem::FaultyFileSystem(std::uint64_t seed) : random_(seed) {
  MutexLock lock(mutex_);
  root_ = NewDirectoryLocked();
}

FaultyFileSystem::~FaultyFileSystem() = default;

void FaultyFileSystem::KeepTrackLocked(std::weak_ptr<FakeNode> node) {
  constexpr std::size_t kFewest = 64;
  if (nodes_.size() >= kFewest && nodes_.size() == nodes_.capacity()) {
    std::erase_if(nodes_, [](const auto& weak) { return weak.expired(); });
    nodes_.reserve(2 * nodes_.size());  // so that the next sweep is far
  }
  nodes_.push_back(std::move(node));
}

std::shared_ptr<FakeFile> FaultyFileSystem::NewFileLocked() {
  auto file = std::make_shared<FakeFile>(used_pages_);
  file->mode = 0600;
  KeepTrackLocked(file);
  return file;
}

std::shared_ptr<FakeDirectory> FaultyFileSystem::NewDirectoryLocked() {
  auto directory = std::make_shared<FakeDirectory>();
  directory->mode = 0700;
  KeepTrackLocked(directory);
  return directory;
}

// What every call does first.

void FaultyFileSystem::RecordLocked(const Call& call) {
  ++calls_[call.kind];
  std::string text = Concat(NameOf(call.kind), " ", call.path);
  if (call.offset != 0 || call.length != 0) {
    text.append(Concat(" ", call.offset, "+", call.length));
  }
  for (const char c : text) {
    digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  recent_.push_back(std::move(text));
  if (recent_.size() > kRecentCalls) recent_.pop_front();
}

Status FaultyFileSystem::BeginLocked(const Call& call, ReadDamage* damage) {
  if (halted_) return FailErrno(EIO, "reach, on a halted machine,", call.path);
  RecordLocked(call);
  if (call.effect == Effect::kChanges) {
    ++changes_;
    if (halt_in_.has_value() && --*halt_in_ == 0) {
      halted_ = true;
      return FailErrno(EIO, "reach, on a machine that just halted,", call.path);
    }
    if (read_only_) return FailErrno(EROFS, NameOf(call.kind), call.path);
  }
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->call.has_value() && *fault->call != call.kind) continue;
    if (call.path.find(fault->path_contains) == std::string::npos) continue;
    if (fault->damage != ReadDamage::kNone && damage == nullptr) continue;
    if (fault->nth > 1) {
      --fault->nth;
      continue;
    }
    const FsFault hit = *fault;
    if (hit.repeat == FaultRepeat::kOnce) faults_.erase(fault);
    if (hit.damage != ReadDamage::kNone) {
      *damage = hit.damage;
      return {};
    }
    if (hit.goes_read_only) {
      read_only_ = true;
      if (call.effect == Effect::kReads) return {};
    }
    return FailErrno(hit.error_number, NameOf(call.kind), call.path);
  }
  return {};
}

Result<FaultyFileSystem::Place> FaultyFileSystem::FindLocked(const std::string& path,
                                                             const char* action) const {
  CHECK(!path.empty() && path[0] == '/');
  const std::vector<std::string> names = SplitFakePath(path);
  Place place{nullptr, "", root_};
  for (const std::string& name : names) {
    if (place.node == nullptr) return FailErrno(ENOENT, action, path);
    if (!place.node->is_directory) return FailErrno(ENOTDIR, action, path);
    if (name.size() > kNameBytesMax) return FailErrno(ENAMETOOLONG, action, path);
    CHECK(name != "..");
    place.parent = std::static_pointer_cast<FakeDirectory>(place.node);
    place.name = name;
    const auto found = place.parent->visible().find(name);
    place.node = found == place.parent->visible().end() ? nullptr : found->second;
  }
  return place;
}

Result<std::shared_ptr<FakeDirectory>> FaultyFileSystem::FindDirectoryLocked(
    const std::string& path, const char* action) const {
  ASSIGN_OR_RETURN(const Place place, FindLocked(path, action));
  if (place.node == nullptr) return FailErrno(ENOENT, action, path);
  if (!place.node->is_directory) return FailErrno(ENOTDIR, action, path);
  return std::static_pointer_cast<FakeDirectory>(place.node);
}

// FileSystem.

Result<std::shared_ptr<FakeFile>> FaultyFileSystem::OpenOrCreateLocked(const std::string& path,
                                                                       FsCall kind, OpenMode mode) {
  Result<Place> place = FindLocked(path, NameOf(kind));
  const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kOpenOrCreate;
  const bool absent = place.has_value() && place->node == nullptr;
  RETURN_IF_ERROR(BeginLocked({kind, creates && absent ? Effect::kChanges : Effect::kReads, path}));
  if (!place.has_value()) return Fail(place.error());
  if (absent) {
    if (!creates) return FailErrno(ENOENT, NameOf(kind), path);
    auto file = NewFileLocked();
    place->parent->Set(NextNumberLocked(), place->name, file);
    return file;
  }
  if (mode == OpenMode::kCreate) return FailErrno(EEXIST, NameOf(kind), path);
  if (place->node->is_directory) return FailErrno(EISDIR, NameOf(kind), path);
  if (read_only_ && mode != OpenMode::kRead) return FailErrno(EROFS, NameOf(kind), path);
  return std::static_pointer_cast<FakeFile>(place->node);
}

Result<std::unique_ptr<File>> FaultyFileSystem::Open(const std::string& path, OpenMode mode) {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(auto file, OpenOrCreateLocked(path, FsCall::kOpen, mode));
  return std::make_unique<OpenFile>(*this, std::move(file), path, mode, epoch_);
}

Status FaultyFileSystem::WriteLocked(FakeFile& file, const std::string& path, std::uint64_t offset,
                                     ByteView data) {
  const auto write_part = [&]() REQUIRES_LOCK(mutex_) {
    const std::uint64_t sectors = random_.Below(data.size() / kFakeSectorBytes + 1);
    file.Write(NextNumberLocked(), offset, data.first(sectors * kFakeSectorBytes));
  };
  const bool was_halted = halted_;
  const Status status = BeginLocked({FsCall::kWrite, Effect::kChanges, path, offset, data.size()});
  if (!status.has_value()) {
    if (!was_halted && !read_only_) write_part();
    return status;
  }
  if (UsedBytesLocked() + file.NewBytes(offset, data.size()) > total_bytes_) {
    // What fits is written, as the kernel does; here it is what lies on pages already in use.
    const std::uint64_t to_page_end = kFakePageBytes - offset % kFakePageBytes;
    if (file.NewBytes(offset, 1) == 0 && to_page_end < data.size()) {
      file.Write(NextNumberLocked(), offset, data.first(to_page_end));
    }
    return FailErrno(ENOSPC, "write", path);
  }
  file.Write(NextNumberLocked(), offset, data);
  return {};
}

Status FaultyFileSystem::CreateDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kCreateDirectory, Effect::kChanges, path}));
  ASSIGN_OR_RETURN(const Place place, FindLocked(path, "create directory"));
  if (place.node != nullptr) return FailErrno(EEXIST, "create directory", path);
  place.parent->Set(NextNumberLocked(), place.name, NewDirectoryLocked());
  return {};
}

Status FaultyFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kSyncDirectory, Effect::kChanges, path}));
  ASSIGN_OR_RETURN(const auto directory, FindDirectoryLocked(path, "sync directory"));
  directory->Sync();
  return {};
}

Status FaultyFileSystem::RenameLocked(FsCall kind, const std::string& from, const std::string& to,
                                      Replace replace) {
  const std::string both = Concat(from, " to ", to);
  RETURN_IF_ERROR(BeginLocked({kind, Effect::kChanges, both}));
  ASSIGN_OR_RETURN(const Place source, FindLocked(from, "rename"));
  ASSIGN_OR_RETURN(const Place target, FindLocked(to, "rename"));
  if (source.node == nullptr) return FailErrno(ENOENT, "rename", both);
  if (target.node != nullptr) {
    if (replace == Replace::kNo) return FailErrno(EEXIST, "rename", both);
    if (target.node == source.node) return {};
    if (target.node->is_directory) return FailErrno(EISDIR, "rename", both);
    if (source.node->is_directory) return FailErrno(ENOTDIR, "rename", both);
  }
  source.parent->Move(NextNumberLocked(), source.name, target.parent, target.name);
  return {};
}

Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  return RenameLocked(FsCall::kRename, from, to, Replace::kYes);
}

Status FaultyFileSystem::RenameNoReplace(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  return RenameLocked(FsCall::kRenameNoReplace, from, to, Replace::kNo);
}

Status FaultyFileSystem::Link(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  const std::string both = Concat(from, " as ", to);
  RETURN_IF_ERROR(BeginLocked({FsCall::kLink, Effect::kChanges, both}));
  ASSIGN_OR_RETURN(const Place source, FindLocked(from, "link"));
  ASSIGN_OR_RETURN(const Place target, FindLocked(to, "link"));
  if (source.node == nullptr) return FailErrno(ENOENT, "link", both);
  if (target.node != nullptr) return FailErrno(EEXIST, "link", both);
  if (source.node->is_directory) return FailErrno(EOPNOTSUPP, "link", both);
  target.parent->Set(NextNumberLocked(), target.name, source.node);
  return {};
}

Status FaultyFileSystem::Remove(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kRemove, Effect::kChanges, path}));
  ASSIGN_OR_RETURN(const Place place, FindLocked(path, "remove"));
  if (place.node == nullptr) return FailErrno(ENOENT, "remove", path);
  if (place.node->is_directory) return FailErrno(EISDIR, "remove", path);
  place.parent->Unset(NextNumberLocked(), place.name);
  return {};
}

Status FaultyFileSystem::RemoveDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kRemoveDirectory, Effect::kChanges, path}));
  ASSIGN_OR_RETURN(const auto directory, FindDirectoryLocked(path, "remove directory"));
  ASSIGN_OR_RETURN(const Place place, FindLocked(path, "remove directory"));
  if (!directory->visible().empty()) return FailErrno(ENOTEMPTY, "remove directory", path);
  if (place.parent == nullptr) return FailErrno(EBUSY, "remove directory", path);
  place.parent->Unset(NextNumberLocked(), place.name);
  return {};
}

Result<std::vector<std::string>> FaultyFileSystem::List(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kList, Effect::kReads, path}));
  ASSIGN_OR_RETURN(const auto directory, FindDirectoryLocked(path, "list"));
  std::vector<std::string> names;
  for (const auto& [name, node] : directory->visible()) names.push_back(name);
  return names;
}

Result<FileInfo> FaultyFileSystem::Stat(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kStat, Effect::kReads, path}));
  ASSIGN_OR_RETURN(const Place place, FindLocked(path, "inspect"));
  if (place.node == nullptr) return FailErrno(ENOENT, "inspect", path);
  const FakeNode& node = *place.node;
  const std::uint64_t size =
      node.is_directory ? 0 : static_cast<const FakeFile&>(node).visible().size();
  return FileInfo{size, node.is_directory, false, node.mode, node.owner_uid, size};
}

Result<SpaceInfo> FaultyFileSystem::Space(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(BeginLocked({FsCall::kSpace, Effect::kReads, path}));
  const std::uint64_t used = UsedBytesLocked();
  return SpaceInfo{used > total_bytes_ ? 0 : total_bytes_ - used, total_bytes_};
}

Result<std::unique_ptr<FileLock>> FaultyFileSystem::Lock(const std::string& path) {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(auto file, OpenOrCreateLocked(path, FsCall::kLock, OpenMode::kOpenOrCreate));
  if (file->locked) {
    return Fail(ErrorCode::kConflict, Concat(path, " is locked by another process"));
  }
  file->locked = true;
  return std::make_unique<HeldLock>(*this, std::move(file), epoch_);
}

}  // namespace coffer
