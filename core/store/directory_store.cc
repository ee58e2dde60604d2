#include "core/store/directory_store.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base/directory_tools.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_walk.h"

namespace coffer::store {
namespace {

constexpr int kCreateAttemptsMax = 3;

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// REQUIRES: the range is inside the file, so `length` is no lie.
Result<Bytes> ReadObject(File& file, const std::string& name, std::uint64_t offset,
                         std::uint64_t length) {
  Bytes bytes(length);
  ASSIGN_OR_RETURN(const std::size_t got, file.ReadAt(offset, bytes));
  if (got == length) return bytes;
  return Fail(ErrorCode::kCorruption, Concat("object ", name, " became shorter while it was read"));
}

constexpr char kForeignHint[] = "see what put it there, and move it away";

bool Is(const Status& status, ErrorCode code) {
  return !status.has_value() && status.error().code == code;
}

/// Whether an error of link or rename may mean that the file system has no such call, rather than
/// something about this file or this name.
bool MayBeOfTheWay(const Error& error) {
  return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kIoError ||
         error.code == ErrorCode::kInvalidArgument;
}

}  // namespace

DirectoryStore::DirectoryStore(FileSystem& fs, Random& random, const std::string& path)
    : fs_(fs), root_(path), scratch_(fs, random, path) {}

Result<std::unique_ptr<DirectoryStore>> DirectoryStore::Open(FileSystem& fs, Random& random,
                                                             const std::string& given) {
  ASSIGN_OR_RETURN(const StoreDirectory found, FindVaultDirectory(fs, random, given));
  std::unique_ptr<DirectoryStore> store(new DirectoryStore(fs, random, found.path));
  store->SetMarker(*found.marker);
  return store;
}

Result<std::unique_ptr<DirectoryStore>> DirectoryStore::OpenForInit(FileSystem& fs, Random& random,
                                                                    const std::string& given) {
  ASSIGN_OR_RETURN(const StoreDirectory found, FindDirectoryForInit(fs, random, given));
  std::unique_ptr<DirectoryStore> store(new DirectoryStore(fs, random, found.path));
  if (found.marker.has_value()) {
    store->SetMarker(*found.marker);
    return store;
  }
  // Said now rather than after the password was asked for.
  const Status writable = store->scratch_.Prepare();
  if (!writable.has_value()) {
    return Fail(writable.error().Within(Concat("store at ", found.path, " cannot be written to")));
  }
  return store;
}

Status DirectoryStore::Create(const RequestContext& /*context*/, const std::string& name,
                              ByteView data, ObjectClass /*object_class*/) {
  RETURN_IF_ERROR(CheckObjectName(name));
  Status created;
  for (int attempt = 0; attempt < kCreateAttemptsMax; ++attempt) {
    created = CreateOnce(name, data);
    if (!Is(created, ErrorCode::kNotFound)) break;
    // A directory, or the unfinished file, went away under our hands. Whoever removed it: rely on
    // nothing seen before.
    scratch_.Revalidate();
    const MutexLock lock(mutex_);
    durable_directories_.clear();
  }
  if (created.has_value()) {
    if (name == format::kMarkerName) SetMarker(data);
    return {};
  }
  Error error = InStore(created.error(), Concat("cannot create ", name));
  if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kUnavailable;
  return Fail(std::move(error));
}

Status DirectoryStore::CreateOnce(const std::string& name, ByteView data) {
  RETURN_IF_ERROR(CheckMarker());
  RETURN_IF_ERROR(EnsureDirectoriesOf(name));
  ASSIGN_OR_RETURN(const std::string temporary, scratch_.Write(data));
  COFFER_FAILPOINT("store-written");
  Status published = Publish(temporary, name);
  COFFER_FAILPOINT("store-linked");
  const bool exists = Is(published, ErrorCode::kAlreadyExists);
  if (!published.has_value()) scratch_.Discard(temporary);
  if (!published.has_value() && !exists) return published;
  if (exists) RETURN_IF_ERROR(CheckNoDirectoryAt(PathOf(name)));
  // Also when it exists: another writer may be just before its own sync, and what is said to exist
  // must still do so after a power cut.
  const Status synced = fs_.SyncDirectory(ParentOf(PathOf(name)));
  if (synced.has_value()) return published;
  return Fail(ErrorCode::kUnavailable,
              Concat("it is there, but perhaps not after a power cut: ", synced.error().message));
}

Status DirectoryStore::EnsureDirectoriesOf(const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    RETURN_IF_ERROR(EnsureDirectory(PathOf(name.substr(0, slash))));
  }
  return {};
}

Status DirectoryStore::EnsureDirectory(const std::string& path) {
  Result<FileInfo> info = fs_.Stat(path);
  if (!info.has_value() && info.error().code == ErrorCode::kNotFound) {
    const Status made = CreateSharedDirectory(fs_, path, &root_);
    if (!made.has_value() && !Is(made, ErrorCode::kAlreadyExists)) return made;
    info = fs_.Stat(path);
  }
  if (!info.has_value()) return Fail(info.error());
  if (!info->is_directory) {
    return Fail(ErrorCode::kCorruption,
                Concat(path, info->is_symlink ? " is a symbolic link; stores hold none"
                                              : " is a file where a directory belongs"),
                kForeignHint);
  }
  {
    const MutexLock lock(mutex_);
    if (durable_directories_.contains(path)) return {};
  }
  // Also when somebody else made it: he may not have come to syncing it.
  RETURN_IF_ERROR(fs_.SyncDirectory(ParentOf(path)));
  const MutexLock lock(mutex_);
  durable_directories_.insert(path);
  return {};
}

/// What stands in the way of an object must be one.
Status DirectoryStore::CheckNoDirectoryAt(const std::string& path) {
  const Result<FileInfo> info = fs_.Stat(path);
  if (!info.has_value() || !info->is_directory) return {};
  return Fail(ErrorCode::kCorruption, Concat(path, " is a directory where an object belongs"),
              kForeignHint);
}

Status DirectoryStore::Publish(const std::string& temporary, const std::string& name) {
  Status published = PublishBy(publishing_, temporary, PathOf(name));
  if (published.has_value() || !MayBeOfTheWay(published.error())) return published;
  ASSIGN_OR_RETURN(const Publishing found, FindPublishing(published.error()));
  if (found == publishing_) return published;
  publishing_ = found;
  if (found == Publishing::kLookThenRename) {
    LOG(kWarning, "store at ", root_,
        " is weak: its file system has neither hard links nor rename without replacing");
  }
  return PublishBy(found, temporary, PathOf(name));
}

Status DirectoryStore::PublishBy(Publishing way, const std::string& temporary,
                                 const std::string& path) {
  switch (way) {
    case Publishing::kLink: {
      Status linked = fs_.Link(temporary, path);
      if (linked.has_value()) scratch_.Discard(temporary);
      if (linked.has_value()) proven_strong_ = true;
      return linked;
    }
    case Publishing::kRenameNoReplace: {
      Status renamed = fs_.RenameNoReplace(temporary, path);
      if (renamed.has_value()) proven_strong_ = true;
      return renamed;
    }
    case Publishing::kLookThenRename:
      break;
  }
  return LookThenRename(temporary, path);
}

/// Tries the ways after the one in use on a file that nobody needs: file systems say in many words
/// that they lack one (EPERM, EIO, EINVAL), and a disk that is broken says the same. If none works
/// it is the disk, and `failure` stands.
Result<DirectoryStore::Publishing> DirectoryStore::FindPublishing(const Error& failure) {
  for (const Publishing way :
       {Publishing::kLink, Publishing::kRenameNoReplace, Publishing::kLookThenRename}) {
    // A store that has refused a taken name, or could have, has not lost that way for good.
    if (way == Publishing::kLookThenRename && proven_strong_) break;
    ASSIGN_OR_RETURN(const std::string from, scratch_.Write(AsBytes("trial")));
    const std::string to = scratch_.UnusedPath();
    const Status published = PublishBy(way, from, to);
    scratch_.Discard(from);
    scratch_.Discard(to);
    if (published.has_value()) return way;
  }
  return Fail(failure);
}

Status DirectoryStore::LookThenRename(const std::string& temporary, const std::string& path) {
  const MutexLock lock(look_then_rename_mutex_);
  const Result<FileInfo> there = fs_.Stat(path);
  if (there.has_value()) return Fail(ErrorCode::kAlreadyExists, Concat(path, " exists already"));
  if (there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  return fs_.Rename(temporary, path);
}

Result<Bytes> DirectoryStore::Get(const RequestContext& /*context*/, const std::string& name,
                                  std::uint64_t size_max) {
  std::uint64_t size = 0;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, OpenObject(name, &size));
  if (size > size_max) {
    return Fail(ErrorCode::kCorruption, Concat("store at ", root_, ": object ", name, " holds ",
                                               size, " bytes, more than ", size_max));
  }
  return ReadObject(*file, name, 0, size);
}

Result<Bytes> DirectoryStore::GetRange(const RequestContext& /*context*/, const std::string& name,
                                       std::uint64_t offset, std::uint64_t length) {
  std::uint64_t size = 0;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, OpenObject(name, &size));
  ASSIGN_OR_RETURN(const std::uint64_t there, ClipObjectRange(name, size, offset, length));
  return ReadObject(*file, name, offset, there);
}

Result<std::unique_ptr<File>> DirectoryStore::OpenObject(const std::string& name,
                                                         std::uint64_t* size) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const Result<FileInfo> info = StatObject(fs_, root_, name);
  if (!info.has_value()) return FailMissing(info.error());
  Result<std::unique_ptr<File>> file = fs_.Open(PathOf(name), FileSystem::OpenMode::kRead);
  if (!file.has_value()) {
    Error error = file.error();
    // A FIFO, a device: nothing that a store holds.
    if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kCorruption;
    return FailMissing(std::move(error));
  }
  ASSIGN_OR_RETURN(*size, (*file)->Size());
  return file;
}

/// One that says which store it speaks of does so once.
Error DirectoryStore::InStore(const Error& error, const std::string& deed) const {
  const std::string store = Concat("store at ", root_);
  return error.message.starts_with(store) ? error : error.Within(Concat(store, ": ", deed));
}

tl::unexpected<Error> DirectoryStore::FailMissing(Error missing) const {
  if (missing.code == ErrorCode::kNotFound) {
    const Status guard = CheckMarker();
    if (!guard.has_value()) return Fail(guard.error());
  }
  return Fail(missing.Within(Concat("store at ", root_)));
}

Result<ListPage> DirectoryStore::List(const RequestContext& /*context*/, const std::string& prefix,
                                      const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  RETURN_IF_ERROR(CheckMarker());
  return ListDirectoryTree(fs_, root_, prefix, start_after, limit);
}

Status DirectoryStore::Delete(const RequestContext& /*context*/, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  RETURN_IF_ERROR(CheckMarker());
  const Result<FileInfo> info = StatObject(fs_, root_, name);
  if (!info.has_value()) return FailMissing(info.error());
  Status deleted = fs_.Remove(PathOf(name));
  if (deleted.has_value() && name == format::kMarkerName) SetMarker({});
  if (deleted.has_value()) deleted = fs_.SyncDirectory(ParentOf(PathOf(name)));
  if (deleted.has_value()) return {};
  return Fail(InStore(deleted.error(), Concat("cannot delete ", name)));
}

StoreCapabilities DirectoryStore::capabilities() const {
  const bool weak = publishing_ == Publishing::kLookThenRename;
  return {.strength = weak ? StoreStrength::kWeak : StoreStrength::kStrong};
}

Status DirectoryStore::CheckMarker() const {
  Bytes expected;
  {
    const MutexLock lock(mutex_);
    if (marker_.empty()) return {};
    expected = marker_;
  }
  ASSIGN_OR_RETURN(const std::optional<Bytes> marker, ReadMarker(fs_, root_));
  if (!marker.has_value()) {
    return Fail(ErrorCode::kUnavailable, LostMountMessage(root_), kMountHint);
  }
  if (*marker != expected) {
    return Fail(ErrorCode::kUnavailable,
                Concat("store at ", root_, " holds another vault than when it was opened"),
                kMountHint);
  }
  return {};
}

void DirectoryStore::SetMarker(ByteView bytes) {
  const MutexLock lock(mutex_);
  marker_ = ToBytes(bytes);
}

std::string DirectoryStore::PathOf(const std::string& name) const {
  return Concat(root_, "/", name);
}

}  // namespace coffer::store
