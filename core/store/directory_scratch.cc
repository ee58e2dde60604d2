#include "core/store/directory_scratch.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/base/directory_tools.h"
#include "core/base/log.h"
#include "core/store/directory_guard.h"

namespace coffer::store {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::string_view kLockSuffix = "lock";
constexpr int kTakeIdAttemptsMax = 3;

}  // namespace

std::string ScratchIdOf(const std::string& name) {
  constexpr std::size_t kDigits = kIdBytes * 2;
  std::array<std::byte, kIdBytes> id{};
  if (name.size() < kDigits + 2 || name[kDigits] != '.') return "";
  if (!FromHex(std::string_view(name).substr(0, kDigits), id)) return "";
  const std::string_view rest = std::string_view(name).substr(kDigits + 1);
  const bool number = std::ranges::all_of(rest, [](char c) { return c >= '0' && c <= '9'; });
  return number || rest == kLockSuffix ? name.substr(0, kDigits) : "";
}

bool IsScratchLock(const std::string& name) {
  return !ScratchIdOf(name).empty() && name.ends_with(kLockSuffix);
}

DirectoryScratch::DirectoryScratch(FileSystem& fs, Random& random, const std::string& root)
    : fs_(fs), random_(random), root_(root), directory_(Concat(root, "/", kScratchDirectory)) {}

DirectoryScratch::~DirectoryScratch() {
  const MutexLock lock(mutex_);
  if (id_.empty()) return;
  Discard(PathOf(Concat(id_, ".", kLockSuffix)));
  (void)fs_.RemoveDirectory(directory_);  // somebody else's files keep it, as they should
}

Status DirectoryScratch::Prepare() {
  const MutexLock lock(mutex_);
  if (!id_.empty()) return {};
  RETURN_IF_ERROR(TakeId());
  if (!cleaned_) RemoveLeftovers();
  cleaned_ = true;
  return {};
}

Status DirectoryScratch::TakeId() {
  Status taken;
  for (int attempt = 0; attempt < kTakeIdAttemptsMax; ++attempt) {
    const Status made = CreateSharedDirectory(fs_, directory_, &root_);
    if (!made.has_value() && made.error().code != ErrorCode::kAlreadyExists) return made;
    ASSIGN_OR_RETURN(const FileInfo info, fs_.Stat(directory_));
    if (!info.is_directory) {
      return Fail(ErrorCode::kCorruption, Concat(directory_, " is not a directory"));
    }
    std::array<std::byte, kIdBytes> id{};
    random_.Fill(id);
    const std::string lock_path = PathOf(Concat(ToHex(id), ".", kLockSuffix));
    Result<std::unique_ptr<FileLock>> held = fs_.Lock(lock_path);
    if (held.has_value()) {
      // Someone's clean-up may have had the lock between its creation and our taking it.
      const Result<FileInfo> still_there = fs_.Stat(lock_path);
      if (still_there.has_value()) {
        lock_ = std::move(*held);
        id_ = ToHex(id);
        return {};
      }
      held = Fail(still_there.error());
    }
    taken = Fail(held.error());
    const ErrorCode code = held.error().code;
    if (code != ErrorCode::kNotFound && code != ErrorCode::kConflict) {
      // No flock on this file system. Then no clean-up can take one either; and if the directory
      // does not take files at all, the first Write says so.
      id_ = ToHex(id);
      return {};
    }
  }
  return taken;
}

void DirectoryScratch::RemoveLeftovers() {
  const Result<std::vector<std::string>> names = fs_.List(directory_);
  if (!names.has_value()) return;
  std::set<std::string> ids;
  for (const std::string& name : *names) ids.insert(ScratchIdOf(name));
  for (const std::string& id : ids) {
    if (id.empty() || id == id_) continue;
    const std::string lock_path = PathOf(Concat(id, ".", kLockSuffix));
    const Result<std::unique_ptr<FileLock>> owner_gone = fs_.Lock(lock_path);
    if (!owner_gone.has_value()) continue;
    RemoveFilesOf(id, *names);
    Discard(lock_path);
  }
}

void DirectoryScratch::RemoveFilesOf(const std::string& id, const std::vector<std::string>& names) {
  int removed = 0;
  for (const std::string& name : names) {
    if (ScratchIdOf(name) != id || name.ends_with(kLockSuffix)) continue;
    Discard(PathOf(name));
    ++removed;
  }
  if (removed > 0) LOG(kInfo, "removed ", removed, " unfinished files of a crash in ", directory_);
}

Result<std::string> DirectoryScratch::Write(ByteView data) {
  RETURN_IF_ERROR(Prepare());
  const std::string path = UnusedPath();
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, CreateShared(fs_, path, root_));
  Status written = file->WriteAt(0, data);
  if (written.has_value()) written = file->SyncData();
  if (!written.has_value()) {
    Discard(path);
    return Fail(std::move(written).error());
  }
  return path;
}

std::string DirectoryScratch::UnusedPath() {
  const MutexLock lock(mutex_);
  return PathOf(Concat(id_, ".", next_++));
}

void DirectoryScratch::Discard(const std::string& path) {
  const Status removed = fs_.Remove(path);
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) {
    LOG(kDebug, "left behind: ", removed.error().message);
  }
}

void DirectoryScratch::Revalidate() {
  const MutexLock lock(mutex_);
  if (id_.empty()) return;
  const std::string proof = lock_ == nullptr ? directory_ : PathOf(Concat(id_, ".", kLockSuffix));
  const Result<FileInfo> there = fs_.Stat(proof);
  if (there.has_value() || there.error().code != ErrorCode::kNotFound) return;
  lock_.reset();
  id_.clear();
}

std::string DirectoryScratch::PathOf(const std::string& name) const {
  return Concat(directory_, "/", name);
}

}  // namespace coffer::store
