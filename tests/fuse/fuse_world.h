// A FUSE server with devices in memory, mounted for real: tests use it through system calls. Needs
// /dev/fuse, and fails without it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/unique_fd.h"
#include "fuse/server.h"
#include "gtest/gtest.h"
#include "tests/fuse/strict_device.h"
#include "tests/support/memory_device.h"
#include "tests/support/temporary_directory.h"

namespace coffer::fuse::testing {

using coffer::testing::MemoryDevice;

class FuseWorld {
 public:
  explicit FuseWorld(MountTools tools = {})
      : fs_(NewPosixFileSystem()),
        workers_(NewThreadExecutor("workers", 16)),
        server_(std::make_unique<Server>(std::move(tools), *workers_, clock_, *fs_)) {}

  [[nodiscard]] Server& server() { return *server_; }
  /// Withdraws everything.
  void EndServer() { server_.reset(); }
  [[nodiscard]] std::string directory() const { return root_.path() + "/mnt"; }
  [[nodiscard]] const std::string& root() const { return root_.path(); }

  Result<block::ExportPlace> TryServe(block::BlockDevice& device, block::ExportSpec spec = {}) {
    if (spec.name.empty()) spec.name = "photos";
    if (spec.address.empty()) spec.address = directory();
    spec.device = &device;
    return server_->Export(spec);
  }
  /// The image's path.
  std::string Serve(block::BlockDevice& device, block::ExportSpec spec = {}) {
    auto place = TryServe(device, std::move(spec));
    EXPECT_TRUE(place.has_value()) << (place.has_value() ? "" : place.error().message);
    return place.has_value() ? place->uri : "/nowhere";
  }
  /// The only export, which the kernel may cache.
  std::string ServeSole(block::BlockDevice& device) {
    block::ExportSpec spec{};
    spec.sole = true;
    return Serve(device, spec);
  }

 private:
  TemporaryDirectory root_;
  SystemClock clock_;
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<Executor> workers_;
  std::unique_ptr<Server> server_;
};

/// Runs `body` in a child process, whose memory is its own: a page fault there waits for nobody
/// who may want this process's. Its exit code; 1000 for a signal.
template <class Body>
int InChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int ended = 0;
  EXPECT_EQ(waitpid(child, &ended, 0), child);
  return WIFEXITED(ended) ? WEXITSTATUS(ended) : 1000;
}

inline UniqueFd OpenFile(const std::string& path, int flags) {
  UniqueFd file(open(path.c_str(), flags | O_CLOEXEC));
  EXPECT_TRUE(file.valid()) << path << ": " << std::generic_category().message(errno);
  return file;
}
/// 0, or the errno.
template <class Call>
int ErrnoOf(const Call& call) {
  errno = 0;
  return call() < 0 ? errno : 0;
}
/// What is there, as text; "errno N" for a failure.
inline std::string ReadAt(int file, std::uint64_t offset, std::size_t length) {
  std::string text(length, '?');
  const ssize_t got = pread(file, text.data(), length, static_cast<off_t>(offset));
  if (got < 0) return "errno " + std::to_string(errno);
  text.resize(static_cast<std::size_t>(got));
  return text;
}
/// Bytes written, or minus the errno.
inline ssize_t WriteAt(int file, std::uint64_t offset, const std::string& text) {
  const ssize_t put = pwrite(file, text.data(), text.size(), static_cast<off_t>(offset));
  return put < 0 ? -errno : put;
}

}  // namespace coffer::fuse::testing
