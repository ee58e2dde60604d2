#include "core/store/directory_guard.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/directory_tools.h"
#include "core/base/log.h"
#include "core/format/chain_name.h"

namespace coffer::store {
namespace {

constexpr std::uint64_t kMarkerSizeMax = 4096;
constexpr char kMarkerHint[] = "bring the file back from a copy of the store; nothing was changed";
constexpr std::array<std::string_view, 4> kVaultParts = {"keys", "catalog", "heads", "packs"};
constexpr std::string_view kProbeDirectory = "probe";

/// A probe (probe.h) leaves its directory behind, and its object if it was killed.
Result<bool> HoldsProbesOnly(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (!info.is_directory) return false;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(path));
  std::array<std::byte, 16> id{};
  for (const std::string& name : names) {
    if (!FromHex(name, id)) return false;
  }
  return true;
}

/// Directories alone are what an init that took its objects back leaves: they hold nothing to lose.
Result<bool> HoldsFiles(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (!info.is_directory) return true;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(path));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const bool holds, HoldsFiles(fs, Concat(path, "/", name)));
    if (holds) return true;
  }
  return false;
}

/// No init takes longer between two of its objects; a password hash and a slow share included.
constexpr std::int64_t kInitTakesSeconds = 600;

/// When the newest file below `path` was written, by the store's clock; 0: there is none.
std::int64_t NewestIn(FileSystem& fs, const std::string& path) {
  const Result<FileInfo> info = fs.Stat(path);
  if (!info.has_value()) return 0;
  if (!info->is_directory) return info->modified_unix;
  std::int64_t newest = 0;
  const auto names = fs.List(path);
  if (!names.has_value()) return 0;
  for (const std::string& name : *names) {
    newest = std::max(newest, NewestIn(fs, Concat(path, "/", name)));
  }
  return newest;
}

/// What the time is where the store is, by a file that is made and removed among those that an init
/// has left; this machine's clock may be another. nullopt where none can be made.
std::optional<std::int64_t> ClockOfStore(FileSystem& fs, Random& random, const std::string& path) {
  std::array<std::byte, 16> id{};
  random.Fill(id);
  const std::string file = Concat(path, "/", kScratchDirectory, "/", ToHex(id), ".0");
  {
    const auto made = fs.Open(file, FileSystem::OpenMode::kCreate);
    if (!made.has_value()) return std::nullopt;
  }
  const Result<FileInfo> info = fs.Stat(file);
  (void)fs.Remove(file);
  if (!info.has_value()) return std::nullopt;
  return info->modified_unix;
}

/// What file systems and desktops leave in a directory that a person takes for empty.
bool IsLitterOfASystem(std::string_view name) {
  constexpr std::array<std::string_view, 10> kNames = {
      "lost+found",   ".DS_Store", ".Spotlight-V100", ".Trashes",   ".fseventsd",
      "$RECYCLE.BIN", "Thumbs.db", "desktop.ini",     ".directory", "System Volume Information"};
  constexpr std::string_view kTrashOfUser = ".Trash-";  // and the user's number
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.starts_with(kTrashOfUser);
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

tl::unexpected<Error> FailNoParent(const std::string& path, const std::string& parent) {
  return Fail(ErrorCode::kNotFound, Concat("store at ", path, ": ", parent, " does not exist"),
              "only the last directory of a store's path is made; make the others first");
}

tl::unexpected<Error> FailOther(const std::string& path) {
  return Fail(ErrorCode::kAlreadyExists,
              Concat("store at ", path, ": the directory is not empty and holds no vault"),
              "give an empty directory, or a name that does not exist yet");
}

bool IsVaultPart(std::string_view name) {
  return std::find(kVaultParts.begin(), kVaultParts.end(), name) != kVaultParts.end();
}

}  // namespace

std::string LostMountMessage(const std::string& path) {
  return Concat("store at ", path, " has lost its mount or is not a coffer vault: its object '",
                format::kMarkerName, "' is missing");
}

Status CheckStorePath(const std::string& path) {
  if (path.size() >= 2 && path.front() == '/') return {};
  return Fail(ErrorCode::kInvalidArgument, Concat("'", path, "' cannot be a store"),
              "give the path of a directory of its own");
}

Result<std::string> FindStoreDirectory(FileSystem& fs, const std::string& path) {
  Result<FileInfo> info = fs.Stat(path);
  std::string found = path;
  if (info.has_value() && info->is_symlink) {
    Result<std::string> resolved = ResolvePath(fs, path);
    if (!resolved.has_value() && resolved.error().code == ErrorCode::kNotFound) {
      // No kNotFound: nothing can be made here.
      return Fail(ErrorCode::kUnavailable,
                  Concat("store at ", path, " is a symbolic link to what is not there"),
                  kMountHint);
    }
    if (!resolved.has_value()) return Fail(resolved.error().Within(Concat("store at ", path)));
    found = std::move(*resolved);
    info = fs.Stat(found);
  }
  if (!info.has_value()) {
    if (info.error().code != ErrorCode::kNotFound) {
      return Fail(info.error().Within(Concat("store at ", path)));
    }
    return Fail(ErrorCode::kNotFound, Concat("store at ", path, ": there is no such directory"),
                kMountHint);
  }
  if (!info->is_directory) {
    return Fail(ErrorCode::kInvalidArgument, Concat("store at ", path, " is not a directory"));
  }
  return found;
}

Status MakeStoreDirectory(FileSystem& fs, const std::string& path) {
  const std::string parent = ParentOf(path);
  const Status made = CreateSharedDirectory(fs, path, nullptr);
  if (!made.has_value() && made.error().code == ErrorCode::kNotFound) {
    return FailNoParent(path, parent);
  }
  if (!made.has_value() && made.error().code != ErrorCode::kAlreadyExists) {
    return Fail(made.error().Within(Concat("store at ", path)));
  }
  const Status synced = fs.SyncDirectory(parent);
  if (!synced.has_value()) return Fail(synced.error().Within(Concat("store at ", path)));
  return {};
}

Result<std::optional<Bytes>> ReadMarker(FileSystem& fs, const std::string& path) {
  const std::string marker_path = Concat(path, "/", format::kMarkerName);
  Result<Bytes> marker = ReadWholeFile(fs, marker_path, kMarkerSizeMax);
  if (!marker.has_value()) {
    if (marker.error().code == ErrorCode::kNotFound) return std::optional<Bytes>();
    Error error = marker.error().Within(Concat("store at ", path));
    if (error.code != ErrorCode::kInvalidArgument) return Fail(std::move(error));
    // Too long, or not even a file.
    return Fail(ErrorCode::kCorruption, error.message, kMarkerHint);
  }
  if (marker->empty()) {
    return Fail(ErrorCode::kCorruption, Concat("store at ", path, ": ", marker_path, " is empty"),
                kMarkerHint);
  }
  return std::optional<Bytes>(std::move(*marker));
}

Result<DirectoryContent> ExamineDirectory(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(path));
  DirectoryContent content = DirectoryContent::kNothing;
  for (const std::string& name : names) {
    if (IsVaultPart(name)) {
      ASSIGN_OR_RETURN(const bool holds_files, HoldsFiles(fs, Concat(path, "/", name)));
      if (holds_files) return DirectoryContent::kHalfVault;
      continue;
    }
    if (name == kScratchDirectory || IsLitterOfASystem(name)) continue;
    if (name == kProbeDirectory) {
      ASSIGN_OR_RETURN(const bool probes_only, HoldsProbesOnly(fs, Concat(path, "/", name)));
      if (probes_only) continue;
    }
    content = DirectoryContent::kOther;
  }
  return content;
}

Result<StoreDirectory> FindVaultDirectory(FileSystem& fs, Random& random,
                                          const std::string& given) {
  RETURN_IF_ERROR(CheckStorePath(given));
  ASSIGN_OR_RETURN(const std::string path, FindStoreDirectory(fs, given));
  ASSIGN_OR_RETURN(std::optional<Bytes> marker, ReadMarker(fs, path));
  if (marker.has_value()) return StoreDirectory{path, std::move(marker)};
  ASSIGN_OR_RETURN(const DirectoryContent content, ExamineDirectory(fs, path));
  if (content == DirectoryContent::kHalfVault) return Fail(HalfVaultError(fs, random, path));
  return Fail(Error{ErrorCode::kNotFound, LostMountMessage(path), kMountHint});
}

Result<StoreDirectory> FindDirectoryForInit(FileSystem& fs, Random& random,
                                            const std::string& given) {
  RETURN_IF_ERROR(CheckStorePath(given));
  Result<std::string> found = FindStoreDirectory(fs, given);
  if (!found.has_value() && found.error().code == ErrorCode::kNotFound) {
    RETURN_IF_ERROR(MakeStoreDirectory(fs, given));
    found = given;
  }
  if (!found.has_value()) return Fail(found.error());
  const std::string path = std::move(*found);
  ASSIGN_OR_RETURN(std::optional<Bytes> marker, ReadMarker(fs, path));
  if (marker.has_value()) return StoreDirectory{path, std::move(marker)};
  ASSIGN_OR_RETURN(const DirectoryContent content, ExamineDirectory(fs, path));
  if (content == DirectoryContent::kHalfVault) return Fail(HalfVaultError(fs, random, path));
  if (content == DirectoryContent::kOther) return FailOther(path);
  return StoreDirectory{path, std::nullopt};
}

Status CheckDirectoryForInit(FileSystem& fs, const std::string& path) {
  const Result<std::string> there = FindStoreDirectory(fs, path);
  if (there.has_value()) {
    ASSIGN_OR_RETURN(const DirectoryContent content, ExamineDirectory(fs, *there));
    if (content != DirectoryContent::kOther) return {};  // of half a vault Open tells
    return FailOther(path);
  }
  if (there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  const std::string parent = ParentOf(path);
  const Result<FileInfo> info = fs.Stat(parent);
  if (info.has_value() || info.error().code != ErrorCode::kNotFound) return {};
  return FailNoParent(path, parent);
}

Error HalfVaultError(FileSystem& fs, Random& random, const std::string& path) {
  const std::string half =
      Concat("half a vault: parts of one, but not its object '", format::kMarkerName, "'");
  const std::optional<std::int64_t> now = ClockOfStore(fs, random, path);
  std::int64_t newest = 0;
  for (const std::string_view part : kVaultParts) {
    newest = std::max(newest, NewestIn(fs, Concat(path, "/", part)));
  }
  if (now.has_value() && newest > 0 && *now - newest > kInitTakesSeconds) {
    return Error{ErrorCode::kCorruption, Concat("store at ", path, " holds ", half),
                 "an init that was broken off leaves this: if no other vault was ever here, remove "
                 "the directory and run init again; otherwise bring the marker back from a copy"};
  }
  return Error{ErrorCode::kCorruption,
               Concat("store at ", path, ": an init seems to be under way; so far it holds ", half),
               "wait until that init is done, then run init again: it adds the volume; where none "
               "runs any more, ten minutes later init says what can be removed; of a vault that "
               "has lost its marker, bring that back from a copy"};
}

}  // namespace coffer::store
