// What every FileSystem does, the real one and the faulty one alike.
#include "core/base/file_system.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"

namespace coffer {
namespace {

using Mode = FileSystem::OpenMode;

struct Posix {
  ScratchDirectory directory;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::string root = directory.path();
};

struct Faulty {
  Faulty() { faulty->AddDirectories(root); }
  std::string root = "/root/dir";
  std::unique_ptr<FaultyFileSystem> faulty = std::make_unique<FaultyFileSystem>();
  FileSystem* fs = faulty.get();
};

template <class World>
class FileSystemConformance : public testing::Test {
 protected:
  FileSystem& fs() { return *world_.fs; }
  std::string At(const std::string& name) { return world_.root + "/" + name; }

  void Put(const std::string& name, std::string_view text) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs().Open(At(name), Mode::kCreate));
    ASSERT_OK(file->WriteAt(0, AsBytes(text)));
  }
  std::string Got(const std::string& name) {
    const Result<Bytes> bytes = ReadWholeFile(fs(), At(name), 1 << 20);
    return bytes.has_value() ? std::string(AsText(*bytes)) : TextOf(bytes.error());
  }

 private:
  World world_;
};

using Worlds = testing::Types<Posix, Faulty>;
TYPED_TEST_SUITE(FileSystemConformance, Worlds);

TYPED_TEST(FileSystemConformance, OpenModesSayWhatMustBeThere) {
  EXPECT_FAILS(this->fs().Open(this->At("a"), Mode::kRead), kNotFound);
  EXPECT_FAILS(this->fs().Open(this->At("a"), Mode::kReadWrite), kNotFound);
  EXPECT_OK(this->fs().Open(this->At("a"), Mode::kCreate));
  EXPECT_FAILS(this->fs().Open(this->At("a"), Mode::kCreate), kAlreadyExists);
  EXPECT_OK(this->fs().Open(this->At("a"), Mode::kOpenOrCreate));
  EXPECT_OK(this->fs().Open(this->At("b"), Mode::kOpenOrCreate));
  EXPECT_OK(this->fs().Open(this->At("b"), Mode::kReadWrite));
  EXPECT_FAILS(this->fs().Open(this->At("none/c"), Mode::kCreate), kNotFound);
  EXPECT_FAILS(this->fs().Open(this->At("a/c"), Mode::kCreate), kInvalidArgument);
}

TYPED_TEST(FileSystemConformance, ADirectoryIsNoFile) {
  ASSERT_OK(this->fs().CreateDirectory(this->At("d")));
  EXPECT_FAILS(this->fs().Open(this->At("d"), Mode::kRead), kInvalidArgument);
  EXPECT_FAILS(this->fs().Open(this->At("d"), Mode::kReadWrite), kInvalidArgument);
}

TYPED_TEST(FileSystemConformance, ReadsEndWithTheFile) {
  this->Put("a", "0123456789");
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kRead));
  Bytes out(8);
  ASSERT_OK_AND_ASSIGN(std::size_t count, file->ReadAt(1, out));
  EXPECT_EQ(count, 8U);
  EXPECT_EQ(AsText(out), "12345678");
  ASSERT_OK_AND_ASSIGN(count, file->ReadAt(6, out));
  EXPECT_EQ(count, 4U);
  ASSERT_OK_AND_ASSIGN(count, file->ReadAt(10, out));
  EXPECT_EQ(count, 0U);
  EXPECT_FALSE(file->WriteAt(0, AsBytes("x")).has_value());
}

TYPED_TEST(FileSystemConformance, GapsAndGrownTailsAreZeros) {
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kCreate));
  ASSERT_OK(file->WriteAt(3, AsBytes("abc")));
  ASSERT_OK(file->Truncate(4));
  ASSERT_OK(file->Truncate(8));
  EXPECT_EQ(this->Got("a"), std::string("\0\0\0a\0\0\0\0", 8));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t size, file->Size());
  EXPECT_EQ(size, 8U);
}

TYPED_TEST(FileSystemConformance, AllocateGrowsAndNeverShrinks) {
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kCreate));
  const Status status = file->Allocate(10000);
  if (!status.has_value() && status.error().code == ErrorCode::kUnsupported) {
    GTEST_SKIP() << "this file system cannot allocate";
  }
  ASSERT_OK(status);
  ASSERT_OK(file->Allocate(100));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t size, file->Size());
  EXPECT_EQ(size, 10000U);
}

TYPED_TEST(FileSystemConformance, DiscardedBytesAreZerosAndTheSizeStays) {
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kCreate));
  ASSERT_OK(file->WriteAt(0, AsBytes(std::string(3 * 4096, 'x'))));
  const Status status = file->Discard(4096, 4096);
  if (!status.has_value() && status.error().code == ErrorCode::kUnsupported) {
    GTEST_SKIP() << "this file system cannot give space back";
  }
  ASSERT_OK(status);
  ASSERT_OK(file->Discard(3 * 4096, 4096));  // beyond the end: nothing to do
  EXPECT_EQ(this->Got("a"),
            std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
}

TYPED_TEST(FileSystemConformance, RenameReplaces) {
  this->Put("a", "new");
  this->Put("b", "old");
  ASSERT_OK(this->fs().Rename(this->At("a"), this->At("b")));
  EXPECT_EQ(this->Got("b"), "new");
  EXPECT_FAILS(this->fs().Stat(this->At("a")), kNotFound);
  EXPECT_FAILS(this->fs().Rename(this->At("a"), this->At("b")), kNotFound);
}

TYPED_TEST(FileSystemConformance, LinkAndRenameNoReplaceKeepWhatIsThere) {
  this->Put("a", "mine");
  this->Put("b", "theirs");
  EXPECT_FAILS(this->fs().Link(this->At("a"), this->At("b")), kAlreadyExists);
  EXPECT_FAILS(this->fs().RenameNoReplace(this->At("a"), this->At("b")), kAlreadyExists);
  EXPECT_EQ(this->Got("b"), "theirs");
  ASSERT_OK(this->fs().Link(this->At("a"), this->At("c")));
  ASSERT_OK(this->fs().RenameNoReplace(this->At("a"), this->At("d")));
  ASSERT_OK(this->fs().Remove(this->At("d")));
  EXPECT_EQ(this->Got("c"), "mine");
  EXPECT_FAILS(this->fs().Link(this->At("a"), this->At("e")), kNotFound);
}

TYPED_TEST(FileSystemConformance, ListsNamesInOrder) {
  this->Put("b", "");
  this->Put("B", "");
  this->Put("a.x", "");
  ASSERT_OK(this->fs().CreateDirectory(this->At("a")));
  ASSERT_OK_AND_ASSIGN(const auto names, this->fs().List(this->At("")));
  EXPECT_EQ(names, (std::vector<std::string>{"B", "a", "a.x", "b"}));
  EXPECT_FAILS(this->fs().List(this->At("none")), kNotFound);
  EXPECT_FAILS(this->fs().List(this->At("b")), kInvalidArgument);
}

TYPED_TEST(FileSystemConformance, DirectoriesGoOnlyWhenEmpty) {
  ASSERT_OK(this->fs().CreateDirectory(this->At("d")));
  EXPECT_FAILS(this->fs().CreateDirectory(this->At("d")), kAlreadyExists);
  this->Put("d/a", "");
  EXPECT_FAILS(this->fs().RemoveDirectory(this->At("d")), kAlreadyExists);
  ASSERT_OK(this->fs().Remove(this->At("d/a")));
  EXPECT_FAILS(this->fs().Remove(this->At("d/a")), kNotFound);
  ASSERT_OK(this->fs().RemoveDirectory(this->At("d")));
  EXPECT_FAILS(this->fs().RemoveDirectory(this->At("d")), kNotFound);
}

TYPED_TEST(FileSystemConformance, StatTellsKindSizeAndMode) {
  this->Put("a", "12345");
  ASSERT_OK(this->fs().CreateDirectory(this->At("d")));
  ASSERT_OK_AND_ASSIGN(const FileInfo file, this->fs().Stat(this->At("a")));
  EXPECT_EQ(file.size, 5U);
  EXPECT_EQ(file.mode, 0600U);
  EXPECT_FALSE(file.is_directory);
  ASSERT_OK_AND_ASSIGN(const FileInfo directory, this->fs().Stat(this->At("d")));
  EXPECT_EQ(directory.mode, 0700U);
  EXPECT_TRUE(directory.is_directory);
  ASSERT_OK_AND_ASSIGN(const auto open, this->fs().Open(this->At("a"), Mode::kRead));
  ASSERT_OK(this->fs().Remove(this->At("a")));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, open->Info());  // of the file, whatever its name
  EXPECT_EQ(info.size, 5U);
  EXPECT_EQ(info.mode, 0600U);
}

TYPED_TEST(FileSystemConformance, ALockHasOneHolder) {
  ASSERT_OK_AND_ASSIGN(auto held, this->fs().Lock(this->At("lock")));
  EXPECT_FAILS(this->fs().Lock(this->At("lock")), kConflict);
  EXPECT_OK(this->fs().Lock(this->At("other")));
  held.reset();
  EXPECT_OK(this->fs().Lock(this->At("lock")));
}

TYPED_TEST(FileSystemConformance, SyncsAndSpaceAreAnswered) {
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kCreate));
  EXPECT_OK(file->SyncData());
  EXPECT_OK(this->fs().SyncDirectory(this->At("")));
  EXPECT_FAILS(this->fs().SyncDirectory(this->At("none")), kNotFound);
  ASSERT_OK_AND_ASSIGN(const SpaceInfo space, this->fs().Space(this->At("")));
  EXPECT_GT(space.total_bytes, 0U);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

TYPED_TEST(FileSystemConformance, PositionedCallsRunAtOnce) {
  ASSERT_OK_AND_ASSIGN(const auto file, this->fs().Open(this->At("a"), Mode::kCreate));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&file, t] {
      const Bytes data(512, static_cast<std::byte>('a' + t));
      for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_OK(file->WriteAt((4 * i + t) * 512, data));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string all = this->Got("a");
  ASSERT_EQ(all.size(), 4U * 20 * 512);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i], static_cast<char>('a' + i / 512 % 4)) << i;
  }
}

}  // namespace
}  // namespace coffer
