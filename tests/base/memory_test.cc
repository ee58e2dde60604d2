#include "core/base/memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/bytes.h"

namespace coffer {
namespace {

TEST(PhysicalMemory, IsAtLeastWhatATestNeeds) {
  EXPECT_GT(PhysicalMemoryBytes(), std::uint64_t{64} << 20);
  EXPECT_LT(PhysicalMemoryBytes(), std::uint64_t{1} << 50);
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
