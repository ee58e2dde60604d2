#include "fuse/server.h"

#include <unistd.h>

#include <utility>

#include "core/base/log.h"
#include "core/base/mount_holders.h"
#include "fuse/kernel_mount.h"
#include "fuse/session.h"
#include "fuse/tree.h"

namespace coffer::fuse {

/// A mounted directory. `session` is used with the directory's turn only; null: not mounted.
struct Server::Directory {
  Directory(std::string place, const MountTools& tools, const Clock& clock, bool write_back)
      : path(std::move(place)), mounted{tree,       tools,     path,      clock,
                                        write_back, geteuid(), getegid(), clock.WallNow()} {}

  const std::string path;
  Tree tree;
  Mounted mounted;
  std::unique_ptr<Session> session;
  std::map<const Image*, std::unique_ptr<JobQueue>> jobs;  // with the directory's turn only
};

class Server::Turn {
 public:
  Turn(Server& server, std::string path) : server_(server), path_(std::move(path)) {
    MutexLock lock(server_.mutex_);
    server_.waits_.Await(lock, server_.changed_, [this]() REQUIRES_LOCK(server_.mutex_) {
      return server_.being_changed_.insert(path_).second;
    });
  }
  ~Turn() {
    MutexLock lock(server_.mutex_);
    server_.being_changed_.erase(path_);
    server_.changed_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Server& server_;
  const std::string path_;
};

namespace {

Image::Cache CacheFor(const block::ExportSpec& spec) {
  switch (spec.cache) {
    case block::ClientCache::kWriteBack:
      return Image::Cache::kWriteBack;
    case block::ClientCache::kAuto:
      return spec.sole ? Image::Cache::kReads : Image::Cache::kNone;
    case block::ClientCache::kNone:
      break;
  }
  return Image::Cache::kNone;
}

}  // namespace

Server::Server(MountTools tools, Executor& waits, const Clock& clock, FileSystem& fs)
    : tools_(std::move(tools)), waits_(waits), clock_(clock), fs_(fs) {}

Server::~Server() {
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    for (const auto& [path, directory] : directories_) {
      for (const auto& image : directory->tree.images()) names.push_back(image->name());
    }
  }
  for (const std::string& name : names) static_cast<void>(Withdraw(name));
}

Status Server::Mount(Directory& directory) {
  ASSIGN_OR_RETURN(KernelMount mount, MountConnection(fs_, tools_, directory.path));
  const auto access =
      mount.root_may_enter ? Session::Access::kOwnerAndRoot : Session::Access::kOwner;
  auto session = Session::Open(directory.mounted, std::move(mount.connection), access);
  if (!session.has_value()) {
    static_cast<void>(UnmountConnection(tools_, directory.path, UnmountMode::kLazy));
    return Fail(session.error());
  }
  directory.session = std::move(*session);
  return {};
}

Result<std::shared_ptr<Server::Directory>> Server::MountedAt(const std::string& path,
                                                             bool write_back) {
  std::shared_ptr<Directory> directory;
  {
    MutexLock lock(mutex_);
    const auto found = directories_.find(path);
    if (found != directories_.end()) directory = found->second;
  }
  if (directory == nullptr) {
    directory = std::make_shared<Directory>(path, tools_, clock_, write_back);
  } else {
    RETURN_IF_ERROR(CheckCache(*directory, write_back));
  }
  if (directory->session != nullptr && IsCofferMount(path)) return directory;
  EndSession(*directory);  // somebody has unmounted it
  RETURN_IF_ERROR(PrepareMountPoint(fs_, tools_, path));
  RETURN_IF_ERROR(Mount(*directory));
  MutexLock lock(mutex_);
  directories_.insert_or_assign(path, directory);
  return directory;
}

Status Server::Check(const block::ExportSpec& spec) {
  ASSIGN_OR_RETURN(const std::string path, PlaceOf(spec.address));
  std::shared_ptr<Directory> directory;
  {
    MutexLock lock(mutex_);
    const auto found = directories_.find(path);
    if (found != directories_.end()) directory = found->second;
  }
  if (directory == nullptr || !IsCofferMount(path)) return CheckMountPoint(fs_, tools_, path);
  RETURN_IF_ERROR(CheckCache(*directory, CacheFor(spec) == Image::Cache::kWriteBack));
  const Status free = directory->tree.CheckFree(Image::FileStem(spec.name));
  return free.has_value() ? free : Fail(free.error().Within("serving in " + path));
}

Status Server::CheckCache(const Directory& directory, bool write_back) {
  if (directory.mounted.write_back == write_back) return {};
  return Fail(ErrorCode::kConflict,
              Concat(directory.path, " is mounted ", write_back ? "without" : "with",
                     " the kernel's write-back cache for the other volumes in it"),
              "take another directory, or the same fuse_cache");
}

Result<block::ExportPlace> Server::Export(const block::ExportSpec& spec) {
  ASSIGN_OR_RETURN(const std::string path, PlaceOf(spec.address));
  const Image::Cache cache = CacheFor(spec);
  const Turn turn(*this, path);
  ASSIGN_OR_RETURN(const auto directory, MountedAt(path, cache == Image::Cache::kWriteBack));
  auto jobs = std::make_unique<JobQueue>();
  const auto image = std::make_shared<Image>(spec, cache, clock_.WallNow(), *jobs);
  const std::string file = path + "/" + image->file_stem() + ".img";
  const Status added = directory->tree.Add(image);
  if (added.has_value()) directory->jobs.emplace(image.get(), std::move(jobs));
  if (directory->tree.empty()) Unmount(*directory);
  if (!added.has_value()) return Fail(added.error().Within("serving in " + path));
  return block::ExportPlace{file};
}

void Server::Unmount(Directory& directory) {
  if (directory.session != nullptr && IsCofferMount(directory.path)) {
    Status unmounted = UnmountConnection(tools_, directory.path, UnmountMode::kNow);
    if (!unmounted.has_value() && unmounted.error().code == ErrorCode::kConflict) {
      const std::string holders = DescribeHolders(FindMountHolders(directory.path));
      if (!holders.empty()) LOG(kWarning, "fuse: ", directory.path, " was in use: ", holders);
      unmounted = UnmountConnection(tools_, directory.path, UnmountMode::kLazy);
    }
    if (!unmounted.has_value()) LOG(kWarning, "fuse: ", unmounted.error().message);
  }
  EndSession(directory);
  MutexLock lock(mutex_);
  directories_.erase(directory.path);
}

/// What was read is answered first: a request knows its session.
void Server::EndSession(Directory& directory) {
  if (directory.session == nullptr) return;
  directory.session->Stop();
  for (const auto& image : directory.tree.images()) image->AwaitIdle(waits_);
  directory.session.reset();
}

void Server::WithdrawFrom(Directory& directory, Image& image) {
  Session* const session = directory.session.get();
  const std::vector<Node> nodes = directory.tree.NodesOf(image);
  // The kernel writes what it has while there is still somebody to take it.
  if (image.cache() == Image::Cache::kWriteBack && session != nullptr) {
    const Status synced = SyncFile(tools_, directory.path + "/" + nodes.front().name);
    if (!synced.has_value()) LOG(kWarning, "fuse: ", synced.error().message);
  }
  directory.tree.Remove(image);
  for (const Node& node : nodes) {
    if (session != nullptr) session->ForgetName(kRootInode, node.name);
  }
  if (const auto visit = image.Enter(); visit && !image.read_only()) {
    const Status flushed = visit->device().Flush();
    if (!flushed.has_value()) {
      LOG(kWarning, "fuse: flushing ", image.name(), ": ", flushed.error().message);
    }
  }
  image.Withdraw(waits_);
  directory.jobs.erase(&image);
  // Files that are still open must not read on from memory what others change from here on.
  if (session != nullptr && image.cache() != Image::Cache::kNone) {
    session->ForgetData(nodes.front().inode, 0);
  }
}

Status Server::Withdraw(const std::string& name) {
  const auto holding = Holding(name);
  if (holding.empty()) return Fail(ErrorCode::kNotFound, Concat("no FUSE export ", name));
  for (const auto& directory : holding) {
    const Turn turn(*this, directory->path);
    const auto image = directory->tree.FindImage(name);
    if (image == nullptr) continue;
    WithdrawFrom(*directory, *image);
    if (directory->tree.empty()) Unmount(*directory);
  }
  return {};
}

Status Server::Restore(const std::string& name) {
  for (const auto& directory : Holding(name)) {
    const Turn turn(*this, directory->path);
    if (directory->tree.FindImage(name) == nullptr) continue;
    RETURN_IF_ERROR(MountedAt(directory->path, directory->mounted.write_back));
  }
  return {};
}

void Server::Resized(const std::string& name) {
  for (const auto& directory : Holding(name)) {
    const Turn turn(*this, directory->path);
    const auto image = directory->tree.FindImage(name);
    if (image == nullptr || directory->session == nullptr) continue;
    const auto visit = image->Enter();
    if (!visit) continue;
    const Node node = directory->tree.NodesOf(*image).front();
    // Beyond the new end there are pages only if it became smaller, and then no file is open.
    directory->session->ForgetData(node.inode, visit->device().size());
    if (image->cache() != Image::Cache::kWriteBack) continue;
    const Status told = TellSize(tools_, directory->path, node.name, visit->device().size());
    if (!told.has_value()) LOG(kWarning, "fuse: ", told.error().message);
  }
}

int Server::client_count(const std::string& name) const {
  int count = 0;
  for (const auto& directory : Holding(name)) {
    if (const auto image = directory->tree.FindImage(name)) {
      count += image->counters().open_files.load();
    }
  }
  return count;
}

std::vector<std::shared_ptr<Server::Directory>> Server::Holding(const std::string& name) const {
  std::vector<std::shared_ptr<Directory>> holding;
  MutexLock lock(mutex_);
  for (const auto& [path, directory] : directories_) {
    if (directory->tree.FindImage(name) != nullptr) holding.push_back(directory);
  }
  return holding;
}

}  // namespace coffer::fuse
