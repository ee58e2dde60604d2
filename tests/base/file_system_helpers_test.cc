#include <gtest/gtest.h>

#include <cerrno>

#include "core/base/file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer {
namespace {

TEST(CreateDirectories, SurvivePowerCutsOnceTheyReturned) {
  FaultyFileSystem fs;
  ASSERT_OK(CreateDirectories(fs, "/a/b/c//"));
  fs.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const FileInfo info, fs.Stat("/a/b/c"));
  EXPECT_TRUE(info.is_directory);
  EXPECT_OK(CreateDirectories(fs, "/a/b/c"));
}

TEST(CreateDirectories, RunAgainAfterAKillAreDurable) {
  FaultyFileSystem probe;
  ASSERT_OK(CreateDirectories(probe, "/a/b"));
  for (std::uint64_t nth = 1; nth <= probe.change_count(); ++nth) {
    FaultyFileSystem fs;
    fs.HaltAt(nth);
    ASSERT_FALSE(CreateDirectories(fs, "/a/b").has_value());
    fs.Crash();
    ASSERT_OK(CreateDirectories(fs, "/a/b"));
    fs.PowerCut(CutMode::kDropAll);
    EXPECT_OK(fs.Stat("/a/b")) << "killed at change " << nth;
  }
}

TEST(CreateDirectories, RefuseAFileInTheWayAndRelativePaths) {
  FaultyFileSystem fs;
  fs.AddFile("/a/file", AsBytes("x"));
  EXPECT_FAILS(CreateDirectories(fs, "/a/file"), kInvalidArgument);
  EXPECT_FAILS(CreateDirectories(fs, "/a/file/b"), kInvalidArgument);
  EXPECT_FAILS(CreateDirectories(fs, "a/b"), kInvalidArgument);
  EXPECT_FAILS(CreateDirectories(fs, ""), kInvalidArgument);
}

TEST(ReadWholeFile, RefusesMoreThanExpectedBeforeReading) {
  FaultyFileSystem fs;
  fs.AddFile("/a", AsBytes("12345"));
  EXPECT_FAILS(ReadWholeFile(fs, "/a", 4), kInvalidArgument);
  EXPECT_EQ(fs.call_count(FsCall::kRead), 0U);
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, ReadWholeFile(fs, "/a", 5));
  EXPECT_EQ(AsText(bytes), "12345");
  EXPECT_FAILS(ReadWholeFile(fs, "/b", 5), kNotFound);
}

std::string Text(const FaultyFileSystem& fs, const std::string& path) {
  const auto contents = fs.Contents(path);
  return contents.has_value() ? std::string(AsText(*contents)) : "(none)";
}

TEST(ReplaceFile, IsDurableOnSuccess) {
  FaultyFileSystem fs;
  ASSERT_OK(ReplaceFile(fs, "/f", AsBytes("first")));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "first");
  ASSERT_OK(ReplaceFile(fs, "/f", AsBytes("second")));
  fs.PowerCut(CutMode::kDropAll);
  EXPECT_EQ(Text(fs, "/f"), "second");
}

TEST(ReplaceFile, LeavesOldOrNewWhereverThePowerGoes) {
  for (const CutMode mode :
       {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset, CutMode::kPrefix}) {
    for (std::uint64_t nth = 1; nth <= 6; ++nth) {
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        FaultyFileSystem fs(seed);
        fs.AddFile("/f", AsBytes("old"));
        fs.HaltAt(nth);
        const Status status = ReplaceFile(fs, "/f", Bytes(3000, std::byte{'n'}));
        fs.PowerCut(mode);
        const std::string text = Text(fs, "/f");
        const bool is_new = text == std::string(3000, 'n');
        EXPECT_TRUE(text == "old" || is_new) << text.size();
        EXPECT_TRUE(is_new || !status.has_value());
        ASSERT_OK(ReplaceFile(fs, "/f", AsBytes("next")));  // an old temporary is no hindrance
        EXPECT_EQ(fs.Files(), std::vector<std::string>{"/f"});
      }
    }
  }
}

TEST(ReplaceFile, KeepsTheOldOneWhenAnyCallFails) {
  FaultyFileSystem probe;
  probe.AddFile("/f", AsBytes("old"));
  ASSERT_OK(ReplaceFile(probe, "/f", AsBytes("new")));
  for (std::uint64_t nth = 1; nth <= probe.call_count(); ++nth) {
    FaultyFileSystem fs;
    fs.AddFile("/f", AsBytes("old"));
    fs.AddFault({.nth = nth, .error_number = EIO});
    EXPECT_FAILS(ReplaceFile(fs, "/f", AsBytes("new")), kIoError) << nth;
    EXPECT_EQ(fs.Contents("/f.tmp"), std::nullopt);
    const bool renamed = nth == probe.call_count();  // only SyncDirectory failed
    EXPECT_EQ(Text(fs, "/f"), renamed ? "new" : "old");
  }
}

}  // namespace
}  // namespace coffer
