// Names and attributes: lookup, getattr, readdir, and the refusal of whatever would change them.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fuse/errors.h"
#include "fuse/jobs.h"
#include "fuse/limits.h"
#include "fuse/operations.h"
#include "fuse/volume_status.h"

namespace coffer::fuse {
namespace {

constexpr mode_t kDirectoryMode = S_IFDIR | 0700;
constexpr std::uint64_t kStatBlock = 512;  // what st_blocks counts, stat(2)

struct Attributes {
  struct stat stat {};
  double believe_seconds = kBelieveSeconds;
};

mode_t ModeOf(const Node& node) {
  if (node.kind == Node::Kind::kDirectory) return kDirectoryMode;
  if (node.kind == Node::Kind::kStatus || node.image->read_only()) return S_IFREG | 0400;
  return S_IFREG | 0600;
}

void SetTimes(struct stat& stat, UnixSeconds time) {
  stat.st_mtim.tv_sec = stat.st_ctim.tv_sec = stat.st_atim.tv_sec = time;
}

/// nullopt: the image has been withdrawn.
std::optional<Attributes> AttributesOf(const Mounted& mounted, const Node& node) {
  Attributes of;
  of.stat.st_ino = node.inode;
  of.stat.st_mode = ModeOf(node);
  of.stat.st_nlink = node.kind == Node::Kind::kDirectory ? 2 : 1;
  of.stat.st_uid = mounted.uid;
  of.stat.st_gid = mounted.gid;
  of.stat.st_blksize = block::kBlockSize;
  SetTimes(of.stat, mounted.since);
  if (node.kind == Node::Kind::kDirectory) return of;
  if (node.kind == Node::Kind::kStatus) {
    of.stat.st_size = static_cast<off_t>(StatusText(*node.image).size());
    of.believe_seconds = 0;
    SetTimes(of.stat, mounted.clock.WallNow());
    return of;
  }
  const auto visit = node.image->Enter();
  if (!visit) return std::nullopt;
  const std::uint64_t size = visit->device().size();
  of.stat.st_size = static_cast<off_t>(size);
  // How much is allocated takes a walk through the map. A block less than the size, so that what
  // copies sparse files (cp, tar, rsync) asks for the holes instead of reading them.
  const std::uint64_t blocks = size / kStatBlock;
  of.stat.st_blocks = static_cast<blkcnt_t>(blocks - std::min<std::uint64_t>(blocks, 1));
  SetTimes(of.stat, node.image->ModifiedAt(mounted.clock.WallNow()));
  if (!node.image->sole()) of.believe_seconds = kBelieveSharedSeconds;
  return of;
}

std::optional<fuse_entry_param> EntryOf(const Mounted& mounted, const Node& node) {
  const auto attributes = AttributesOf(mounted, node);
  if (!attributes) return std::nullopt;
  fuse_entry_param entry{};
  entry.ino = node.inode;
  entry.attr = attributes->stat;
  entry.attr_timeout = attributes->believe_seconds;
  entry.entry_timeout = kBelieveSeconds;
  return entry;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const Mounted& mounted = MountedOf(request);
  const auto node = mounted.tree.Find(parent, name);
  if (!node) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  if (const auto entry = EntryOf(mounted, *node)) {
    fuse_reply_entry(request, &*entry);
  } else {
    fuse_reply_err(request, ENOENT);
  }
}

void ReplyAttributes(fuse_req_t request, const Node& node) {
  if (const auto attributes = AttributesOf(MountedOf(request), node)) {
    fuse_reply_attr(request, &attributes->stat, attributes->believe_seconds);
  } else {
    fuse_reply_err(request, ENODEV);
  }
}

void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  if (const auto node = MountedOf(request).tree.Find(inode)) {
    ReplyAttributes(request, *node);
  } else {
    fuse_reply_err(request, ENODEV);
  }
}

/// The size is the volume's, and times may be set, as copying programs do; nothing else.
void SetAttributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which,
                   fuse_file_info*) {
  constexpr int kTimes = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
                         FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
  const Mounted& mounted = MountedOf(request);
  const auto node = mounted.tree.Find(inode);
  if (!node) {
    fuse_reply_err(request, ENODEV);
    return;
  }
  if (node->kind != Node::Kind::kImage || (which & ~(kTimes | FUSE_SET_ATTR_SIZE)) != 0) {
    fuse_reply_err(request, EPERM);
    return;
  }
  if ((which & FUSE_SET_ATTR_SIZE) != 0) {
    const auto visit = node->image->Enter();
    if (!visit || static_cast<std::uint64_t>(wanted->st_size) != visit->device().size()) {
      fuse_reply_err(request, visit ? EPERM : ENODEV);
      return;
    }
  }
  if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0) {
    node->image->SetModified(mounted.clock.WallNow());
  } else if ((which & FUSE_SET_ATTR_MTIME) != 0) {
    node->image->SetModified(wanted->st_mtim.tv_sec);
  }
  ReplyAttributes(request, *node);
}

void OpenDirectory(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Mounted& mounted = MountedOf(request);
  auto open = std::make_unique<OpenNode>();
  open->listing = mounted.tree.List(inode);
  file->fh = mounted.open.Open(std::move(open));
  if (fuse_reply_open(request, file) != 0) mounted.open.Close(file->fh);
}

void ReleaseDirectory(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  MountedOf(request).open.Close(file->fh);
  fuse_reply_err(request, 0);
}

enum class Listing { kNames, kEntries };

/// Entry `at` of a directory: ".", "..", then what it held when it was opened.
Node EntryAt(const OpenNode& open, Inode directory, std::size_t at) {
  if (at < 2) return {Node::Kind::kDirectory, directory, at == 0 ? "." : "..", nullptr};
  return open.listing[at - 2];
}

void List(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
          fuse_file_info* file, Listing listing) {
  const Mounted& mounted = MountedOf(request);
  const OpenNode& open = OpenNodeOf(file);
  std::string reply(std::min(size, kRequestBytesMax), '\0');
  std::size_t used = 0;
  for (auto at = static_cast<std::size_t>(offset); at < open.listing.size() + 2; ++at) {
    const Node node = EntryAt(open, inode, at);
    const auto entry = EntryOf(mounted, node);
    if (!entry) continue;  // gone meanwhile
    const auto next = static_cast<off_t>(at + 1);
    const std::size_t room = reply.size() - used;
    fuse_entry_param plus = *entry;
    if (at < 2) plus.ino = 0;  // no lookup is counted for these two
    const std::size_t needed =
        listing == Listing::kNames
            ? fuse_add_direntry(request, &reply[used], room, node.name.c_str(), &entry->attr, next)
            : fuse_add_direntry_plus(request, &reply[used], room, node.name.c_str(), &plus, next);
    if (needed > room) break;
    used += needed;
  }
  fuse_reply_buf(request, reply.data(), used);
}

void ReadDirectory(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                   fuse_file_info* file) {
  List(request, inode, size, offset, file, Listing::kNames);
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                       fuse_file_info* file) {
  List(request, inode, size, offset, file, Listing::kEntries);
}

/// A barrier for all images of the directory: answered when the last of them is flushed.
struct DirectorySync {
  explicit DirectorySync(fuse_req_t of) : request(of) {}
  ~DirectorySync() { fuse_reply_err(request, failed.load()); }
  DirectorySync(const DirectorySync&) = delete;
  DirectorySync& operator=(const DirectorySync&) = delete;

  const fuse_req_t request;
  std::atomic<int> failed = 0;  // an errno
};

void SyncDirectory(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  const Mounted& mounted = MountedOf(request);
  const auto sync = std::make_shared<DirectorySync>(request);
  for (const auto& image : mounted.tree.images()) {
    auto visit = image->Enter();
    if (!visit) continue;
    JobQueue& jobs = visit->jobs();
    jobs.Start(JobQueue::Kind::kFlush, *std::move(visit), 0,
               [held = sync](Image::Visit inside) mutable {
                 const Status flushed = inside.device().Flush();
                 if (!flushed.has_value()) held->failed = ErrnoFrom(flushed.error().code);
                 held.reset();  // the answer comes before the visit ends
               });
  }
}

/// As large as its images, and full: no new file has room.
void StatFileSystem(fuse_req_t request, fuse_ino_t) {
  struct statvfs answer {};
  answer.f_bsize = answer.f_frsize = block::kBlockSize;
  answer.f_namemax = 255;
  for (const auto& image : MountedOf(request).tree.images()) {
    const auto visit = image->Enter();
    if (!visit) continue;
    answer.f_blocks += visit->device().size() / block::kBlockSize;
    answer.f_files += 2;
  }
  fuse_reply_statfs(request, &answer);
}

void Access(fuse_req_t request, fuse_ino_t inode, int mask) {
  const auto node = MountedOf(request).tree.Find(inode);
  int refusal = node ? 0 : ENODEV;
  if (node && node->kind != Node::Kind::kDirectory) {
    if ((mask & X_OK) != 0) refusal = EACCES;
    if ((mask & W_OK) != 0 && node->kind == Node::Kind::kStatus) refusal = EACCES;
    if ((mask & W_OK) != 0 && node->image->read_only()) refusal = EROFS;
  }
  fuse_reply_err(request, refusal);
}

// Only coffer makes, names and removes what is here.
void RefuseName(fuse_req_t request, fuse_ino_t, const char*) { fuse_reply_err(request, EPERM); }
void RefuseMake(fuse_req_t request, fuse_ino_t, const char*, mode_t) {
  fuse_reply_err(request, EPERM);
}
void RefuseNode(fuse_req_t request, fuse_ino_t, const char*, mode_t, dev_t) {
  fuse_reply_err(request, EPERM);
}
void RefuseCreate(fuse_req_t request, fuse_ino_t, const char*, mode_t, fuse_file_info*) {
  fuse_reply_err(request, EPERM);
}
void RefuseSymlink(fuse_req_t request, const char*, fuse_ino_t, const char*) {
  fuse_reply_err(request, EPERM);
}
void RefuseRename(fuse_req_t request, fuse_ino_t, const char*, fuse_ino_t, const char*, unsigned) {
  fuse_reply_err(request, EPERM);
}
void RefuseLink(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) {
  fuse_reply_err(request, EPERM);
}

}  // namespace

void AddNameOperations(fuse_lowlevel_ops& operations) {
  operations.lookup = Lookup;
  operations.getattr = GetAttributes;
  operations.setattr = SetAttributes;
  operations.opendir = OpenDirectory;
  operations.releasedir = ReleaseDirectory;
  operations.readdir = ReadDirectory;
  operations.readdirplus = ReadDirectoryPlus;
  operations.fsyncdir = SyncDirectory;
  operations.statfs = StatFileSystem;
  operations.access = Access;
  operations.unlink = RefuseName;
  operations.rmdir = RefuseName;
  operations.mkdir = RefuseMake;
  operations.mknod = RefuseNode;
  operations.create = RefuseCreate;
  operations.symlink = RefuseSymlink;
  operations.rename = RefuseRename;
  operations.link = RefuseLink;
  // Extended attributes are left out: libfuse answers ENOSYS, and the kernel says ENOTSUP from then
  // on without asking, also for the security.capability that it looks for before every write.
}

}  // namespace coffer::fuse
