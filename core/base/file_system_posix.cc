// FileSystem over the Linux system calls. Signals never show: EINTR is gone on with, short reads
// and writes too. Each error names the call's purpose and the path.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

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
  return {static_cast<std::uint64_t>(found.st_size), S_ISDIR(found.st_mode), S_ISLNK(found.st_mode),
          found.st_mode & 07777U, found.st_uid};
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
Result<Descriptor> OpenRegular(const std::string& path, int flags) {
  Descriptor fd(Retry([&] {
    return open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
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

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(Descriptor fd, OpenRegular(path, FlagsOf(mode)));
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Status CreateDirectory(const std::string& path) override {
    return Done(mkdir(path.c_str(), 0700), "create directory", path);
  }

  Status SyncDirectory(const std::string& path) override {
    const Descriptor fd(
        Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd.valid() && errno == EACCES) {
      return Fail(ErrorCode::kUnsupported,
                  Concat("cannot sync directory ", path, ": it may not be read"));
    }
    if (!fd.valid()) return FailErrno("open directory", path);
    return Done(Retry([&] { return fsync(fd.get()); }), "sync directory", path);
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
    DIR* directory = opendir(path.c_str());
    if (directory == nullptr) return FailErrno("list", path);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error_number = errno;
    closedir(directory);
    if (error_number != 0) {
      return Fail(ErrorFromErrno(error_number, Concat("cannot list ", path)));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) return FailErrno("inspect", path);
    return ToInfo(found);
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
};

}  // namespace

std::unique_ptr<FileSystem> NewPosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace coffer
