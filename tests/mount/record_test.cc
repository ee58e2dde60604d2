#include "core/mount/record.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

Record Sample() {
  Record record;
  record.boot = "b1";
  record.image = "/run/a\nb%.img";
  record.point = {"/home/me/my photos", false, 0755};
  record.way = "udisks";
  record.device = "/dev/loop3";
  record.object = "/org/loop3";
  record.link = "/media/me/photos";
  return record;
}

TEST(Record, ComesBackAsItWasWritten) {
  const TemporaryDirectory directory;
  const auto fs = NewPosixFileSystem();
  const std::string path = directory / "mount";
  ASSERT_OK_AND_ASSIGN(const auto none, ReadRecord(*fs, path));
  EXPECT_FALSE(none.has_value());
  ASSERT_OK(WriteRecord(*fs, path, Sample()));
  ASSERT_OK_AND_ASSIGN(const auto read, ReadRecord(*fs, path));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(EncodeRecord(*read), EncodeRecord(Sample()));
  EXPECT_EQ(read->image, Sample().image);
  EXPECT_EQ(read->point.path, "/home/me/my photos");
  EXPECT_EQ(read->point.mode, 0755U);
  EXPECT_FALSE(read->point.existed);
  ASSERT_OK(RemoveRecord(*fs, path));
  ASSERT_OK(RemoveRecord(*fs, path));
}

TEST(Record, WordsOfTheFutureAreLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const Record read, DecodeRecord(EncodeRecord(Sample()) + "colour blue\n"));
  EXPECT_EQ(read.link, "/media/me/photos");
}

TEST(Record, WhatIsNotWholeIsNotActedUpon) {
  const std::string text = EncodeRecord(Sample());
  EXPECT_FAILS(DecodeRecord(""), kCorruption);
  EXPECT_FAILS(DecodeRecord("coffer-mount 2\n"), kCorruption);
  EXPECT_FAILS(DecodeRecord("coffer-mount 1\nimage /a\n"), kCorruption);
  EXPECT_FAILS(DecodeRecord(text + "directory gone 0755 /a\n"), kCorruption);
  EXPECT_FAILS(DecodeRecord(text + "directory made 9 /a\n"), kCorruption);
  EXPECT_FAILS(DecodeRecord(text + "device %zz\n"), kCorruption);
}

TEST(Record, IsDurableWhenItIsWritten) {
  FaultyFileSystem fs;
  ASSERT_OK(CreateDirectories(fs, "/state"));
  ASSERT_OK(WriteRecord(fs, "/state/mount", Sample()));
  fs.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const auto read, ReadRecord(fs, "/state/mount"));
  EXPECT_TRUE(read.has_value());
}

}  // namespace
}  // namespace coffer::mount
