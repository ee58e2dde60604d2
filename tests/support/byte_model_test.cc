#include "tests/support/byte_model.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(ByteModel, RemembersWritesAndZeros) {
  ByteModel model(8);
  model.Write(2, AsBytes("abcd"));
  model.Zero(3, 2);
  EXPECT_EQ(AsText(model.view()), std::string("\0\0a\0\0d\0\0", 8));
  EXPECT_EQ(AsText(model.Read(5, 1)), "d");
}

TEST(ByteModel, GrowsWithZerosAfterForgettingItsTail) {
  ByteModel model(4);
  model.Write(0, AsBytes("abcd"));
  model.Resize(2);
  model.Resize(4);
  EXPECT_EQ(AsText(model.view()), std::string("ab\0\0", 4));
}

TEST(ByteModel, NamesTheFirstByteThatDiffers) {
  ByteModel model(8);
  model.Write(0, AsBytes("abcdefgh"));
  EXPECT_EQ(model.FirstDifference(2, AsBytes("cdef")), std::nullopt);
  EXPECT_EQ(model.FirstDifference(2, AsBytes("cdXf")), 4U);
}

}  // namespace
}  // namespace coffer
