#include "core/cache/s3_fifo.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace coffer::cache {
namespace {

constexpr std::uint32_t kBytes = 100;

/// A cache of `capacity` entries over the policy; entries are numbers, slots are reused.
class PolicyTest : public testing::Test {
 protected:
  PolicyTest() { order_.SetBytesMax(std::uint64_t{kCapacity} * kBytes); }

  bool Read(std::uint64_t entry) {
    if (const auto found = slots_.find(entry); found != slots_.end()) {
      order_.NoteRead(found->second);
      return true;
    }
    std::uint32_t slot = static_cast<std::uint32_t>(slots_.size());
    if (slots_.size() == kCapacity) {
      std::vector<std::uint32_t> moved;
      slot = order_.Evict(&moved).value();
      std::erase_if(slots_, [slot](const auto& one) { return one.second == slot; });
    }
    slots_[entry] = slot;
    order_.Insert(slot, entry, kBytes);
    order_.CheckInvariants();
    return false;
  }
  /// Reads entries [first, first + count) and returns how many were there.
  int ReadAll(std::uint64_t first, std::uint64_t count) {
    int hits = 0;
    for (std::uint64_t i = 0; i < count; ++i) hits += Read(first + i) ? 1 : 0;
    clock_.Advance(std::chrono::minutes(1));
    return hits;
  }

  static constexpr std::size_t kCapacity = 100;
  FakeClock clock_;
  S3Fifo order_{clock_};
  std::map<std::uint64_t, std::uint32_t> slots_;
};

TEST_F(PolicyTest, AHotSetSurvivesAScanFourTimesTheCachesSize) {
  constexpr int kHot = 60;
  for (int round = 0; round < 3; ++round) ReadAll(0, kHot);
  EXPECT_EQ(ReadAll(1000, 4 * kCapacity), 0);
  EXPECT_EQ(ReadAll(0, kHot), kHot);
}

TEST_F(PolicyTest, WhatIsReadAgainSoonAfterItWentComesToStay) {
  ReadAll(0, 150);                // 0 … 49 have gone, and are remembered
  EXPECT_EQ(ReadAll(10, 20), 0);  // they come back, into the main queue
  ReadAll(1000, 4 * kCapacity);
  EXPECT_EQ(ReadAll(10, 20), 20);
}

TEST_F(PolicyTest, ReadingAWindowManyTimesInOnePassMakesItNotHot) {
  for (std::uint64_t entry = 0; entry < 50; ++entry)
    for (int frame = 0; frame < 16; ++frame) Read(entry);
  ReadAll(1000, 4 * kCapacity);
  EXPECT_EQ(ReadAll(0, 50), 0);
}

TEST_F(PolicyTest, WhatWasHotIsForgottenInTheEnd) {
  for (int round = 0; round < 5; ++round) ReadAll(0, 80);
  for (int round = 0; round < 12; ++round) ReadAll(200, 95);
  EXPECT_GE(ReadAll(200, 95), 90);
}

TEST_F(PolicyTest, RemovedEntriesAreNoVictims) {
  ReadAll(0, 10);
  for (std::uint32_t slot = 0; slot < 10; slot += 2) order_.Remove(slot);
  order_.CheckInvariants();
  std::vector<std::uint32_t> moved;
  for (int left = 5; left > 0; --left) {
    const auto victim = order_.Evict(&moved);
    ASSERT_TRUE(victim.has_value());
    EXPECT_EQ(*victim % 2, 1U);
  }
  EXPECT_FALSE(order_.Evict(&moved).has_value());
}

TEST_F(PolicyTest, KeepsItsInvariantsUnderRandomUse) {
  SeededRandom random(TestSeed());
  for (int step = 0; step < 20'000; ++step) {
    Read(random.Below(random.OneIn(3) ? 40 : 400));
    if (random.OneIn(10)) clock_.Advance(std::chrono::seconds(random.Below(30)));
  }
}

}  // namespace
}  // namespace coffer::cache
