// What only the real file system can show: links, other kinds of files, descriptors, signals.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/base/file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"
#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

using Mode = FileSystem::OpenMode;

class PosixFileSystem : public testing::Test {
 protected:
  ScratchDirectory directory_;
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
};

TEST_F(PosixFileSystem, OpensNoSymlinkInTheLastPlace) {
  ASSERT_OK(fs_->Open(directory_ / "real", Mode::kCreate));
  ASSERT_EQ(symlink("real", (directory_ / "link").c_str()), 0);
  for (const Mode mode : {Mode::kRead, Mode::kReadWrite, Mode::kOpenOrCreate}) {
    EXPECT_FAILS(fs_->Open(directory_ / "link", mode), kInvalidArgument);
  }
  EXPECT_FAILS(fs_->Open(directory_ / "link", Mode::kCreate), kAlreadyExists);
  EXPECT_FAILS(fs_->Lock(directory_ / "link"), kInvalidArgument);
  ASSERT_OK_AND_ASSIGN(const FileInfo info, fs_->Stat(directory_ / "link"));
  EXPECT_TRUE(info.is_symlink);
  ASSERT_OK(fs_->Remove(directory_ / "link"));
  EXPECT_OK(fs_->Stat(directory_ / "real"));
}

TEST_F(PosixFileSystem, ReachesDirectoriesThroughSymlinks) {
  ASSERT_OK(fs_->CreateDirectory(directory_ / "real"));
  ASSERT_EQ(symlink("real", (directory_ / "link").c_str()), 0);
  EXPECT_OK(fs_->SyncDirectory(directory_ / "link"));
  EXPECT_OK(fs_->List(directory_ / "link"));
  EXPECT_OK(fs_->Open(directory_ / "link/a", Mode::kCreate));
  EXPECT_OK(CreateDirectories(*fs_, directory_ / "link/b/c"));
  EXPECT_OK(fs_->Stat(directory_ / "real/b/c"));
}

TEST_F(PosixFileSystem, RefusesAFifoAtOnce) {
  ASSERT_EQ(mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_FAILS(fs_->Open(directory_ / "fifo", Mode::kRead), kInvalidArgument);  // does not wait
  EXPECT_FAILS(fs_->Open(directory_ / "fifo", Mode::kReadWrite), kInvalidArgument);
  EXPECT_FAILS(fs_->Open("/dev/null", Mode::kRead), kInvalidArgument);
}

TEST_F(PosixFileSystem, DescriptorsEndWithExec) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_->Open(directory_ / "secret-name", Mode::kCreate));
  ASSERT_OK_AND_ASSIGN(const auto lock, fs_->Lock(directory_ / "secret-lock"));
  const std::string command = "! ls -l /proc/self/fd | grep -q secret-";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(PosixFileSystem, ErrorsNameThePathAndTheReason) {
  const auto missing = fs_->Open(directory_ / "none", Mode::kRead);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().message,
            "cannot open " + directory_ / "none" + ": No such file or directory");
}

TEST_F(PosixFileSystem, SyncDirectoryTellsApartWhatMayNotBeRead) {
  if (geteuid() == 0) {
    // Root may read everything; ask as nobody, in a child.
    ASSERT_EQ(chmod(directory_.path().c_str(), 0711), 0);
    const pid_t child = fork();
    if (child == 0) {
      if (setresuid(65534, 65534, 65534) != 0) _exit(2);
      const Status status = fs_->SyncDirectory(directory_.path());
      _exit(!status.has_value() && status.error().code == ErrorCode::kUnsupported ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return;
  }
  ASSERT_EQ(chmod(directory_.path().c_str(), 0300), 0);
  EXPECT_FAILS(fs_->SyncDirectory(directory_.path()), kUnsupported);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0700), 0);
}

void IgnoreSignal(int) {}

TEST_F(PosixFileSystem, GoesOnAfterSignals) {
  struct sigaction action {};
  action.sa_handler = IgnoreSignal;  // without SA_RESTART: calls do return EINTR
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR2, &action, &before), 0);
  std::atomic<bool> done = false;
  const pthread_t writer = pthread_self();
  std::thread pest([&] {
    while (!done) {
      pthread_kill(writer, SIGUSR2);
      std::this_thread::yield();
    }
  });
  const Bytes data = SeededRandom(1).NewBytes(4 << 20);
  const auto file = fs_->Open(directory_ / "a", Mode::kCreate);
  Bytes back(data.size());
  for (int i = 0; i < 10 && file.has_value(); ++i) {
    EXPECT_OK((*file)->WriteAt(0, data));
    EXPECT_OK((*file)->SyncData());
    EXPECT_OK((*file)->ReadAt(0, back));
  }
  done = true;
  pest.join();
  sigaction(SIGUSR2, &before, nullptr);
  ASSERT_OK(file);
  EXPECT_TRUE(back == data);
}

TEST_F(PosixFileSystem, FullDiskIsNoSpace) {
  // A file too large for the process's limit is the nearest a regular file comes to a full disk
  // here.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    const auto file = fs_->Open(directory_ / "a", Mode::kCreate);
    if (!file.has_value()) _exit(3);
    // The first 4096 bytes are taken by a short write, the rest fails.
    const Status status = (*file)->WriteAt(0, Bytes(8192, std::byte{1}));
    _exit(!status.has_value() && status.error().code == ErrorCode::kNoSpace ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace coffer
