#include "core/cache/frame_cache.h"

#include <gtest/gtest.h>

namespace coffer::cache {
namespace {

FrameKey Key(std::uint32_t frame) { return {.pack = {}, .frame = frame}; }
std::shared_ptr<const Bytes> Plain(std::size_t size, int value) {
  return std::make_shared<const Bytes>(size, static_cast<std::byte>(value));
}

TEST(FrameCache, KeepsWithinItsBoundAndDropsTheLeastRecentlyUsed) {
  FrameCache cache(3000);
  cache.Insert(Key(1), Plain(1000, 1));
  cache.Insert(Key(2), Plain(1000, 2));
  cache.Insert(Key(3), Plain(1000, 3));
  ASSERT_NE(cache.Find(Key(1)), nullptr);
  cache.Insert(Key(4), Plain(1000, 4));
  EXPECT_EQ(cache.bytes(), 3000u);
  EXPECT_EQ(cache.Find(Key(2)), nullptr);
  ASSERT_NE(cache.Find(Key(1)), nullptr);
  EXPECT_EQ((*cache.Find(Key(4)))[0], std::byte{4});
}

TEST(FrameCache, DoesNotTakeWhatIsLargerThanItself) {
  FrameCache cache(100);
  cache.Insert(Key(1), Plain(101, 1));
  EXPECT_EQ(cache.Find(Key(1)), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(FrameCache, ASmallerBoundHoldsAtOnceAndZeroKeepsNothing) {
  FrameCache cache(3000);
  cache.Insert(Key(1), Plain(1000, 1));
  cache.Insert(Key(2), Plain(1000, 2));
  cache.SetBytesMax(1500);
  EXPECT_EQ(cache.bytes(), 1000u);
  EXPECT_EQ(cache.Find(Key(1)), nullptr);
  ASSERT_NE(cache.Find(Key(2)), nullptr);
  cache.SetBytesMax(0);
  cache.Insert(Key(3), Plain(1, 3));
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace coffer::cache
