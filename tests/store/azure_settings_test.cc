// What az:// URLs mean, and where their keys are found.
#include "core/store/azure_settings.h"

#include <gtest/gtest.h>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/store/azure_credentials.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

Result<AzureSettings> Resolve(const std::string& text) {
  ASSIGN_OR_RETURN(const StoreUrl url, ParseStoreUrl(text, "/", AzureSchemes()));
  return ResolveAzure("/home/ann", url);
}

std::string ServerOf(const std::string& text) {
  const auto settings = Resolve(text);
  return settings.has_value() ? Concat(settings->origin, settings->base_path, " ", settings->prefix)
                              : TextOf(settings.error());
}

TEST(AzureSettings, NamesTheServerOfTheAccount) {
  EXPECT_EQ(ServerOf("az://photos/backups"), "https://photos.blob.core.windows.net/backups ");
  EXPECT_EQ(ServerOf("az://photos/backups/a/b/"),
            "https://photos.blob.core.windows.net/backups a/b/");
  EXPECT_EQ(ServerOf("az://photos/backups?endpoint=photos.blob.core.usgovcloudapi.net"),
            "https://photos.blob.core.usgovcloudapi.net/backups ");
  EXPECT_EQ(ServerOf("az://photos/backups?endpoint=https://cloud:8443/photos/"),
            "https://cloud:8443/photos/backups ");
}

TEST(AzureSettings, PutsTheAccountIntoThePathWhereNoHostCanHaveIt) {
  for (const char* host : {"http://127.0.0.1:10000", "https://10.0.0.7:443", "https://[::1]:10000",
                           "http://localhost:10000"}) {
    EXPECT_NE(ServerOf(Concat("az://photos/backups?endpoint=", host)).find("/photos/backups "),
              std::string::npos)
        << host;
  }
  EXPECT_EQ(ServerOf("az://photos/backups?endpoint=http://127.0.0.1:10000/photos"),
            "http://127.0.0.1:10000/photos/backups ");
}

TEST(AzureSettings, RefusesPlainHttpToOtherMachines) {
  for (const char* host : {"http://cloud", "http://10.0.0.1:10000", "http://127.0.0.1.example"}) {
    const auto settings = Resolve(Concat("az://photos/backups?endpoint=", host));
    ASSERT_FAILS(settings, kInvalidArgument) << host;
    EXPECT_NE(settings.error().hint.find("https://"), std::string::npos);
  }
}

TEST(AzureSettings, RefusesWhatCannotBe) {
  for (const char* text : {"az://photos",
                           "az://photos/",
                           "az://ph/backups",
                           "az://photos:80/backups",
                           "az://pho-tos/backups",
                           "az://aaaaaaaaaaaaaaaaaaaaaaaaa/backups",
                           "az://photos/ab",
                           "az://photos/Backups",
                           "az://photos/back--ups",
                           "az://photos/-backups",
                           "az://photos/backups-",
                           "az://photos/back_ups",
                           "az://photos/backups?tier=archive",
                           "az://photos/backups?tier=warm",
                           "az://photos/backups?credentials_file=key",
                           "az://photos/backups?endpoint=ftp://h",
                           "az://photos/backups?endpoint=https://",
                           "az://photos/backups?endpoint=https://u:p%40h",
                           "az://photos/backups?endpoint=h%3fsig=x",
                           "az://photos/backups?sig=x",
                           "az://photos:key@photos/backups",
                           "az://user@photos/backups"}) {
    EXPECT_FAILS(Resolve(text), kInvalidArgument) << text;
  }
  EXPECT_NE(Resolve("az://photos:key@photos/backups").error().hint.find("credentials_file"),
            std::string::npos);
}

TEST(AzureSettings, IdentityIsThePlaceWhateverTheSpelling) {
  const std::string identity = Resolve("az://photos/backups/a?endpoint=https://h")->identity;
  for (const char* same :
       {"az://PHOTOS/backups/a/?endpoint=h", "az://photos/backups//a?endpoint=https://H:443/",
        "az://photos/backups/a?endpoint=h&tier=cool&credentials_file=/k"}) {
    EXPECT_EQ(Resolve(same)->identity, identity) << same;
  }
  for (const char* other : {"az://photos/backups/b?endpoint=h", "az://photos2/backups/a?endpoint=h",
                            "az://photos/backups2/a?endpoint=h", "az://photos/backups/a"}) {
    EXPECT_NE(Resolve(other)->identity, identity) << other;
  }
}

class AzureCredentialsTest : public testing::Test {
 protected:
  AzureCredentialsTest() { fs_.AddDirectories("/home/ann"); }

  Result<std::shared_ptr<const AzureKeys>> Find(const std::string& file = "") {
    const Variables variables = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      if (found == environment_.end()) return std::nullopt;
      return found->second;
    };
    return AzureCredentials(fs_, variables, {.account = "photos", .file = file}).Get();
  }
  void Write(const std::string& text) {
    ASSERT_OK(ReplaceFile(fs_, "/home/ann/key", AsBytes(text)));
  }

  FaultyFileSystem fs_;
  std::map<std::string, std::string> environment_;
};

constexpr const char* kFile = "/home/ann/key";

TEST_F(AzureCredentialsTest, ReadsKeyOrTokenFromAFile) {
  Write(" a2V5\r\n");
  EXPECT_EQ(AsText((*Find(kFile))->account_key.view()), "key");
  for (const char* text : {"?sv=1&sig=x%3D", "sv=1&sig=x%3D\n", "  ?sv=1&sig=x%3D  "}) {
    Write(text);
    const auto keys = Find(kFile);
    ASSERT_OK(keys);
    EXPECT_EQ(AsText((*keys)->sas.view()), "sv=1&sig=x%3D");
  }
}

TEST_F(AzureCredentialsTest, RefusesFilesThatOthersCouldReadOrHaveMade) {
  Write("a2V5");
  fs_.SetOwnerAndMode(kFile, 0, 0640);
  const auto open_to_others = Find(kFile);
  ASSERT_FAILS(open_to_others, kUnauthenticated);
  EXPECT_EQ(open_to_others.error().cause, ErrorCause::kCredentials);
  fs_.SetOwnerAndMode(kFile, 4711, 0600);
  EXPECT_FAILS(Find(kFile), kUnauthenticated);
  EXPECT_FAILS(Find("/home/ann/none"), kUnauthenticated);
}

TEST_F(AzureCredentialsTest, RefusesWhatIsNeitherAndRepeatsNoneOfIt) {
  for (const char* text : {"secret", "c2VjcmV0\x01", "sig=secret", "?sv=1&sig=", "sv=1&sig=sec ret",
                           "https://h/c?sv=1&sig=secret", "sv=1&sig=sec#ret", "=secret="}) {
    Write(text);
    const auto keys = Find(kFile);
    ASSERT_FAILS(keys, kUnauthenticated) << text;
    EXPECT_EQ(keys.error().cause, ErrorCause::kCredentials);
    EXPECT_EQ(Concat(keys.error().message, keys.error().hint).find("sec"), std::string::npos);
  }
}

TEST_F(AzureCredentialsTest, ReadsTheEnvironmentAsAzuresToolsDo) {
  const auto none = Find();
  ASSERT_FAILS(none, kUnauthenticated);
  EXPECT_NE(none.error().message.find("AZURE_STORAGE_KEY"), std::string::npos);
  environment_["AZURE_STORAGE_SAS_TOKEN"] = "?sv=1&sig=x";
  EXPECT_EQ(AsText((*Find())->sas.view()), "sv=1&sig=x");
  environment_["AZURE_STORAGE_KEY"] = "a2V5";
  EXPECT_EQ(AsText((*Find())->account_key.view()), "key");
  environment_["AZURE_STORAGE_ACCOUNT"] = "photos";
  EXPECT_OK(Find());
  environment_["AZURE_STORAGE_ACCOUNT"] = "another";  // whose keys are not shown to this one
  const auto anothers = Find();
  ASSERT_FAILS(anothers, kUnauthenticated);
  EXPECT_NE(anothers.error().message.find("another"), std::string::npos);
  Write("b3RoZXI=");
  EXPECT_EQ(AsText((*Find(kFile))->account_key.view()), "other");
}

}  // namespace
}  // namespace coffer::store
