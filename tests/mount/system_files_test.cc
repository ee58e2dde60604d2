#include "core/mount/system_files.h"

#include <gtest/gtest.h>

namespace coffer::mount {
namespace {

TEST(SystemFiles, AreReadWhole) {
  EXPECT_NE(ReadSystemFile("/proc/self/mountinfo").find(" - "), std::string::npos);
  EXPECT_EQ(ReadSystemLine("/proc/self/comm").find('\n'), std::string::npos);
  EXPECT_EQ(ReadSystemFile("/no/such/file"), "");
  EXPECT_TRUE(ListSystemDirectory("/no/such").empty());
  EXPECT_NE(ReadLink("/proc/self/exe"), "");
}

}  // namespace
}  // namespace coffer::mount
