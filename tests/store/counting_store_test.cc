#include "core/store/counting_store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/base/log.h"
#include "core/store/memory_store.h"
#include "tests/support/faulty_store.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

TEST(CountingStore, CountsRequestsAndBytesByOperationAndClass) {
  CountingStore store(std::make_unique<MemoryStore>());
  ASSERT_OK(store.Create({}, "packs/ab/x", Bytes(1000, std::byte{1}), ObjectClass::kData));
  ASSERT_OK(store.Create({}, "packs/ab/y", Bytes(200, std::byte{1}), ObjectClass::kMetadata));
  ASSERT_OK(store.Create({}, "heads/v/1", Bytes(30, std::byte{1}), ObjectClass::kHead));
  ASSERT_OK(store.GetRange({}, "packs/ab/x", 10, 64));
  ASSERT_OK(store.Get({}, "heads/v/1", 100));
  ASSERT_OK(store.List({}, "heads/v/", "", 2));
  ASSERT_OK(store.Delete({}, "packs/ab/y"));

  const StoreCounts counts = store.counts();
  EXPECT_EQ(counts.Of(StoreOperation::kCreate, ObjectClass::kData),
            (StoreCount{.requests = 1, .bytes_up = 1000}));
  EXPECT_EQ(counts.Of(StoreOperation::kCreate, ObjectClass::kMetadata),
            (StoreCount{.requests = 1, .bytes_up = 200}));
  EXPECT_EQ(counts.Of(StoreOperation::kCreate, ObjectClass::kHead),
            (StoreCount{.requests = 1, .bytes_up = 30}));
  EXPECT_EQ(counts.Of(StoreOperation::kGetRange, ObjectClass::kData),
            (StoreCount{.requests = 1, .bytes_down = 64}));
  EXPECT_EQ(counts.Of(StoreOperation::kGet, ObjectClass::kHead),
            (StoreCount{.requests = 1, .bytes_down = 30}));
  EXPECT_EQ(counts.Of(StoreOperation::kList, ObjectClass::kHead), StoreCount{.requests = 1});
  EXPECT_EQ(counts.Of(StoreOperation::kDelete, ObjectClass::kData), StoreCount{.requests = 1});
  EXPECT_EQ(counts.Of(StoreOperation::kCreate), (StoreCount{.requests = 3, .bytes_up = 1230}));
  EXPECT_EQ(counts.Total(), (StoreCount{.requests = 7, .bytes_up = 1230, .bytes_down = 94}));
}

TEST(CountingStore, CountsFailuresButNotAnswers) {
  MemoryStore memory;
  auto owned = std::make_unique<FaultyStore>(memory);
  FaultyStore& faulty = *owned;
  CountingStore store(std::move(owned));
  ASSERT_OK(store.Create({}, "keys/1", AsBytes("x"), ObjectClass::kControl));
  EXPECT_FAILS(store.Create({}, "keys/1", AsBytes("x"), ObjectClass::kControl), kAlreadyExists);
  EXPECT_FAILS(store.Get({}, "keys/2", 1), kNotFound);
  EXPECT_EQ(store.counts().Total().failures, 0U);
  faulty.FailAll(ErrorCode::kUnavailable);
  EXPECT_FAILS(store.Create({}, "keys/2", AsBytes("x"), ObjectClass::kControl), kUnavailable);
  EXPECT_FAILS(store.Get({}, "keys/1", 1), kUnavailable);
  EXPECT_FAILS(store.GetRange({}, "keys/1", 0, 1), kUnavailable);
  EXPECT_FAILS(store.List({}, "", "", 1), kUnavailable);
  EXPECT_FAILS(store.Delete({}, "keys/1"), kUnavailable);
  EXPECT_EQ(store.counts().Total().failures, 5U);
  EXPECT_EQ(store.counts().Of(StoreOperation::kList).failures, 1U);
  EXPECT_EQ(store.counts().Total().bytes_down, 0U);
}

TEST(CountingStore, TellsWhatHappenedSince) {
  CountingStore store(std::make_unique<MemoryStore>());
  ASSERT_OK(store.Create({}, "keys/1", AsBytes("x"), ObjectClass::kControl));
  const StoreCounts before = store.counts();
  EXPECT_EQ(store.counts().Since(before).Total(), StoreCount{});
  ASSERT_OK(store.Get({}, "keys/1", 1));
  EXPECT_EQ(store.counts().Since(before).Total(), (StoreCount{.requests = 1, .bytes_down = 1}));
}

TEST(CountingStore, MissesNothingThatManyThreadsDo) {
  CountingStore store(std::make_unique<MemoryStore>());
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_OK(
            store.Create({}, Concat("packs/", id, "/", i), AsBytes("abc"), ObjectClass::kData));
        (void)store.counts();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.counts().Total(), (StoreCount{.requests = 2000, .bytes_up = 6000}));
}

}  // namespace
}  // namespace coffer::store
