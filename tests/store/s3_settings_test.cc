#include "core/store/s3_settings.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

class S3SettingsTest : public testing::Test {
 protected:
  Result<S3Settings> Resolve(std::string_view text) {
    ASSIGN_OR_RETURN(const StoreUrl url, ParseStoreUrl(text, "/", S3Schemes()));
    return ResolveS3(
        fs_,
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        },
        "/home/ann", url);
  }
  /// "region https://host/path", or the error.
  std::string ServerOf(std::string_view text) {
    const auto settings = Resolve(text);
    if (!settings.has_value()) return TextOf(settings.error());
    EXPECT_TRUE(settings->origin.ends_with("://" + settings->host));
    return settings->scope.region + " " + settings->origin + settings->base_path;
  }

  FaultyFileSystem fs_;
  std::map<std::string, std::string> environment_;
};

TEST_F(S3SettingsTest, PutsTheBucketIntoTheHostAtAwsAndIntoThePathElsewhere) {
  EXPECT_EQ(ServerOf("s3://bucket/a"), "us-east-1 https://bucket.s3.us-east-1.amazonaws.com");
  EXPECT_EQ(ServerOf("s3://bucket?region=cn-north-1"),
            "cn-north-1 https://bucket.s3.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(ServerOf("s3://my.bucket"), "us-east-1 https://s3.us-east-1.amazonaws.com/my.bucket");
  EXPECT_EQ(ServerOf("s3://Bucket"), "us-east-1 https://s3.us-east-1.amazonaws.com/Bucket");
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=https://S3.Example:8443/"),
            "us-east-1 https://s3.example:8443/bucket");
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=s3.example&addressing_style=virtual"),
            "us-east-1 https://bucket.s3.example");
  EXPECT_EQ(ServerOf("s3://bucket?addressing_style=path"),
            "us-east-1 https://s3.us-east-1.amazonaws.com/bucket");
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=https://h/base/"), "us-east-1 https://h/base/bucket");
  EXPECT_EQ(ServerOf("gs://bucket/a"), "auto https://storage.googleapis.com/bucket");
}

TEST_F(S3SettingsTest, LeavesOutThePortThatTheSchemeHasAnyway) {
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=https://h:443"), "us-east-1 https://h/bucket");
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=http://localhost:80"),
            "us-east-1 http://localhost/bucket");
  EXPECT_EQ(ServerOf("s3://bucket?endpoint=http://localhost:443"),
            "us-east-1 http://localhost:443/bucket");
}

TEST_F(S3SettingsTest, RefusesPlainHttpToOtherMachines) {
  for (const char* host : {"http://127.0.0.1:9000", "http://localhost", "http://[::1]:80",
                           "http://s3.localhost:7480", "HTTP://127.1.2.3"}) {
    EXPECT_OK(Resolve(std::string("s3://bucket?endpoint=") + host)) << host;
  }
  for (const char* host : {"http://s3.example", "http://10.0.0.1:9000", "http://127.0.0.1.example",
                           "http://localhost.example", "http://[::2]"}) {
    const auto settings = Resolve(std::string("s3://bucket?endpoint=") + host);
    ASSERT_FAILS(settings, kInvalidArgument) << host;
    EXPECT_NE(settings.error().hint.find("https://"), std::string::npos);
  }
  environment_ = {{"AWS_ENDPOINT_URL", "http://s3.example"}};
  EXPECT_FAILS(Resolve("s3://bucket"), kInvalidArgument);
}

TEST_F(S3SettingsTest, TakesRegionAndEndpointFromWhereTheAwsToolsDo) {
  fs_.AddDirectories("/home/ann/.aws");
  ASSERT_OK(ReplaceFile(fs_, "/home/ann/.aws/config",
                        AsBytes("[default]\nregion=eu-west-1\nendpoint_url=https://config\n"
                                "[profile other]\nregion=eu-west-2\n")));
  EXPECT_EQ(ServerOf("s3://bucket"), "eu-west-1 https://config/bucket");
  EXPECT_EQ(ServerOf("s3://bucket?profile=other"),
            "eu-west-2 https://bucket.s3.eu-west-2.amazonaws.com");
  EXPECT_EQ(Resolve("s3://bucket?profile=other")->keys.profile, "other");
  EXPECT_TRUE(Resolve("s3://bucket?profile=other")->keys.files_only);
  environment_["AWS_PROFILE"] = "other";
  EXPECT_EQ(Resolve("s3://bucket")->scope.region, "eu-west-2");
  EXPECT_FALSE(Resolve("s3://bucket")->keys.files_only);
  environment_["AWS_DEFAULT_REGION"] = "eu-west-3";
  EXPECT_EQ(Resolve("s3://bucket")->scope.region, "eu-west-3");
  environment_["AWS_REGION"] = "eu-west-4";
  environment_["AWS_ENDPOINT_URL"] = "https://all";
  EXPECT_EQ(ServerOf("s3://bucket"), "eu-west-4 https://all/bucket");
  environment_["AWS_ENDPOINT_URL_S3"] = "https://s3";
  EXPECT_EQ(ServerOf("s3://bucket?region=x"), "x https://s3/bucket");
  EXPECT_EQ(ServerOf("gs://bucket"), "auto https://storage.googleapis.com/bucket");
}

TEST_F(S3SettingsTest, KeepsGooglesKeysApartFromAwss) {
  environment_["AWS_PROFILE"] = "other";
  const auto google = Resolve("gs://bucket");
  EXPECT_EQ(google->keys.profile, "gs");
  EXPECT_EQ(google->keys.access_variable, "GS_ACCESS_KEY_ID");
}

TEST_F(S3SettingsTest, TakesACredentialsFileOfTheUsersOwn) {
  const auto named = Resolve("s3://bucket?credentials_file=~/keys");
  ASSERT_OK(named);
  EXPECT_EQ(named->keys.credentials_file, "/home/ann/keys");
  EXPECT_EQ(named->keys.config_file, "");
  EXPECT_TRUE(named->keys.files_only);
  EXPECT_FAILS(Resolve("s3://bucket?credentials_file=keys"), kInvalidArgument);
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = "/a";
  environment_["AWS_CONFIG_FILE"] = "/b";
  EXPECT_EQ(Resolve("s3://bucket")->keys.credentials_file, "/a");
  EXPECT_EQ(Resolve("s3://bucket")->keys.config_file, "/b");
}

TEST_F(S3SettingsTest, IdentityIsThePlaceWhateverTheSpelling) {
  const std::string identity = Resolve("s3://bucket/a?endpoint=https://h")->identity;
  for (const char* same : {"s3://bucket/a/?endpoint=h", "s3://bucket/a?endpoint=https://H:443/",
                           "s3://bucket/a?endpoint=h&region=x&profile=default",
                           "s3://bucket/a?endpoint=h&storage_class=STANDARD_IA"}) {
    EXPECT_EQ(Resolve(same)->identity, identity) << same;
  }
  for (const char* other : {"s3://bucket/b?endpoint=h", "s3://bucket2/a?endpoint=h",
                            "s3://bucket/a?endpoint=h2", "s3://bucket/a"}) {
    EXPECT_NE(Resolve(other)->identity, identity) << other;
  }
}

TEST_F(S3SettingsTest, RefusesOptionsThatCannotBe) {
  for (const char* text :
       {"s3://bucket?region=a%20b", "s3://bucket?region=a/b", "s3://bucket?storage_class=standard",
        "s3://bucket?storage_class=GLACIER", "s3://bucket?storage_class=DEEP_ARCHIVE",
        "s3://bucket?addressing_style=x", "s3://b.b?addressing_style=virtual",
        "s3://bucket?endpoint=ftp://h", "s3://bucket?endpoint=https://",
        "s3://bucket?endpoint=a%20b", "s3://bucket?endpoint=https://user:pass%40h",
        "s3://bucket?endpoint=https://h/%3fx"}) {
    EXPECT_FAILS(Resolve(text), kInvalidArgument) << text;
  }
  EXPECT_OK(Resolve("s3://bucket?storage_class=GLACIER_IR"));
}

}  // namespace
}  // namespace coffer::store
