// What a journal takes on its disk: blocks, not lengths, and of its own files alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/cache/journal_segment.h"
#include "tests/support/result_macros.h"
#include "tests/support/scratch_directory.h"

namespace coffer::cache {
namespace {

TEST(SegmentBytesOnDisk, CountsBlocksOfSegmentsAlone) {
  const ScratchDirectory directory;
  const auto fs = NewPosixFileSystem();
  EXPECT_EQ(SegmentBytesOnDisk(*fs, directory.path() + "/none"), 0u);
  std::ofstream(directory.path() + "/0000.seg");
  ASSERT_EQ(truncate((directory.path() + "/0000.seg").c_str(), 64 << 20), 0);
  EXPECT_LT(SegmentBytesOnDisk(*fs, directory.path()), std::uint64_t{1} << 20);  // a hole
  std::ofstream(directory.path() + "/0001.seg") << std::string(1 << 20, 'x');
  std::ofstream(directory.path() + "/desktop.ini") << std::string(1 << 20, 'x');
  std::ofstream(directory.path() + "/0002.seg.partial") << std::string(1 << 20, 'x');
  std::filesystem::create_directories(directory.path() + "/0003.seg/deep");
  ::sync();  // blocks may be given late
  const std::uint64_t bytes = SegmentBytesOnDisk(*fs, directory.path());
  EXPECT_GE(bytes, std::uint64_t{1} << 20);
  EXPECT_LT(bytes, std::uint64_t{2} << 20);
}

}  // namespace
}  // namespace coffer::cache
