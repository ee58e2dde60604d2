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

std::string Decoded(std::string_view text) {
  const auto decoded = SecretFromBase64(AsBytes(text));
  return decoded ? std::string(AsText(decoded->view())) : "none";
}

TEST(Base64, IsReadBack) {
  for (const char* text : {"", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\xfb"}) {
    EXPECT_EQ(Decoded(ToBase64(AsBytes(text))), text);
  }
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zm9", "Zg==Zg==", "====", "Z===", "Zh==", "Zm9v\n",
                           "Zm9-", "Zm 9", "=Zg="}) {
    EXPECT_EQ(Decoded(text), "none") << text;
  }
}

}  // namespace
}  // namespace coffer
