// The system calls of the file system, interrupted by signals and doing less than asked: nobody
// above FileSystem sees either. The calls below stand before libc's in this program.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"
#include "tests/support/seeded_random.h"

namespace {

bool g_troubled = false;
int g_interrupted = 0;
int g_shortened = 0;

/// Two of three calls end with EINTR.
bool Interrupted() {
  static int calls = 0;
  if (!g_troubled || ++calls % 3 == 0) return false;
  ++g_interrupted;
  errno = EINTR;
  return true;
}

std::size_t Shortened(std::size_t count) {
  if (!g_troubled || count < 2) return count;
  ++g_shortened;
  return std::min<std::size_t>((count + 1) / 2, 700);
}

}  // namespace

extern "C" {

ssize_t pread(int fd, void* out, std::size_t count, off_t offset) {
  if (Interrupted()) return -1;
  return syscall(SYS_pread64, fd, out, Shortened(count), offset);
}
ssize_t pwrite(int fd, const void* data, std::size_t count, off_t offset) {
  if (Interrupted()) return -1;
  return syscall(SYS_pwrite64, fd, data, Shortened(count), offset);
}
int fdatasync(int fd) { return Interrupted() ? -1 : static_cast<int>(syscall(SYS_fdatasync, fd)); }
int fsync(int fd) { return Interrupted() ? -1 : static_cast<int>(syscall(SYS_fsync, fd)); }
int ftruncate(int fd, off_t size) noexcept {
  return Interrupted() ? -1 : static_cast<int>(syscall(SYS_ftruncate, fd, size));
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
  return Interrupted() ? -1 : static_cast<int>(syscall(SYS_fallocate, fd, mode, offset, length));
}

}  // extern "C"

namespace coffer {
namespace {

TEST(InterruptedCalls, AreGoneOnWithUntilTheyAreDone) {
  const ScratchDirectory scratch;
  const auto fs = NewPosixFileSystem();
  SeededRandom random(TestSeed());
  const Bytes data = random.NewBytes(10'000);
  Bytes read(20'000);
  g_troubled = true;
  const auto file = fs->Open(scratch / "file", FileSystem::OpenMode::kCreate);
  ASSERT_OK(file);
  EXPECT_OK((*file)->Allocate(20'000));
  EXPECT_OK((*file)->WriteAt(5'000, data));
  EXPECT_OK((*file)->SyncData());
  EXPECT_OK(fs->SyncDirectory(scratch.path()));
  const auto count = (*file)->ReadAt(5'000, read);
  EXPECT_OK((*file)->Discard(0, 4096));
  EXPECT_OK((*file)->Truncate(5'000));
  g_troubled = false;
  ASSERT_OK(count);
  EXPECT_EQ(*count, 15'000u);
  EXPECT_TRUE(std::equal(data.begin(), data.end(), read.begin()));
  EXPECT_GT(g_interrupted, 20);
  EXPECT_GT(g_shortened, 20);
}

}  // namespace
}  // namespace coffer
