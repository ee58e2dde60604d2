// Tells a directory that holds a vault from one that is empty, holds something else, holds half a
// vault, or is the empty mount point of a disk that is not there. For DirectoryStore.
#pragma once

#include <optional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/result.h"

namespace coffer::store {

/// Where DirectoryStore writes objects before they have their names. No object name starts with a
/// dot.
inline constexpr char kScratchDirectory[] = ".coffer-tmp";

inline constexpr char kMountHint[] = "mount the disk or share that holds the vault";
[[nodiscard]] std::string LostMountMessage(const std::string& path);

/// Whether `path` can be a store's at all; kInvalidArgument.
Status CheckStorePath(const std::string& path);
/// The directory that `path` is, or points to; kNotFound, kInvalidArgument.
Result<std::string> FindStoreDirectory(FileSystem& fs, const std::string& path);
/// Makes the last part of `path` and syncs it into its parent, which must exist.
Status MakeStoreDirectory(FileSystem& fs, const std::string& path);

/// The bytes of the marker object, nullopt if there is none.
Result<std::optional<Bytes>> ReadMarker(FileSystem& fs, const std::string& path);

enum class DirectoryContent {
  kNothing,    // empty, but for what a file system or an init that was broken off leaves behind
  kHalfVault,  // parts of a vault
  kOther,
};
/// Of a directory without a marker.
Result<DirectoryContent> ExamineDirectory(FileSystem& fs, const std::string& path);
struct StoreDirectory {
  std::string path;             // what the given one is, or points to
  std::optional<Bytes> marker;  // none: there is no vault yet
};
/// A directory that holds a vault. Changes nothing. kNotFound if it or the marker is missing,
/// kCorruption for half a vault.
Result<StoreDirectory> FindVaultDirectory(FileSystem& fs, Random& random, const std::string& given);
/// One that holds a vault, or is empty, or is missing in a directory that exists: then it is made.
/// kAlreadyExists if it holds something else, kCorruption for half a vault.
Result<StoreDirectory> FindDirectoryForInit(FileSystem& fs, Random& random,
                                            const std::string& given);

/// Why FindDirectoryForInit would fail, as far as that shows without making anything.
Status CheckDirectoryForInit(FileSystem& fs, const std::string& path);

/// Of parts that are older than an init takes, by the store's own clock, it may be said that they
/// can go; else one may be under way.
[[nodiscard]] Error HalfVaultError(FileSystem& fs, Random& random, const std::string& path);

}  // namespace coffer::store
