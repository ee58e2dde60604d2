#include "core/store/webdav_place.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

Result<WebDavPlace> Resolve(const std::string& text) {
  ASSIGN_OR_RETURN(const StoreUrl url, ParseStoreUrl(text, "/", WebDavSchemes()));
  return ResolveWebDav(url);
}

TEST(WebDavPlace, SaysWhichServerAndWhereAndAsWhom) {
  ASSERT_OK_AND_ASSIGN(
      const WebDavPlace place,
      Resolve("webdavs://ann@Cloud.Example:443/remote.php/dav/files/ann%20b/coffer/"
              "?credentials_file=/home/ann/.pw&ca_file=/etc/ca.pem"));
  EXPECT_EQ(place.origin, "https://cloud.example");
  EXPECT_EQ(place.root, "/remote.php/dav/files/ann b/coffer");
  EXPECT_EQ(place.user, "ann");
  EXPECT_EQ(place.credentials_file, "/home/ann/.pw");
  EXPECT_EQ(place.ca_file, "/etc/ca.pem");
  EXPECT_FALSE(place.read_only);
  EXPECT_EQ(place.description.find("pw"), std::string::npos);
}

TEST(WebDavPlace, IsTheSamePlaceWhateverTheSpelling) {
  const auto identity = [](const std::string& text) {
    const auto place = Resolve(text);
    return place.has_value() ? place->identity : TextOf(place.error());
  };
  const std::string one = identity("webdavs://ann@cloud.example/a/b?credentials_file=/x");
  EXPECT_EQ(identity("WEBDAVS://ann@CLOUD.example:443//a/b/?credentials_file=/y"), one);
  EXPECT_NE(identity("webdavs://bob@cloud.example/a/b?credentials_file=/x"), one);
  EXPECT_NE(identity("webdavs://cloud.example/a/b"), one);
  EXPECT_NE(identity("webdavs://ann@cloud.example:8443/a/b?credentials_file=/x"), one);
  EXPECT_NE(identity("webdavs://ann@cloud.example/a/c?credentials_file=/x"), one);
}

TEST(WebDavPlace, IsUnencryptedToThisMachineAlone) {
  EXPECT_OK(Resolve("webdav://127.0.0.1:8090/x"));
  EXPECT_OK(Resolve("webdav://localhost/x"));
  EXPECT_OK(Resolve("webdav://[::1]:80/x"));
  for (const char* text : {"webdav://nas/x", "webdav://192.168.1.2/x",
                           "webdav://127.evil.example/x", "webdav://localhost.evil.example/x"}) {
    const auto place = Resolve(text);
    ASSERT_FAILS(place, kInvalidArgument) << text;
    EXPECT_NE(place.error().hint.find("webdavs://"), std::string::npos);
  }
}

TEST(WebDavPlace, TakesAUserWithAFileAndNoPassword) {
  EXPECT_FAILS(Resolve("webdavs://ann@cloud.example/x"), kInvalidArgument);
  EXPECT_FAILS(Resolve("webdavs://cloud.example/x?credentials_file=/y"), kInvalidArgument);
  EXPECT_FAILS(Resolve("webdavs://ann@cloud.example/x?credentials_file=y"), kInvalidArgument);
  const auto with_password = Resolve("webdavs://ann:hunter2@cloud.example/x");
  ASSERT_FAILS(with_password, kInvalidArgument);
  EXPECT_EQ(with_password.error().message.find("hunter2"), std::string::npos);
  EXPECT_NE(with_password.error().hint.find("credentials_file"), std::string::npos);
  EXPECT_FAILS(Resolve("webdavs://cloud.example/x?insecure=yes"), kInvalidArgument);
}

TEST(WebDavPlace, IsReadOnlyOverPlainHttps) {
  ASSERT_OK_AND_ASSIGN(const WebDavPlace place, Resolve("https://mirror.example/coffer"));
  EXPECT_TRUE(place.read_only);
  EXPECT_EQ(place.origin, "https://mirror.example");
  EXPECT_FAILS(Resolve("https://ann@mirror.example/coffer"), kInvalidArgument);
}

}  // namespace
}  // namespace coffer::store
