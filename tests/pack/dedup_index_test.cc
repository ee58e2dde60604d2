#include "core/pack/dedup_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace coffer::pack {
namespace {

ContentId RandomContent(std::mt19937_64& random) {
  ContentId id;
  StoreLe<std::uint64_t>(id.bytes.data(), random());
  StoreLe<std::uint64_t>(id.bytes.data() + 8, random());
  return id;
}

format::FrameRef RandomFrame(std::mt19937_64& random) {
  format::FrameRef frame{.key_epoch = 1,
                         .frame = static_cast<std::uint32_t>(1 + random() % 65000),
                         .offset = static_cast<std::uint32_t>(random() % (16u << 20)),
                         .stored_length = static_cast<std::uint32_t>(17 + random() % 262144),
                         .plain_length = static_cast<std::uint32_t>(1 + random() % 64) * 4096,
                         .codec = static_cast<std::uint8_t>(random() % 3)};
  frame.pack.bytes[0] = static_cast<std::byte>(random() % 100);
  return frame;
}

TEST(DedupIndex, FindsExactlyWhatWasPut) {
  std::mt19937_64 random(7);
  DedupIndex index;
  std::map<ContentId, format::FrameRef> model;
  for (int i = 0; i < 50000; ++i) {
    const ContentId id = RandomContent(random);
    model[id] = RandomFrame(random);
    index.Insert(id, model[id]);
  }
  std::size_t found = 0;
  for (const auto& [id, frame] : model) {
    const auto place = index.Find(id);
    if (!place.has_value()) continue;  // best effort
    ++found;
    ASSERT_EQ(*place, frame);
  }
  EXPECT_GT(found, model.size() * 98 / 100);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(index.Find(RandomContent(random)).has_value());
}

TEST(DedupIndex, StaysWithinItsBound) {
  std::mt19937_64 random(8);
  DedupIndex index(1024);
  for (int i = 0; i < 20000; ++i) index.Insert(RandomContent(random), RandomFrame(random));
  EXPECT_LE(index.size(), 1024u);
  EXPECT_GT(index.size(), 900u);
}

TEST(DedupIndex, ANewPlaceReplacesTheOld) {
  std::mt19937_64 random(9);
  DedupIndex index;
  const ContentId id = RandomContent(random);
  index.Insert(id, RandomFrame(random));
  const format::FrameRef frame = RandomFrame(random);
  index.Insert(id, frame);
  EXPECT_EQ(index.Find(id), frame);
  EXPECT_EQ(index.size(), 1u);
}

}  // namespace
}  // namespace coffer::pack
