#include "tests/support/fake_image.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

TEST(FakeImage, HoldsWhatAVectorOfBytesHolds) {
  SeededRandom random(TestSeed());
  FakeImage image;
  Bytes model;
  for (int i = 0; i < 2000; ++i) {
    const std::size_t offset = random.Below(20'000);
    const std::size_t length = random.Below(9'000);
    switch (random.Below(4)) {
      case 0:
        image.Resize(offset);
        model.resize(offset, std::byte{0});
        break;
      case 1:
        image.Zero(offset, length);
        if (offset < model.size())
          std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(offset),
                      std::min(length, model.size() - offset), std::byte{0});
        break;
      default: {
        const Bytes data = random.OneIn(3) ? Bytes(length, std::byte{0}) : random.NewBytes(length);
        image.Write(offset, data);
        model.resize(std::max(model.size(), offset + length), std::byte{0});
        std::copy(data.begin(), data.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
      }
    }
    ASSERT_EQ(image.size(), model.size());
    ASSERT_EQ(image.Contents(), model);
  }
}

TEST(FakeImage, ACopyStaysAsItWas) {
  FakeImage image(Bytes(10'000, std::byte{1}));
  const FakeImage copy = image;
  image.Write(4'000, Bytes(200, std::byte{2}));
  image.Zero(9'000, 10);
  image.Resize(9'500);
  EXPECT_EQ(copy.Contents(), Bytes(10'000, std::byte{1}));
}

TEST(FakeImage, ReadsNothingBeyondItsEnd) {
  const FakeImage image(Bytes(100, std::byte{1}));
  Bytes out(50);
  EXPECT_EQ(image.Read(80, out), 20u);
  EXPECT_EQ(image.Read(100, out), 0u);
  EXPECT_EQ(image.Read(5'000, out), 0u);
}

}  // namespace
}  // namespace coffer
