// FileSystem over the Linux system calls. Signals never show: EINTR is gone on with, short reads
// and writes too. Each error names the call's purpose and the path.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <string>
#include <utility>

#include "core/base/directory_tools.h"
#include "core/base/file_system.h"
#include "core/base/log.h"
#include "core/base/planted.h"

namespace coffer {
namespace {

/// Repeats `call` while a signal interrupts it; returns its value with errno set.
template <class Call>
auto Retry(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

tl::unexpected<Error> FailErrno(std::string_view action, const std::string& path) {
  const int error_number = errno;
  return Fail(ErrorFromErrno(error_number, Concat("cannot ", action, " ", path)));
}

Status Done(int result, std::string_view action, const std::string& path) {
  if (result != 0) return FailErrno(action, path);
  return {};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

FileInfo ToInfo(const struct stat& found) {
  return {static_cast<std::uint64_t>(found.st_size),
          S_ISDIR(found.st_mode),
          S_ISLNK(found.st_mode),
          found.st_mode & 07777U,
          found.st_uid,
          static_cast<std::uint64_t>(found.st_blocks) * 512,
          found.st_mtim.tv_sec};
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, MutableByteView out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = Retry([&] {
        return pread(fd_.get(), out.data() + done, out.size() - done,
                     static_cast<off_t>(offset + done));
      });
      if (got < 0) return FailErrno("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status WriteAt(std::uint64_t offset, ByteView data) override {
    std::size_t done = 0;
    while (done < data.size()) {
      const ssize_t put = Retry([&] {
        return pwrite(fd_.get(), data.data() + done, data.size() - done,
                      static_cast<off_t>(offset + done));
      });
      if (put < 0) return FailErrno("write", path_);
      if (put == 0) {
        return Fail(ErrorCode::kIoError, Concat("cannot write ", path_, ": no byte was taken"));
      }
      done += static_cast<std::size_t>(put);
      if (Planted("ignore-short-write")) break;
    }
    return {};
  }

  Status SyncData() override {
    return Done(Retry([&] { return fdatasync(fd_.get()); }), "sync", path_);
  }

  Status Truncate(std::uint64_t size) override {
    return Done(Retry([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }), "truncate",
                path_);
  }

  Status Allocate(std::uint64_t size) override {
    if (size == 0) return {};
    return Done(Retry([&] { return fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); }),
                "allocate space for", path_);
  }

  Status Discard(std::uint64_t offset, std::uint64_t length) override {
    if (length == 0) return {};
    return Done(Retry([&] {
                  return fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   static_cast<off_t>(offset), static_cast<off_t>(length));
                }),
                "give back space of", path_);
  }

  Result<std::uint64_t> Size() override {
    ASSIGN_OR_RETURN(const FileInfo info, Info());
    return info.size;
  }

  Result<FileInfo> Info() override {
    struct stat found {};
    if (fstat(fd_.get(), &found) != 0) return FailErrno("inspect", path_);
    return ToInfo(found);
  }

 private:
  const Descriptor fd_;
  const std::string path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;  // closing it gives the lock back
};

int FlagsOf(FileSystem::OpenMode mode) {
  switch (mode) {
    case FileSystem::OpenMode::kRead:
      return O_RDONLY;
    case FileSystem::OpenMode::kReadWrite:
      return O_RDWR;
    case FileSystem::OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case FileSystem::OpenMode::kOpenOrCreate:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

/// Opens a regular file. O_NONBLOCK so that a FIFO or a device planted there is refused, not waited
/// for; on regular files it means nothing.
Result<Descriptor> OpenRegular(const std::string& path, int flags, mode_t mode = 0600) {
  Descriptor fd(Retry([&] {
    return open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
  }));
  if (!fd.valid()) {
    if (errno == ELOOP) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("cannot open ", path, ": it is a symbolic link"));
    }
    return FailErrno("open", path);
  }
  struct stat found {};
  if (fstat(fd.get(), &found) != 0) return FailErrno("inspect", path);
  if (!S_ISREG(found.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("cannot open ", path, ": it is not a regular file"));
  }
  return fd;
}

/// Permissions of `path` now.
Result<mode_t> ModeOf(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return FailErrno("inspect", path);
  return static_cast<mode_t>(found.st_mode & 07777U);
}

/// Whether the kernel gives what is made in `directory` its access by a default ACL: then it has
/// passed over the umask, and nothing is to be added.
bool HasDefaultAcl(const std::string& directory) {
  return getxattr(directory.c_str(), "system.posix_acl_default", nullptr, 0) > 0;
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// What errno says when a file system has no way to sync a directory, as opposed to one that
/// failed: VirtualBox's and WSL's shares, some Samba and FUSE.
bool MeansNoDirectorySync(int error_number) {
  return error_number == EINVAL || error_number == ENOTTY || error_number == EOPNOTSUPP ||
         error_number == ENOSYS;
}

class PosixFileSystem final : public FileSystem, public DirectoryTools {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(Descriptor fd, OpenRegular(path, FlagsOf(mode)));
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Status CreateDirectory(const std::string& path) override {
    return Done(mkdir(path.c_str(), 0700), "create directory", path);
  }

  Result<std::unique_ptr<File>> CreateShared(const std::string& path,
                                             const std::string& grantor) override {
    constexpr mode_t kOwner = 0600;
    constexpr mode_t kOthersRead = 0044;
    ASSIGN_OR_RETURN(const mode_t granted, ModeOf(grantor));
    ASSIGN_OR_RETURN(Descriptor fd, OpenRegular(path, FlagsOf(OpenMode::kCreate), 0666));
    if (!HasDefaultAcl(ParentOf(path))) {
      struct stat made {};
      if (fstat(fd.get(), &made) != 0) return FailErrno("inspect", path);
      // The objects never change, so nobody else needs to write to one whom the umask keeps off.
      const mode_t wanted = kOwner | (granted & kOthersRead) | (made.st_mode & granted & 0066U);
      // A file system without modes refuses; then it decides by itself who reads.
      if ((made.st_mode & 0777U) != wanted) (void)fchmod(fd.get(), wanted);
    }
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Status CreateSharedDirectory(const std::string& path, const std::string* grantor) override {
    constexpr mode_t kOwner = 0700;
    mode_t granted = 0;
    if (grantor != nullptr) {
      ASSIGN_OR_RETURN(granted, ModeOf(*grantor));
    }
    RETURN_IF_ERROR(Done(mkdir(path.c_str(), 0777), "create directory", path));
    if (HasDefaultAcl(ParentOf(path))) return {};
    ASSIGN_OR_RETURN(const mode_t made, ModeOf(path));
    const mode_t access = grantor == nullptr ? made & 0777U : granted & 0777U;
    const mode_t wanted = (made & ~0777U) | kOwner | access;
    if (made != wanted) (void)chmod(path.c_str(), wanted);
    return {};
  }

  Status SyncDirectory(const std::string& path) override {
    const Descriptor fd(
        Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd.valid() && errno == EACCES) {
      return Fail(ErrorCode::kUnsupported,
                  Concat("cannot sync directory ", path, ": it may not be read"));
    }
    if (!fd.valid()) return FailErrno("open directory", path);
    const int synced = Retry([&] { return fsync(fd.get()); });
    if (synced != 0 && MeansNoDirectorySync(errno)) {
      const Error error = ErrorFromErrno(errno, Concat("cannot sync directory ", path));
      if (!told_of_no_directory_sync_.exchange(true)) {
        LOG(kWarning, error.message,
            "; its file system has no way to: what was made there last may be gone after a power "
            "cut");
      }
      return {};
    }
    return Done(synced, "sync directory", path);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    return Done(rename(from.c_str(), to.c_str()), "rename", Concat(from, " to ", to));
  }

  Status Link(const std::string& from, const std::string& to) override {
    const int result = linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0);
    // link(2): EPERM is "no hard links here", or links to this file are protected.
    if (result != 0 && errno == EPERM) errno = EOPNOTSUPP;
    return Done(result, "link", Concat(from, " as ", to));
  }

  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    const int result = renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
    // rename(2): EINVAL is "the file system does not know this flag".
    if (result != 0 && errno == EINVAL) errno = EOPNOTSUPP;
    return Done(result, "rename", Concat(from, " to ", to));
  }

  Status Remove(const std::string& path) override {
    return Done(unlink(path.c_str()), "remove", path);
  }

  Status RemoveDirectory(const std::string& path) override {
    return Done(rmdir(path.c_str()), "remove directory", path);
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    std::vector<std::string> names;
    RETURN_IF_ERROR(ForEachName(path, [&](std::string_view name) { names.emplace_back(name); }));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::vector<std::string>> ListFirst(const std::string& path, const NameFilter& wanted,
                                             std::size_t count) override {
    std::vector<std::string> first;  // a heap, the greatest in front
    if (count == 0) return first;
    std::string name;  // one allocation for all
    RETURN_IF_ERROR(ForEachName(path, [&](std::string_view entry) {
      if (first.size() == count && entry >= first.front()) return;
      name = entry;
      if (!wanted(name)) return;
      if (first.size() == count) {
        std::pop_heap(first.begin(), first.end());
        first.pop_back();
      }
      first.push_back(name);
      std::push_heap(first.begin(), first.end());
    }));
    std::sort_heap(first.begin(), first.end());
    return first;
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) return FailErrno("inspect", path);
    return ToInfo(found);
  }

  Result<std::string> Resolve(const std::string& path) override {
    std::array<char, PATH_MAX> resolved{};
    if (realpath(path.c_str(), resolved.data()) == nullptr) return FailErrno("resolve", path);
    return std::string(resolved.data());
  }

  Result<SpaceInfo> Space(const std::string& path) override {
    struct statvfs found {};
    if (Retry([&] { return statvfs(path.c_str(), &found); }) != 0) {
      return FailErrno("find the free space at", path);
    }
    return SpaceInfo{std::uint64_t{found.f_bavail} * found.f_frsize,
                     std::uint64_t{found.f_blocks} * found.f_frsize};
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    ASSIGN_OR_RETURN(Descriptor fd, OpenRegular(path, O_RDWR | O_CREAT));
    if (Retry([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) {
        return Fail(ErrorCode::kConflict, Concat(path, " is locked by another process"));
      }
      return FailErrno("lock", path);
    }
    return std::make_unique<PosixFileLock>(std::move(fd));
  }

 private:
  /// In whatever order the kernel gives them.
  template <class Use>
  static Status ForEachName(const std::string& path, const Use& use) {
    DIR* directory = opendir(path.c_str());
    if (directory == nullptr) return FailErrno("list", path);
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") use(name);
      errno = 0;
    }
    const int error_number = errno;
    closedir(directory);
    if (error_number == 0) return {};
    return Fail(ErrorFromErrno(error_number, Concat("cannot list ", path)));
  }

  std::atomic<bool> told_of_no_directory_sync_ = false;
};

}  // namespace

std::unique_ptr<FileSystem> NewPosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace coffer
