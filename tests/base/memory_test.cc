#include "core/base/memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/bytes.h"
#include "tests/support/temporary_directory.h"

namespace coffer {
namespace {

TEST(PhysicalMemory, IsAtLeastWhatATestNeeds) {
  EXPECT_GT(PhysicalMemoryBytes(), std::uint64_t{64} << 20);
  EXPECT_LT(PhysicalMemoryBytes(), std::uint64_t{1} << 50);
}

class ControlGroups : public testing::Test {
 protected:
  void Put(const std::string& path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(root_.path() + path).parent_path());
    std::ofstream(root_.path() + path) << text;
  }
  [[nodiscard]] std::uint64_t Limit() const { return ControlGroupMemoryLimit(root_.path()); }

  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  TemporaryDirectory root_;
};

TEST_F(ControlGroups, TheLeastLimitOfAllAboveHolds) {
  EXPECT_EQ(Limit(), kNone);
  Put("/proc/self/cgroup", "0::/user.slice/app.service\n");
  EXPECT_EQ(Limit(), kNone);
  Put("/sys/fs/cgroup/user.slice/app.service/memory.max", "max\n");
  EXPECT_EQ(Limit(), kNone);
  Put("/sys/fs/cgroup/user.slice/memory.max", "314572800\n");
  EXPECT_EQ(Limit(), 314'572'800U);
  Put("/sys/fs/cgroup/user.slice/app.service/memory.max", "209715200\n");
  EXPECT_EQ(Limit(), 209'715'200U);
  Put("/sys/fs/cgroup/memory.max", "1000\n");  // a container's own top
  EXPECT_EQ(Limit(), 1000U);
}

TEST_F(ControlGroups, VersionOneIsReadWhereMemoryIsItsOwn) {
  Put("/proc/self/cgroup", "5:cpu,memory:/box/a\n4:pids:/x\nnonsense\n0::/\n");
  Put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "5000\n");
  Put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "7\n");
  EXPECT_EQ(Limit(), 5000U);
}

TEST(UsableMemory, IsNoMoreThanThereIs) {
  EXPECT_LE(UsableMemoryBytes(), PhysicalMemoryBytes());
  EXPECT_GT(UsableMemoryBytes(), 0U);
}

/// capabilities(7): CapEff in /proc/self/status.
bool MayBecomeIoFlusher() {
  constexpr int kSysResource = 24;
  std::ifstream status("/proc/thread-self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("CapEff:"))
      return std::stoull(line.substr(7), nullptr, 16) >> kSysResource & 1;
  }
  return false;
}

TEST(BecomeIoFlusher, HoldsForThreadsStartedLaterWhereItIsAllowed) {
  std::thread([] {  // in a thread that ends, so that it holds for no other test
    const bool allowed = MayBecomeIoFlusher();
    EXPECT_EQ(BecomeIoFlusher(), allowed);
    int later = -1;
    std::thread([&later] { later = prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0); }).join();
    EXPECT_EQ(later, allowed ? 1 : -1);  // without the right it must not even be asked for
  })
      .join();
  EXPECT_NE(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 1);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
std::uint64_t ResidentPages() {
  unsigned long size = 0;
  unsigned long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fscanf(file, "%lu %lu", &size, &resident), 2);
  std::fclose(file);
  return resident;
}

TEST(ReturnFreeMemory, GivesBackWhatLiesBetweenAllocationsInUse) {
  constexpr std::size_t kBlocks = 1024;
  constexpr std::uint64_t kPagesPerBlock = 8;
  std::vector<std::unique_ptr<Bytes>> freed;
  std::vector<std::unique_ptr<Bytes>> kept;  // so that the heap's end cannot simply move down
  for (std::size_t i = 0; i < kBlocks; ++i) {
    freed.push_back(std::make_unique<Bytes>(kPagesPerBlock * 4096, std::byte{1}));
    kept.push_back(std::make_unique<Bytes>(1000, std::byte{1}));
  }
  freed.clear();
  const std::uint64_t before = ResidentPages();
  ReturnFreeMemory();
  EXPECT_LT(ResidentPages() + kBlocks * (kPagesPerBlock - 2), before);
}

TEST(KeepFreedMemory, WhatIsFreedIsThereWithoutAFaultUntilItIsGivenBack) {
  constexpr std::size_t kBytes = std::size_t{24} << 20;  // of its own mapping, by default
  KeepFreedMemory();
  std::make_unique<Bytes>(kBytes, std::byte{1}).reset();
  const std::uint64_t kept = ResidentPages();
  ReturnFreeMemory();
  EXPECT_LT(ResidentPages() + kBytes / 4096 / 2, kept);
}
#endif

}  // namespace
}  // namespace coffer
