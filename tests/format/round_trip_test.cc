// What holds for every decoder: it gives back what was encoded, accepts one encoding of each value,
// and survives any truncation, extension or change of a byte.
#include <gtest/gtest.h>

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
    // A sealed object's ciphertext may be any length: only its tag tells that bytes are missing.
    if (structure().name.starts_with("sealed ") && length >= 48 + 16) break;
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
    const std::string& name = structure().name;
    // These read a prefix of a longer file and leave the rest alone.
    if (name == "pack prefix" || name == "segment prefix" || name == "group header")
      bytes.resize(structure().encode_sample(FreshSeed()).size());
    ExpectCanonicalOrRefused(structure(), bytes);
  }
}

TEST_P(EveryStructure, RefusesBytesAtItsEnd) {
  const std::string& name = structure().name;
  if (name == "pack prefix" || name == "segment prefix" || name == "group header" ||
      name.starts_with("sealed "))
    GTEST_SKIP() << "reads the beginning of something longer";
  Bytes encoded = structure().encode_sample(FreshSeed());
  encoded.push_back(std::byte{0});
  EXPECT_FALSE(structure().recode(encoded).has_value());
  encoded.back() = std::byte{1};
  EXPECT_FALSE(structure().recode(encoded).has_value());
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
