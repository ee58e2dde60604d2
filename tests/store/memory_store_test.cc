#include "core/store/memory_store.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

TEST(MemoryStore, RestoreGoesBackToTheSnapshot) {
  MemoryStore store;
  ASSERT_OK(store.Create({}, "a", AsBytes("old"), ObjectClass::kData));
  const MemoryStore::Objects before = store.Snapshot();
  ASSERT_OK(store.Delete({}, "a"));
  ASSERT_OK(store.Create({}, "a", AsBytes("new"), ObjectClass::kData));
  ASSERT_OK(store.Create({}, "b", AsBytes("more"), ObjectClass::kData));
  EXPECT_EQ(store.object_count(), 2U);
  EXPECT_EQ(store.total_bytes(), 7U);
  store.Restore(before);
  EXPECT_EQ(store.object_count(), 1U);
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, store.Get({}, "a", 10));
  EXPECT_EQ(AsText(bytes), "old");
}

TEST(MemoryStore, ServesAnEditedSnapshot) {
  MemoryStore store;
  ASSERT_OK(store.Create({}, "a", AsBytes("of a"), ObjectClass::kData));
  ASSERT_OK(store.Create({}, "b", AsBytes("of b"), ObjectClass::kData));
  MemoryStore::Objects objects = store.Snapshot();
  std::swap(objects["a"], objects["b"]);
  store.Restore(objects);
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, store.Get({}, "a", 10));
  EXPECT_EQ(AsText(bytes), "of b");
}

}  // namespace
}  // namespace coffer::store
