#include "core/store/aws_files.h"

#include <gtest/gtest.h>

#include <array>

#include "core/store/s3_credentials.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

std::string SecretText(const SecretBytes& secret) { return std::string(AsText(secret.view())); }

constexpr std::string_view kFile =
    "# a comment\r\n"
    "[default]\r\n"
    "aws_access_key_id = AKIADEFAULT\r\n"
    "aws_secret_access_key=s3cr=et/+\r\n"
    "\n"
    "[profile work]\n"
    "  ; indented comment\n"
    "region = eu-west-1\n"
    "s3 =\n"
    "    max_concurrent_requests = 20\n"
    "    endpoint_url = http://indented\n"
    "aws_access_key_id\t=\tAKIAWORK\n"
    "aws_secret_access_key = work\n"
    "aws_session_token = token\n"
    "[ profile  \"two words\" ]\n"
    "region = x\n"
    "[work2]\n"
    "region = y";

std::optional<AwsProfile> Find(std::string_view text, const std::string& profile) {
  auto found = FindAwsProfile(AsBytes(text), profile);
  EXPECT_OK(found);
  return found.has_value() ? std::move(*found) : std::nullopt;
}

TEST(AwsFiles, ReadsAProfile) {
  const auto plain = Find(kFile, "default");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->access_key, "AKIADEFAULT");
  EXPECT_EQ(SecretText(plain->secret_key), "s3cr=et/+");
  EXPECT_TRUE(plain->session_token.empty());
  const auto work = Find(kFile, "work");
  ASSERT_TRUE(work.has_value());
  EXPECT_EQ(work->access_key, "AKIAWORK");
  EXPECT_EQ(SecretText(work->secret_key), "work");
  EXPECT_EQ(SecretText(work->session_token), "token");
  EXPECT_EQ(work->settings,
            (std::map<std::string, std::string>{{"region", "eu-west-1"}, {"s3", ""}}));
  EXPECT_EQ(Find(kFile, "two words")->settings.at("region"), "x");
  EXPECT_EQ(Find(kFile, "work2")->settings.at("region"), "y");
  EXPECT_FALSE(Find(kFile, "none").has_value());
  EXPECT_FALSE(Find("", "default").has_value());
}

TEST(AwsFiles, TakesTokensOfAnyLength) {
  const std::string token(5000, 't');
  const auto found = Find("[a]\naws_session_token = " + token + "\n", "a");
  EXPECT_EQ(SecretText(found->session_token), token);
}

TEST(AwsFiles, NamesTheLineOfWhatIsNoSuchFileAndNothingOfIt) {
  for (const char* text : {"[default]\nhunter2\n", "aws_secret_access_key = hunter2\n"}) {
    const auto found = FindAwsProfile(AsBytes(text), "default");
    ASSERT_FAILS(found, kInvalidArgument);
    EXPECT_NE(found.error().message.find("line "), std::string::npos);
    EXPECT_EQ(found.error().message.find("hunter2"), std::string::npos);
  }
}

class S3Credentials : public testing::Test {
 protected:
  S3Credentials() { fs_.AddDirectories("/home/ann/.aws"); }

  void Write(const std::string& path, std::string_view text) {
    ASSERT_OK(ReplaceFile(fs_, path, AsBytes(text)));
  }
  std::unique_ptr<S3CredentialsSource> Open(S3KeyPlaces places = {}) {
    if (places.credentials_file.empty()) places.credentials_file = "/home/ann/.aws/credentials";
    if (places.config_file.empty()) places.config_file = "/home/ann/.aws/config";
    return NewS3Credentials(
        fs_,
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        },
        places);
  }
  static std::string AccessOf(S3CredentialsSource& source) {
    const auto keys = source.Get();
    return keys.has_value() ? (*keys)->access_key : TextOf(keys.error());
  }

  FaultyFileSystem fs_;
  std::map<std::string, std::string> environment_;
};

constexpr std::string_view kDefaultKeys =
    "[default]\naws_access_key_id=FILE\naws_secret_access_key=hunter2\n";

TEST_F(S3Credentials, AreLookedForAsTheAwsToolsDo) {
  Write("/home/ann/.aws/config",
        "[default]\naws_access_key_id=CONFIG\naws_secret_access_key=x\n"
        "[profile other]\naws_access_key_id=OTHER\naws_secret_access_key=x\n");
  EXPECT_EQ(AccessOf(*Open()), "CONFIG");
  EXPECT_EQ(AccessOf(*Open({.profile = "other"})), "OTHER");
  Write("/home/ann/.aws/credentials", kDefaultKeys);
  EXPECT_EQ(AccessOf(*Open()), "FILE");
  environment_ = {{"AWS_ACCESS_KEY_ID", "ENVIRONMENT"},
                  {"AWS_SECRET_ACCESS_KEY", "y"},
                  {"AWS_SESSION_TOKEN", "token"}};
  EXPECT_EQ(AccessOf(*Open()), "ENVIRONMENT");
  EXPECT_EQ(SecretText((*Open()->Get())->session_token), "token");
  EXPECT_EQ(AccessOf(*Open({.files_only = true})), "FILE");
}

TEST_F(S3Credentials, SayWhereTheyWereLookedFor) {
  const auto keys = Open()->Get();
  ASSERT_FAILS(keys, kUnauthenticated);
  EXPECT_EQ(keys.error().cause, ErrorCause::kCredentials);
  for (const char* place : {"AWS_ACCESS_KEY_ID", "profile default", "/home/ann/.aws/credentials",
                            "/home/ann/.aws/config"}) {
    EXPECT_NE(keys.error().message.find(place), std::string::npos) << keys.error().message;
  }
}

TEST_F(S3Credentials, AreWholeOrAnError) {
  Write("/home/ann/.aws/credentials", "[default]\naws_access_key_id=FILE\n");
  EXPECT_FAILS(Open()->Get(), kUnauthenticated);
  Write("/home/ann/.aws/credentials", "[default]\nrole_arn=arn:x\n");
  const auto role = Open()->Get();
  ASSERT_FAILS(role, kUnauthenticated);
  EXPECT_NE(role.error().message.find("role_arn"), std::string::npos);
  environment_ = {{"AWS_ACCESS_KEY_ID", "ENVIRONMENT"}};
  EXPECT_FAILS(Open()->Get(), kUnauthenticated);
}

TEST_F(S3Credentials, ReplacedInTheFileAreTakenAfterReload) {
  Write("/home/ann/.aws/credentials", kDefaultKeys);
  const auto source = Open();
  EXPECT_EQ(AccessOf(*source), "FILE");
  Write("/home/ann/.aws/credentials",
        "[default]\naws_access_key_id=NEW\naws_secret_access_key=x\n");
  EXPECT_EQ(AccessOf(*source), "FILE");
  source->Reload();
  EXPECT_EQ(AccessOf(*source), "NEW");
}

}  // namespace
}  // namespace coffer::store
