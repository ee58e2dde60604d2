#include "core/base/memory.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(PhysicalMemory, IsAtLeastWhatATestNeeds) {
  EXPECT_GT(PhysicalMemoryBytes(), std::uint64_t{64} << 20);
  EXPECT_LT(PhysicalMemoryBytes(), std::uint64_t{1} << 50);
}

}  // namespace
}  // namespace coffer
