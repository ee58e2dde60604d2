// DirectoryScratch: where a directory store writes an object before it gives it its name: a hidden
// directory inside the store, so that link and rename stay on one file system.
//
// A crash leaves files here, and another live process may be writing here, on this machine or, with
// a shared file system, on another. So each instance takes a random id, holds an flock on
// "<id>.lock" while it lives, and names its files "<id>.<n>". At its first use an instance removes
// the files of every id whose lock it can take: their owner is gone. Names of any other shape stay.
// Where flock does not reach (another machine) a live file may be removed; its writer finds it
// missing when it wants to name it, still has the bytes, and writes them again. An instance cleans
// up once, or two that start anew because of each other would never end.
//
// Nothing is made before the first write: opening a store to read it leaves it untouched.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"

namespace coffer::store {

/// Whose file in the scratch directory it is: the id in "<32 hex digits>.lock" or
/// "<32 hex digits>.<number>"; empty for any other name.
[[nodiscard]] std::string ScratchIdOf(const std::string& name);
[[nodiscard]] bool IsScratchLock(const std::string& name);

class DirectoryScratch {
 public:
  /// In the store at `root`, which decides whom its files are for.
  DirectoryScratch(FileSystem& fs, Random& random, const std::string& root);
  ~DirectoryScratch();
  DirectoryScratch(const DirectoryScratch&) = delete;
  DirectoryScratch& operator=(const DirectoryScratch&) = delete;

  /// Makes the directory and takes the lock, if that is not done yet.
  Status Prepare();
  /// Writes `data` to a new file and syncs it; returns its path. kNotFound: the directory is gone;
  /// Revalidate and try again.
  Result<std::string> Write(ByteView data);
  /// A path beside those files, where nothing is. REQUIRES: Write was called.
  std::string UnusedPath();
  /// Removes a file that Write made, or one at UnusedPath, as well as it can.
  void Discard(const std::string& path);
  /// Looks whether directory and lock are still there; if not, the next Write begins anew.
  void Revalidate();

 private:
  Status TakeId() REQUIRES_LOCK(mutex_);
  void RemoveLeftovers() REQUIRES_LOCK(mutex_);
  void RemoveFilesOf(const std::string& id, const std::vector<std::string>& names)
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] std::string PathOf(const std::string& name) const;

  FileSystem& fs_;
  Random& random_;
  const std::string root_;
  const std::string directory_;

  Mutex mutex_;  // held over I/O, but only the first Write of an instance does any under it
  std::string id_ GUARDED_BY(mutex_);  // empty: not prepared
  std::unique_ptr<FileLock> lock_ GUARDED_BY(mutex_);
  bool cleaned_ GUARDED_BY(mutex_) = false;
  std::uint64_t next_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::store
