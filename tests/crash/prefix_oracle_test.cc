// The oracle itself: it must catch a disk that lies.
#include "tests/crash/prefix_oracle.h"

#include <gtest/gtest.h>

#include "tests/support/memory_device.h"

namespace coffer::crash {
namespace {

using block::kBlockSize;
using block::WriteFlag;

constexpr std::uint64_t kBlocks = 16;

class OracleTest : public ::testing::Test {
 protected:
  std::uint64_t Write(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t number = oracle_.Begin({Change::Kind::kWrite, first, count});
    Put(number, first, count);
    oracle_.Done(number);
    return number;
  }
  void Put(std::uint64_t number, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t block = first; block < first + count; ++block) {
      ASSERT_TRUE(
          device_.Write(block * kBlockSize, PrefixOracle::Content(number, block), WriteFlag::kNone)
              .has_value());
    }
  }
  void Erase(std::uint64_t block) {
    ASSERT_TRUE(device_.Write(block * kBlockSize, Bytes(kBlockSize, std::byte{0}), WriteFlag::kNone)
                    .has_value());
  }

  PrefixOracle oracle_{kBlocks};
  coffer::testing::MemoryDevice device_{kBlocks * kBlockSize};
};

TEST_F(OracleTest, WhatIsAllThereIsRight) {
  Write(0, 4);
  Write(2, 4);
  EXPECT_EQ(oracle_.Check(device_), "");
  EXPECT_EQ(oracle_.CheckAfterCrash(device_, Loss::kProcess), "");
}

TEST_F(OracleTest, AnAcknowledgedWriteThatAKillHasTakenIsALoss) {
  Write(0, 1);
  Write(1, 1);
  Erase(1);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kProcess), "");
}

TEST_F(OracleTest, APowerCutMayTakeWhatWasNotFlushedAndNoMore) {
  Write(0, 1);
  oracle_.Barrier();
  Write(1, 1);
  Erase(1);
  EXPECT_EQ(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
  Erase(0);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, ALaterWriteWithoutAnEarlierOneIsNoPrefix) {
  Write(0, 1);
  Write(1, 1);
  Erase(0);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, HalfARequestIsNoPrefix) {
  Write(0, 2);
  Erase(1);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, AnUnansweredRequestMayBeThereOrNot) {
  Write(0, 1);
  const std::uint64_t number = oracle_.Begin({Change::Kind::kWrite, 3, 2});
  PrefixOracle other = oracle_;
  EXPECT_EQ(oracle_.CheckAfterCrash(device_, Loss::kProcess), "");
  Put(number, 3, 2);
  EXPECT_EQ(other.CheckAfterCrash(device_, Loss::kProcess), "");
}

TEST_F(OracleTest, WhatACrashHasTakenMayNotComeBack) {
  const std::uint64_t number = Write(1, 1);
  Erase(1);
  ASSERT_EQ(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
  Write(5, 1);
  Put(number, 1, 1);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, WhatWasSeenAfterACrashMayNotGoInTheNext) {
  Write(1, 1);
  ASSERT_EQ(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
  Erase(1);
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, AnotherAddresssBytesAndTornBlocksAreSeen) {
  const std::uint64_t number = Write(1, 1);
  ASSERT_TRUE(device_.Write(2 * kBlockSize, PrefixOracle::Content(number, 1), WriteFlag::kNone)
                  .has_value());
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
  Erase(2);
  ASSERT_EQ(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
  ASSERT_TRUE(
      device_.Write(kBlockSize + 512, Bytes(512, std::byte{0}), WriteFlag::kNone).has_value());
  EXPECT_NE(oracle_.CheckAfterCrash(device_, Loss::kPower), "");
}

TEST_F(OracleTest, AnotherMachineMustHaveWhatIsCommitted) {
  const std::uint64_t committed = Write(0, 1);
  oracle_.Committed(committed);
  Write(1, 1);
  Erase(1);
  EXPECT_EQ(oracle_.CheckRemote(device_), "");
  Erase(0);
  EXPECT_NE(oracle_.CheckRemote(device_), "");
}

}  // namespace
}  // namespace coffer::crash
