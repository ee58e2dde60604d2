// DirectoryStore: a store in a directory: a disk, a USB stick, a mounted share.
//
// An object is a file of its name. It is written beside the tree (DirectoryScratch), synced, and
// then given its name by link, which refuses a name that is taken; where there are no hard links by
// renameat2 without replace; where there is neither, by look-then-rename, which two writers can
// both pass: then the store is *weak*. The directory is synced before Create returns. Link comes
// first because it works on file systems and shares that lack the rename flag. When a call fails in
// a way that may mean that the file system lacks it, a file that nobody needs is published in each
// way, and the first that works is used from then on.
//
// Files and directories get what the store's directory grants (CreateShared): all is
// sealed, and a store may be shared by users and machines.
//
// The mount guard: an empty mount point must not pass for an empty vault. A store opened with Open
// keeps the bytes of its marker object `vault` and compares them before each Create, Delete and
// List, and whenever an object is missing; if the marker is gone, or another vault's, that is
// kUnavailable, since mounting the disk again heals it. In a store opened with OpenForInit the
// guard begins when the marker is found or created.
//
// When syncing the directory fails, the object has its name but may lose it in a power cut: Create
// fails with kUnavailable, and offered again it syncs again before it says "exists already". That a
// second directory sync counts, unlike one of file data, holds where it matters: journaling file
// systems stop for good at such an error rather than forget the entry.
//
// Whoever can write to the directory can plant things in it: symbolic links at or on the way to an
// object are refused. This is no defence against someone who swaps directories during a call.
//
// Thread-safe, also among processes and machines that share the directory.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/store/directory_scratch.h"
#include "core/store/object_store.h"

namespace coffer::store {

class DirectoryStore final : public ObjectStore {
 public:
  /// A directory that holds a vault. `path` is absolute, in one spelling (ParseStoreUrl); if it is
  /// a symbolic link, the store is what that points to now. Changes nothing. kNotFound if the
  /// directory or the marker is missing, kCorruption for half a vault.
  static Result<std::unique_ptr<DirectoryStore>> Open(FileSystem& fs, Random& random,
                                                      const std::string& path);

  /// A directory that holds a vault, or is empty, or is missing in a directory that exists: then it
  /// is made. kAlreadyExists if it holds something else, kCorruption for half a vault.
  static Result<std::unique_ptr<DirectoryStore>> OpenForInit(FileSystem& fs, Random& random,
                                                             const std::string& path);

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  /// kWeak once a Create found no way to refuse a taken name: probe before asking.
  [[nodiscard]] StoreCapabilities capabilities() const override;
  [[nodiscard]] std::string description() const override { return root_; }
  [[nodiscard]] std::string identity() const override { return root_; }

 private:
  enum class Publishing { kLink, kRenameNoReplace, kLookThenRename };

  DirectoryStore(FileSystem& fs, Random& random, const std::string& path);

  Status CreateOnce(const std::string& name, ByteView data);
  Status EnsureDirectoriesOf(const std::string& name);
  Status EnsureDirectory(const std::string& path);
  Status CheckNoDirectoryAt(const std::string& path);
  Status Publish(const std::string& temporary, const std::string& name);
  Status PublishBy(Publishing way, const std::string& temporary, const std::string& path);
  Result<Publishing> FindPublishing(const Error& failure);
  Status LookThenRename(const std::string& temporary, const std::string& path);

  Result<std::unique_ptr<File>> OpenObject(const std::string& name, std::uint64_t* size);
  /// The error of the mount guard if it has one, else `missing`.
  [[nodiscard]] Error InStore(const Error& error, const std::string& deed) const;
  tl::unexpected<Error> FailMissing(Error missing) const;

  Status CheckMarker() const;
  void SetMarker(ByteView bytes);
  [[nodiscard]] std::string PathOf(const std::string& name) const;

  FileSystem& fs_;
  const std::string root_;
  DirectoryScratch scratch_;
  std::atomic<Publishing> publishing_{Publishing::kLink};
  std::atomic<bool> proven_strong_ = false;  // link or renameat2 has worked

  mutable Mutex mutex_;
  Bytes marker_ GUARDED_BY(mutex_);  // empty: not guarded yet
  std::set<std::string> durable_directories_ GUARDED_BY(mutex_);
  Mutex look_then_rename_mutex_;  // at least the writers of this process take turns
};

}  // namespace coffer::store
