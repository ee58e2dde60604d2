// What holds for every decoder: it gives back what was encoded, accepts one encoding of each value,
// and survives any truncation, extension or change of a byte.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/format/structures.h"

namespace coffer::format {
namespace {

constexpr int kSamples = 60;

std::uint64_t FreshSeed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("COFFER_TEST_SEED");
    const std::uint64_t value =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("COFFER_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

/// Whatever decodes must be the one encoding of what it decodes to.
void ExpectCanonicalOrRefused(const Structure& structure, ByteView bytes) {
  const Result<Bytes> again = structure.recode(bytes);
  if (!again.has_value()) {
    EXPECT_TRUE(again.error().code == ErrorCode::kCorruption ||
                again.error().code == ErrorCode::kUnsupported ||
                again.error().code == ErrorCode::kNotFound)
        << again.error().message;
    return;
  }
  EXPECT_TRUE(std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()));
}

class EveryStructure : public testing::TestWithParam<std::size_t> {
 protected:
  const Structure& structure() const { return Structures()[GetParam()]; }
};

TEST_P(EveryStructure, SurvivesEncodingAndDecoding) {
  for (int i = 0; i < kSamples; ++i) {
    const std::uint64_t seed = FreshSeed() + static_cast<std::uint64_t>(i);
    EXPECT_TRUE(structure().survives(seed)) << structure().name << " of seed " << seed;
  }
}

TEST_P(EveryStructure, IsRefusedWhenCutAnywhere) {
  const Bytes encoded = structure().encode_sample(FreshSeed());
  for (std::size_t length = 0; length < encoded.size(); ++length) {
    const Bytes cut(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(length));
    if (structure().extent == Extent::kOpenEnded && length >= structure().bytes_min) break;
    EXPECT_FALSE(structure().recode(cut).has_value()) << structure().name << " cut to " << length;
  }
}

TEST_P(EveryStructure, IsCanonicalOrRefusedWhenAnyByteChanges) {
  Bytes encoded = structure().encode_sample(FreshSeed());
  if (encoded.size() > 3000) encoded = structure().encode_sample(FreshSeed() + 1);
  for (std::size_t at = 0; at < std::min<std::size_t>(encoded.size(), 3000); ++at) {
    const std::byte right = encoded[at];
    for (const unsigned change : {0x01u, 0x80u, 0xffu, 0x10u, 0x7fu}) {
      encoded[at] = right ^ static_cast<std::byte>(change);
      ExpectCanonicalOrRefused(structure(), encoded);
    }
    encoded[at] = right;
  }
}

TEST_P(EveryStructure, IsCanonicalOrRefusedWhenManyBytesChange) {
  std::mt19937_64 engine(FreshSeed());
  for (int i = 0; i < 400; ++i) {
    Bytes bytes = structure().encode_sample(FreshSeed() + static_cast<std::uint64_t>(i));
    for (std::uint64_t changes = 1 + engine() % 6; changes > 0; --changes) {
      const std::size_t at = engine() % bytes.size();
      if (engine() % 4 == 0)
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<std::byte>(engine()));
      else if (engine() % 3 == 0 && bytes.size() > 1)
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
      else
        bytes[at] = static_cast<std::byte>(engine());
    }
    if (structure().extent == Extent::kBeginning)
      bytes.resize(structure().encode_sample(FreshSeed()).size());
    ExpectCanonicalOrRefused(structure(), bytes);
  }
}

TEST_P(EveryStructure, MindsWhatFollows) {
  const Bytes encoded = structure().encode_sample(FreshSeed());
  for (const unsigned follower : {0x00u, 0x01u, 0x80u}) {
    Bytes longer = encoded;
    longer.push_back(static_cast<std::byte>(follower));
    const Result<Bytes> again = structure().recode(longer);
    switch (structure().extent) {
      case Extent::kWhole:
        EXPECT_FALSE(again.has_value());
        break;
      case Extent::kBeginning:
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(*again, encoded);
        break;
      case Extent::kOpenEnded:
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(*again, longer);
        break;
    }
  }
}

std::string NameOf(const testing::TestParamInfo<std::size_t>& tested) {
  std::string name = Structures()[tested.param].name;
  std::erase(name, ' ');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Format, EveryStructure,
                         testing::Range<std::size_t>(0, Structures().size()), NameOf);

}  // namespace
}  // namespace coffer::format
