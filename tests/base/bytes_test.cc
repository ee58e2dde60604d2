#include "core/base/bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

TEST(Bytes, DoesWhatAVectorDoes) {
  SeededRandom random(TestSeed());
  Bytes bytes;
  std::vector<std::byte> model;
  for (int i = 0; i < 3000; ++i) {
    const auto place = static_cast<std::ptrdiff_t>(random.Below(model.size() + 1));
    const std::size_t count = random.Below(40);
    const auto value = static_cast<std::byte>(random.Below(256));
    const Bytes part = random.NewBytes(count);
    Bytes::iterator at;
    switch (random.Below(9)) {
      case 0:
        bytes.push_back(value);
        model.push_back(value);
        break;
      case 1:
        at = bytes.insert(bytes.begin() + place, part.begin(), part.end());
        EXPECT_EQ(at - bytes.begin(), place);
        model.insert(model.begin() + place, part.begin(), part.end());
        break;
      case 2:
        at = bytes.insert(bytes.begin() + place, count, value);
        EXPECT_EQ(at - bytes.begin(), place);
        model.insert(model.begin() + place, count, value);
        break;
      case 3:
        bytes.insert(bytes.begin() + place, value);
        model.insert(model.begin() + place, value);
        break;
      case 4:
        bytes.resize(model.size() + count, value);
        model.resize(model.size() + count, value);
        break;
      case 5:
        bytes.resize(static_cast<std::size_t>(place));
        model.resize(static_cast<std::size_t>(place));
        break;
      case 6:
        bytes.reserve(random.Below(5000));
        break;
      case 7:
        bytes.erase(bytes.begin() + place, bytes.end());
        model.erase(model.begin() + place, model.end());
        break;
      default:
        if (!random.OneIn(20)) break;
        bytes.assign(part.begin(), part.end());
        model.assign(part.begin(), part.end());
    }
    ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), model.begin(), model.end())) << i;
  }
}

TEST(Bytes, CopiesAreApartAndMovesLeaveNothingBehind) {
  Bytes first{std::byte{1}, std::byte{2}};
  Bytes second = first;
  second[0] = std::byte{9};
  EXPECT_EQ(first, (Bytes{std::byte{1}, std::byte{2}}));
  first = second;
  EXPECT_EQ(first, second);
  const std::byte* place = second.data();
  const Bytes third = std::move(second);
  EXPECT_EQ(third.data(), place);
  EXPECT_EQ(third, first);
  EXPECT_EQ(Bytes(third.begin() + 1, third.end()), Bytes(1, std::byte{2}));
  EXPECT_EQ(ToBytes({}), Bytes());
}

TEST(IsZero, SeesASingleBitAnywhere) {
  for (const std::size_t size : {1U, 7U, 31U, 32U, 33U, 63U, 64U, 65U, 4096U, 4099U}) {
    Bytes bytes(size, std::byte{0});
    EXPECT_TRUE(IsZero(bytes)) << size;
    for (std::size_t place = 0; place < size; place += 1 + size / 100) {
      bytes[place] = std::byte{0x80};
      EXPECT_FALSE(IsZero(bytes)) << place << " of " << size;
      bytes[place] = std::byte{0};
    }
    bytes.back() = std::byte{1};
    EXPECT_FALSE(IsZero(bytes)) << size;
  }
}

TEST(IsZero, HoldsForNothing) { EXPECT_TRUE(IsZero({})); }

TEST(Hex, ComesBackAsItWas) {
  SeededRandom random(TestSeed());
  for (std::size_t size = 0; size < 40; ++size) {
    const Bytes bytes = random.NewBytes(size);
    Bytes back(size);
    ASSERT_TRUE(FromHex(ToHex(bytes), back));
    EXPECT_EQ(back, bytes);
  }
  EXPECT_EQ(ToHex(AsBytes("\x01\xab")), "01ab");
}

TEST(Hex, RefusesOtherSpellings) {
  std::array<std::byte, 2> out{};
  for (const char* text :
       {"", "0", "01a", "01abc", "01abcd", "01aB", "01ag", " 1ab", "01a ", "0x01"}) {
    EXPECT_FALSE(FromHex(text, out)) << text;
  }
}

TEST(ConstantTimeEqual, ComparesEveryByte) {
  const Bytes a = ToBytes(AsBytes("some secret tag"));
  EXPECT_TRUE(ConstantTimeEqual(a, Bytes(a)));
  EXPECT_FALSE(ConstantTimeEqual(a, ByteView(a).first(a.size() - 1)));
  for (std::size_t i = 0; i < a.size(); ++i) {
    Bytes b = a;
    b[i] ^= std::byte{0x10};
    EXPECT_FALSE(ConstantTimeEqual(a, b)) << i;
  }
}

TEST(LittleEndian, IntegersComeBackFromUnalignedPlaces) {
  std::array<std::byte, 9> place{};
  StoreLe<std::uint64_t>(&place[1], 0x0102030405060708U);
  EXPECT_EQ(place[1], std::byte{8});
  EXPECT_EQ(place[8], std::byte{1});
  EXPECT_EQ(LoadLe<std::uint64_t>(&place[1]), 0x0102030405060708U);
  EXPECT_EQ(LoadLe<std::uint16_t>(&place[1]), 0x0708U);
}

TEST(Id, IsNullUntilFilled) {
  SeededRandom random(TestSeed());
  EXPECT_TRUE(VaultId{}.IsNull());
  const auto id = random.NewId<VaultId>();
  EXPECT_FALSE(id.IsNull());
  EXPECT_EQ(VaultId::From(id.view()), id);
  EXPECT_EQ(id.ToString().size(), 32U);
}

}  // namespace
}  // namespace coffer
