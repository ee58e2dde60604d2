#include "core/format/wire.h"

#include <gtest/gtest.h>

#include "tests/format/golden_values.h"

namespace coffer::format {
namespace {

Bytes Of(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::uint64_t ReadVarint(const Bytes& bytes, bool* ok) {
  Reader in(bytes, "test");
  const std::uint64_t value = in.Varint();
  *ok = in.End().has_value();
  return value;
}

TEST(Writer, WritesVarintsInTheirShortestForm) {
  const std::vector<std::pair<std::uint64_t, Bytes>> expected = {
      {0, Of({0})},
      {127, Of({0x7f})},
      {128, Of({0x80, 0x01})},
      {16383, Of({0xff, 0x7f})},
      {16384, Of({0x80, 0x80, 0x01})},
      {~std::uint64_t{0}, Of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})}};
  for (const auto& [value, bytes] : expected) {
    Writer out(1);
    out.Varint(value);
    EXPECT_EQ(out.Take(), bytes) << value;
    bool ok = false;
    EXPECT_EQ(ReadVarint(bytes, &ok), value);
    EXPECT_TRUE(ok);
  }
}

TEST(Reader, RefusesVarintsThatAreLongerThanNeedBe) {
  bool ok = true;
  for (const Bytes& bytes : {Of({0x80, 0x00}), Of({0xff, 0x80, 0x00}),
                             Of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}),
                             Of({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}),
                             Of({0x80}), Of({})}) {
    EXPECT_EQ(ReadVarint(bytes, &ok), 0u);
    EXPECT_FALSE(ok) << ToHex(bytes);
  }
}

TEST(Reader, KeepsItsFirstErrorAndGivesZerosAfterIt) {
  const Bytes bytes = Seq(1, 20);
  Reader in(bytes, "test");
  EXPECT_EQ(in.U8(), 1u);
  in.Corrupt("the first thing");
  in.Newer("the second thing");
  EXPECT_EQ(in.U64(), 0u);
  EXPECT_EQ(in.Count(100, 1), 0u);
  EXPECT_TRUE(in.Take(1).empty());
  EXPECT_TRUE(in.Text(10).empty());
  const Status status = in.End();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
  EXPECT_EQ(status.error().message, "test: the first thing (at byte 1)");
}

TEST(Reader, SaysThatANewerCofferIsNeeded) {
  const Bytes bytes = Seq(1, 4);
  Reader in(bytes, "test");
  in.Newer("unknown feature");
  const Status status = in.status();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(status.error().message, "test: unknown feature: this needs a newer coffer");
  EXPECT_FALSE(status.error().hint.empty());
}

TEST(Reader, HoldsCountsAgainstLimitAndRemainingBytes) {
  const Bytes bytes = Of({10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(Reader(bytes, "test").Count(10, 1), 10u);
  EXPECT_EQ(Reader(bytes, "test").Count(9, 1), 0u);
  EXPECT_EQ(Reader(bytes, "test").Count(10, 2), 0u);
}

TEST(Reader, RefusesBytesLeftOver) {
  const Bytes bytes = Seq(1, 3);
  Reader in(bytes, "test");
  EXPECT_EQ(in.U16(), 0x0201u);
  EXPECT_TRUE(in.status().has_value());
  EXPECT_FALSE(in.End().has_value());
}

TEST(Writer, GrowsAndKeepsWhatItHas) {
  Writer out(1);
  for (unsigned i = 0; i < 5000; ++i) out.U8(static_cast<std::uint8_t>(i));
  out.Zeros(3000);
  Bytes expected = Seq(0, 5000);
  expected.resize(8000, std::byte{0});
  EXPECT_EQ(out.size(), 8000u);
  EXPECT_EQ(out.Take(), expected);
}

TEST(WriterDeathTest, NeverPassesTheEndOfAFixedBuffer) {
  Bytes room(8);
  Writer out{MutableByteView(room)};
  out.U64(1);
  EXPECT_DEATH(out.U8(1), "");
}

}  // namespace
}  // namespace coffer::format
