#include "core/store/store_url.h"

#include <gtest/gtest.h>

#include "core/store/open_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

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
    EXPECT_EQ(url, (StoreUrl{"file", "", "", "/mnt/backup", {}}))
        << text << " is " << url.ToString();
  }
  EXPECT_EQ(PathOf("/"), "/");
  EXPECT_EQ(PathOf("file:///"), "/");
}

TEST(StoreUrl, DecodesFileUrls) {
  EXPECT_EQ(PathOf("file:///mnt/my%20disk"), "/mnt/my disk");
  EXPECT_EQ(PathOf("file:///100%25"), "/100%");
  EXPECT_EQ(PathOf("file:///mnt/%C3%BC%2d"), "/mnt/\xc3\xbc-");
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
  for (const char* text : {"ftp://host/backups", "dropbox:remote:path", "c:backup", "FTP:x"}) {
    const Result<StoreUrl> url = ParseStoreUrl(text, "/");
    ASSERT_FAILS(url, kUnsupported);
    EXPECT_NE(url.error().message.find("file:"), std::string::npos) << url.error().message;
  }
  EXPECT_NE(ParseStoreUrl("FTP://x", "/").error().message.find("'ftp:'"), std::string::npos);
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

constexpr std::string_view kBucketOptions[] = {"endpoint", "region"};
constexpr SchemeRules kSchemes[] = {
    {"s3", SchemeRules::Host::kBucket, SchemeRules::User::kNone, kBucketOptions, "keys: ~/.aws"},
    {"sftp", SchemeRules::Host::kServer, SchemeRules::User::kOptional, {}, "keys: ~/.ssh"},
};

Result<StoreUrl> Parse(std::string_view text) { return ParseStoreUrl(text, "/", kSchemes); }

TEST(StoreUrl, ReadsUserHostPathAndOptions) {
  ASSERT_OK_AND_ASSIGN(const StoreUrl bucket,
                       Parse("s3://My.bucket_1/a/b?region=eu-west-1&endpoint=http://[::1]:80/x"));
  EXPECT_EQ(bucket, (StoreUrl{"s3",
                              "",
                              "My.bucket_1",
                              "a/b",
                              {{"endpoint", "http://[::1]:80/x"}, {"region", "eu-west-1"}}}));
  EXPECT_EQ(bucket.Option("region"), "eu-west-1");
  EXPECT_EQ(bucket.Option("profile"), "");
  ASSERT_OK_AND_ASSIGN(const StoreUrl server, Parse("sftp://Ann%40x@NAS.local:2222/Vault"));
  EXPECT_EQ(server, (StoreUrl{"sftp", "Ann@x", "nas.local:2222", "Vault", {}}));
  ASSERT_OK_AND_ASSIGN(const StoreUrl numbers, Parse("sftp://[::1]:22/x"));
  EXPECT_EQ(numbers.host, "[::1]:22");
}

TEST(StoreUrl, GivesEveryUrlOneSpelling) {
  for (const char* text : {"s3://bucket/a/b", "S3://bucket/a/b/", "s3://bucket//a//b",
                           "s3://bucket/%61/b", "s3://bucket/a/b?"}) {
    ASSERT_OK_AND_ASSIGN(const StoreUrl url, Parse(text));
    EXPECT_EQ(url.ToString(), "s3://bucket/a/b") << text;
  }
  EXPECT_EQ(Parse("s3://bucket")->ToString(), "s3://bucket");
  EXPECT_EQ(Parse("s3://bucket/")->ToString(), "s3://bucket");
  EXPECT_NE(*Parse("s3://bucket/A"), *Parse("s3://bucket/a"));
  EXPECT_EQ(*Parse("s3://bucket?region=x&endpoint=y"), *Parse("s3://bucket?endpoint=y&region=x"));
}

TEST(StoreUrl, IsReadBackAsItIsWritten) {
  for (const char* text :
       {"/mnt/my disk%", "s3://bucket", "s3://bucket/a/b?endpoint=https://h:1/p%26q%3dr&region=x",
        "s3://bucket/sp%20ace/100%25/a%3fb%23c/\xc3\xbc+&=@:", "sftp://a%40b%3ac@host:22/x/y"}) {
    ASSERT_OK_AND_ASSIGN(const StoreUrl url, Parse(text));
    ASSERT_OK_AND_ASSIGN(const StoreUrl again, Parse(url.ToString()));
    EXPECT_EQ(url, again) << url.ToString();
  }
}

TEST(StoreUrl, RefusesAPasswordAndRepeatsNothingOfIt) {
  for (const char* text :
       {"s3://AKIAX:hunter2/x+y@bucket/a", "s3://AKIAX:hunter2@bucket", "s3://hunter2@bucket",
        "sftp://ann:hunter2@host/x", "sftp://ann:hunter2", "sftp://ann:@host/hunter2",
        "s3://AKIAX:hunter2", "ftp://ann:hunter2@host/x", "s3://u:hunter2%@b"}) {
    const Result<StoreUrl> url = Parse(text);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(TextOf(url.error()).find("hunter2"), std::string::npos) << TextOf(url.error());
    EXPECT_EQ(url.error().hint.find("hunter2"), std::string::npos) << url.error().hint;
  }
  EXPECT_EQ(Parse("s3://a:b@bucket").error().hint, "keys: ~/.aws");
  EXPECT_OK(Parse("sftp://host:22/mail/a:b@c"));
  EXPECT_OK(Parse("s3://bucket/a:b@c"));
}

TEST(StoreUrl, NamesTheOptionItDoesNotKnowAndThoseItDoes) {
  const Result<StoreUrl> url = Parse("s3://bucket?regoin=x");
  ASSERT_FAILS(url, kInvalidArgument);
  EXPECT_NE(url.error().message.find("'regoin'"), std::string::npos) << url.error().message;
  EXPECT_EQ(url.error().hint, "there are: endpoint, region");
  EXPECT_FAILS(Parse("sftp://host/x?region=y"), kInvalidArgument);
}

TEST(StoreUrl, RefusesUrlsThatNameNoPlace) {
  for (const char* text : {"s3:bucket",
                           "s3:/bucket",
                           "s3://",
                           "s3:///a",
                           "s3://ab",
                           "s3://bucket:80/a",
                           "s3://.bucket",
                           "s3://a..b",
                           "s3://bu%63ket",
                           "s3://bucket/../a",
                           "s3://bucket/./a",
                           "s3://bucket/a#b",
                           "s3://bucket/a%",
                           "s3://bucket/a%0ab",
                           "s3://bucket?region",
                           "s3://bucket?region=",
                           "s3://bucket?region=a&region=b",
                           "s3://bucket?region=%0a",
                           "sftp://",
                           "sftp://@host/x",
                           "sftp://host:x/",
                           "sftp://host:/x",
                           "sftp://:22/x",
                           "sftp://ho st/x"}) {
    EXPECT_FAILS(Parse(text), kInvalidArgument) << text;
  }
}

TEST(StoreUrl, AliasIsTheHostWhereThereIsNoPath) {
  EXPECT_EQ(DefaultAlias(*Parse("s3://bucket/a/photos")).value_or(""), "photos");
  EXPECT_EQ(DefaultAlias(*Parse("s3://bucket?region=x")).value_or(""), "bucket");
  EXPECT_EQ(DefaultAlias(*Parse("sftp://ann@host:22")).value_or(""), "host");
}

TEST(StoreUrl, OpensTheDirectoryItNames) {
  FaultyFileSystem fs;
  SeededRandom random(1);
  FakeClock clock;
  SimExecutor waiting(clock, 1);
  const StoreEnvironment env{fs, clock, random, waiting};
  const StoreUrl url = *ParseStoreUrl("file:///backup", "/");
  EXPECT_FAILS(OpenStore(env, url, StoreOpenMode::kExisting), kNotFound);
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenStore(env, url, StoreOpenMode::kForInit));
    EXPECT_EQ(store->description(), "/backup");
    ASSERT_OK(store->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl));
  }
  EXPECT_OK(OpenStore(env, url, StoreOpenMode::kExisting));
}

}  // namespace
}  // namespace coffer::store
