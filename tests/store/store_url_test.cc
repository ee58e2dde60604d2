#include "core/store/store_url.h"

#include <gtest/gtest.h>

#include "core/store/open_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

std::string PathOf(std::string_view text) {
  const Result<StoreUrl> url = ParseStoreUrl(text, "/home/ann");
  return url.has_value() ? url->path : TextOf(url.error());
}

TEST(StoreUrl, TakesAnythingWithoutASchemeForAPath) {
  EXPECT_EQ(PathOf("/mnt/backup"), "/mnt/backup");
  EXPECT_EQ(PathOf("backup"), "/home/ann/backup");
  EXPECT_EQ(PathOf("./backup"), "/home/ann/backup");
  EXPECT_EQ(PathOf("../backup"), "/home/backup");
  EXPECT_EQ(PathOf("."), "/home/ann");
  EXPECT_EQ(PathOf("~/x"), "/home/ann/~/x");
  EXPECT_EQ(PathOf("./a:b"), "/home/ann/a:b");
  EXPECT_EQ(PathOf("/a:b"), "/a:b");
  EXPECT_EQ(PathOf("a b:c"), "/home/ann/a b:c");
  EXPECT_EQ(PathOf("1a:b"), "/home/ann/1a:b");
  EXPECT_EQ(PathOf(":b"), "/home/ann/:b");
  EXPECT_EQ(PathOf("/100%"), "/100%");
}

TEST(StoreUrl, GivesEveryPlaceOneSpelling) {
  for (const char* text :
       {"/mnt/backup/", "//mnt//backup", "/mnt/./backup/.", "/mnt/x/../backup", "/../mnt/backup",
        "../../mnt/backup", "file:///mnt/backup", "file:///mnt/backup/", "file:/mnt/backup",
        "FILE:///mnt/backup", "file://localhost/mnt/backup", "file:///mnt/%62ackup"}) {
    ASSERT_OK_AND_ASSIGN(const StoreUrl url, ParseStoreUrl(text, "/home/ann"));
    EXPECT_EQ(url, (StoreUrl{"file", "/mnt/backup"})) << text << " is " << url.ToString();
  }
  EXPECT_EQ(PathOf("/"), "/");
  EXPECT_EQ(PathOf("file:///"), "/");
}

TEST(StoreUrl, DecodesFileUrls) {
  EXPECT_EQ(PathOf("file:///mnt/my%20disk"), "/mnt/my disk");
  EXPECT_EQ(PathOf("file:///100%25"), "/100%");
  EXPECT_FAILS(ParseStoreUrl("file:///100%", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file:///%4", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file:///%zz", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file:///a%00b", "/"), kInvalidArgument);
}

TEST(StoreUrl, RefusesFileUrlsThatNameNoLocalPath) {
  EXPECT_FAILS(ParseStoreUrl("file:", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file://", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file:backup", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file://server/share", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("file://localhost", "/"), kInvalidArgument);
}

TEST(StoreUrl, NamesTheSchemeItDoesNotKnowAndThoseItDoes) {
  for (const char* text : {"s3://bucket/backups", "rclone:remote:path", "c:backup", "S3:x"}) {
    const Result<StoreUrl> url = ParseStoreUrl(text, "/");
    ASSERT_FAILS(url, kUnsupported);
    EXPECT_NE(url.error().message.find("file:"), std::string::npos) << url.error().message;
  }
  EXPECT_NE(ParseStoreUrl("S3://x", "/").error().message.find("'s3:'"), std::string::npos);
}

TEST(StoreUrl, RefusesTextThatIsNoPath) {
  EXPECT_FAILS(ParseStoreUrl("", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("a\nb", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl("a\x1b[31m", "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl(std::string_view("a\0b", 3), "/"), kInvalidArgument);
  EXPECT_FAILS(ParseStoreUrl(std::string(5000, 'a'), "/"), kInvalidArgument);
  EXPECT_EQ(PathOf("/fotos/\xc3\xbc"), "/fotos/\xc3\xbc");
}

TEST(StoreUrl, AliasIsTheLastPathPart) {
  const auto alias = [](std::string_view text) { return DefaultAlias(*ParseStoreUrl(text, "/")); };
  EXPECT_EQ(alias("/mnt/backup/").value_or(""), "backup");
  EXPECT_EQ(alias("file:///mnt/backup").value_or(""), "backup");
  EXPECT_FAILS(alias("/"), kInvalidArgument);
}

TEST(StoreUrl, OpensTheDirectoryItNames) {
  FaultyFileSystem fs;
  SeededRandom random(1);
  const StoreUrl url = *ParseStoreUrl("file:///backup", "/");
  EXPECT_FAILS(OpenStore(fs, random, url, StoreOpenMode::kExisting), kNotFound);
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenStore(fs, random, url, StoreOpenMode::kForInit));
    EXPECT_EQ(store->description(), "/backup");
    ASSERT_OK(store->Create("vault", AsBytes("marker"), ObjectClass::kControl));
  }
  EXPECT_OK(OpenStore(fs, random, url, StoreOpenMode::kExisting));
}

}  // namespace
}  // namespace coffer::store
