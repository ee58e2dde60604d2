#include "core/base/base64.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(Base64, MatchesRfc4648) {
  EXPECT_EQ(ToBase64({}), "");
  EXPECT_EQ(ToBase64(AsBytes("f")), "Zg==");
  EXPECT_EQ(ToBase64(AsBytes("fo")), "Zm8=");
  EXPECT_EQ(ToBase64(AsBytes("foo")), "Zm9v");
  EXPECT_EQ(ToBase64(AsBytes("foob")), "Zm9vYg==");
  EXPECT_EQ(ToBase64(AsBytes("fooba")), "Zm9vYmE=");
  EXPECT_EQ(ToBase64(AsBytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(ToBase64(AsBytes("\xff\xfe\xfb")), "//77");
}

}  // namespace
}  // namespace coffer
