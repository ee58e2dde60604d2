// What is mounted where, and who holds it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/mount_holders.h"
#include "core/base/mount_table.h"
#include "core/base/shell_words.h"
#include "core/base/unique_fd.h"
#include "tests/support/temporary_directory.h"

namespace coffer {
namespace {

TEST(MountTable, TakesPlaceTypeAndSourceAndUndoesEscapes) {
  const auto entries = ParseMountTable(
      "22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw\n"
      "36 28 0:32 / /home/a\\040b/m\\134n rw,nodev shared:7 master:2 - fuse.coffer coffer rw,fd=3\n"
      "garbage\n"
      "1 2 3 4 5 - only-a-type\n"
      "- - -\n");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].mount_point, "/sys");
  EXPECT_EQ(entries[1].mount_point, "/home/a b/m\\n");
  EXPECT_EQ(entries[1].type, "fuse.coffer");
  EXPECT_EQ(entries[1].source, "coffer");
}

TEST(MountTable, KnowsWhatThisMachineHasMounted) {
  const auto proc = FindMount("/proc");
  ASSERT_TRUE(proc.has_value() && proc->has_value());
  EXPECT_EQ((*proc)->type, "proc");
  const auto none = FindMount("/proc/self");
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
}

std::string HowThisProcessHolds(const std::string& directory) {
  const auto holders = FindMountHolders(directory);
  const auto self = std::find_if(holders.begin(), holders.end(),
                                 [](const MountHolder& holder) { return holder.pid == getpid(); });
  return self == holders.end() ? "not at all" : self->how;
}

TEST(MountHolders, AreProcessesThatWorkInADirectoryOrHaveAFileOpenOrMapped) {
  const TemporaryDirectory directory;
  const std::string& held = directory.path();
  EXPECT_EQ(HowThisProcessHolds(held), "not at all");
  WriteTestFile(directory / "data", "bytes");
  {
    UniqueFd file(open((directory / "data").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(HowThisProcessHolds(held), "has data open");
    EXPECT_EQ(HowThisProcessHolds(held + "/da"), "not at all");
    EXPECT_NE(DescribeHolders(FindMountHolders(held)).find("has data open"), std::string::npos);
    void* const mapping = mmap(nullptr, 5, PROT_READ, MAP_PRIVATE, file.get(), 0);
    ASSERT_NE(mapping, MAP_FAILED);
    file = UniqueFd();
    EXPECT_EQ(HowThisProcessHolds(held), "has data mapped");
    munmap(mapping, 5);
  }
  ASSERT_EQ(chdir(held.c_str()), 0);
  EXPECT_EQ(HowThisProcessHolds(held), "works in it");
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_EQ(HowThisProcessHolds(held), "not at all");
}

TEST(ShellWords, AreQuotedWhereAShellWouldTakeThemApart) {
  EXPECT_EQ(ShellQuoted("/home/me/photos-1.img"), "/home/me/photos-1.img");
  EXPECT_EQ(ShellQuoted("/home/me/my photos"), "'/home/me/my photos'");
  EXPECT_EQ(ShellQuoted("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuoted(""), "''");
}

TEST(MountHolders, AreDescribedInALineThatStaysShort) {
  EXPECT_EQ(DescribeHolders({}), "");
  EXPECT_EQ(DescribeHolders({{7, "ba\nsh", "works in it"}, {0, "loop3", "is a device on a.img"}}),
            "ba\\nsh (pid 7) works in it, loop3 is a device on a.img");
  const std::vector<MountHolder> many(20, {1, "x", "works in it"});
  EXPECT_NE(DescribeHolders(many).find("and 12 more"), std::string::npos);
}

}  // namespace
}  // namespace coffer
