// The file system as coffer uses it: the calls whose failure and durability matter, nothing more.
//
// Durability: data of a file is durable after SyncData; a name (create, rename, link, unlink) after
// SyncDirectory of the directory holding it. Until then a power cut may keep or lose each one
// separately. FaultyFileSystem in tests/support does exactly that.
// All paths are absolute. Files and directories are made 0600 and 0700. Only regular files open,
// and never through a symlink in the last place (O_NOFOLLOW|O_CLOEXEC); directories may be reached
// through symlinks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer {

struct FileInfo {
  std::uint64_t size;
  bool is_directory;
  bool is_symlink;
  std::uint32_t mode;  // permission bits only
  std::uint32_t owner_uid;
  std::uint64_t allocated_bytes = 0;  // on disk: less than `size` where it has holes
  std::int64_t modified_unix = 0;     // by the clock of whoever holds the file system
};

/// An open file. Positioned calls may run at once from many threads.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to out.size() bytes; returns the count, less only at the end of the file.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) = 0;
  /// Writes all of `data` or fails; short writes and EINTR are gone on with.
  virtual Status WriteAt(std::uint64_t offset, ByteView data) = 0;
  /// fdatasync. After an error nothing written since the last success may be assumed to be stored,
  /// and no later success of this file says anything about it (fsyncgate).
  virtual Status SyncData() = 0;
  virtual Status Truncate(std::uint64_t size) = 0;
  /// Reserves [0, size) on disk and makes the file that long (fallocate); kUnsupported where the
  /// file system cannot.
  virtual Status Allocate(std::uint64_t size) = 0;
  /// Gives the disk space of [offset, offset+length) back (a hole: it reads as zeros); the size
  /// stays. kUnsupported where the file system cannot.
  virtual Status Discard(std::uint64_t offset, std::uint64_t length) = 0;
  virtual Result<std::uint64_t> Size() = 0;
  /// Of the file that is open, whatever its name means by now: what a check of owner and mode
  /// needs.
  virtual Result<FileInfo> Info() = 0;
};

/// An flock held while the object lives.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct SpaceInfo {
  std::uint64_t free_bytes;  // to this user
  std::uint64_t total_bytes;
};

class FileSystem {
 public:
  enum class OpenMode {
    kRead,       // must exist
    kReadWrite,  // must exist
    kCreate,     // must not exist; kAlreadyExists otherwise
    kOpenOrCreate,
  };

  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual Status CreateDirectory(const std::string& path) = 0;  // kAlreadyExists if there
  /// Success, told once, where a file system has no such call. kUnsupported if this user may not
  /// read the directory, and so cannot have made names in it that he could find again.
  virtual Status SyncDirectory(const std::string& path) = 0;
  /// Replaces `to` atomically.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  /// Gives `from` a second name; kAlreadyExists if `to` is there, kUnsupported without hard links.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  /// renameat2(RENAME_NOREPLACE); kAlreadyExists, kUnsupported as above.
  virtual Status RenameNoReplace(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;           // a file or a symlink
  virtual Status RemoveDirectory(const std::string& path) = 0;  // an empty one
  /// Names in a directory, without "." and "..", sorted by byte value.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  /// Of the path itself, not of what a symlink points to.
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  virtual Result<SpaceInfo> Space(const std::string& path) = 0;
  /// Takes an exclusive lock on a file (created if missing) without waiting; kConflict if held.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

/// The real one; thread-safe.
[[nodiscard]] std::unique_ptr<FileSystem> NewPosixFileSystem();

/// Makes every missing directory of `path`, each synced into its parent. The deepest one that was
/// there is synced too: a run that was killed may have made it and not come further.
Status CreateDirectories(FileSystem& fs, const std::string& path);

/// Reads a whole file of at most `size_max` bytes; kInvalidArgument if longer.
Result<Bytes> ReadWholeFile(FileSystem& fs, const std::string& path, std::uint64_t size_max);

/// Removes `path` and, if it is a directory, everything below it; nothing is well if nothing is
/// there. Goes on past what can't be removed and returns the first error. Not durable: what a power
/// cut brings back was to be removed, and is found again.
Status RemoveTree(FileSystem& fs, const std::string& path);

/// Replaces `path` so that after a power cut it holds the old bytes or the new: temporary file in
/// the same directory (`path`.tmp; an older one is dropped), SyncData, Rename, SyncDirectory.
/// Durable on success. Callers of one path take turns.
Status ReplaceFile(FileSystem& fs, const std::string& path, ByteView data);

/// Reads what ReplaceFile has written, and makes it durable: a run that was killed between rename
/// and sync has left what the next power cut takes back. For whatever is acted upon, that is, where
/// others can see it.
Result<Bytes> ReadReplacedFile(FileSystem& fs, const std::string& path, std::uint64_t size_max);

}  // namespace coffer
