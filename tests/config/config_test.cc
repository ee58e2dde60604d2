#include "core/config/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::config {
namespace {

constexpr const char* kPath = "/etc/here.toml";

Config Read(const std::string& text) {
  auto config = Config::Parse(text, kPath);
  EXPECT_OK(config);
  return config.value_or(Config());
}

/// The message with which the text is refused.
std::string Refusal(const std::string& text) {
  const auto config = Config::Parse(text, kPath);
  EXPECT_FALSE(config.has_value()) << text;
  if (config.has_value()) return {};
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  return config.error().message;
}

void ExpectRefused(const std::string& text, const std::string& where,
                   const std::vector<std::string>& parts) {
  const std::string message = Refusal(text);
  EXPECT_EQ(message.rfind(where, 0), 0u) << message;
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks " << part;
  }
}

TEST(Config, SaysTheDefaultsWhenItIsEmpty) {
  const Effective effective = Read("").For("home", "photos");
  EXPECT_EQ(effective.text(Key::kSyncAge), "60s");
  EXPECT_EQ(effective[Key::kSyncAge].from, "default");
  EXPECT_TRUE(effective[Key::kSyncAge].is_default);
  EXPECT_EQ(effective.seconds(Key::kSyncAge), std::chrono::seconds(60));
}

TEST(Config, TheVolumeWinsOverItsVaultAndThatOverTheDefaults) {
  const Config config = Read(
      "[defaults]\n"
      "sync_age = \"10s\"\n"
      "codec = \"lz4\"\n"
      "sync_bytes = 1048576\n"
      "[vaults.home]\n"
      "sync_age = \"20s\"\n"
      "codec = \"stored\"\n"
      "[volumes.\"home/photos\"]\n"
      "sync_age = \"30s\"\n");
  const Effective photos = config.For("home", "photos");
  EXPECT_EQ(photos.text(Key::kSyncAge), "30s");
  EXPECT_EQ(photos[Key::kSyncAge].from, "[volumes.\"home/photos\"], line 9");
  EXPECT_EQ(photos.text(Key::kCodec), "stored");
  EXPECT_EQ(photos[Key::kCodec].from, "[vaults.home], line 7");
  EXPECT_EQ(photos.text(Key::kSyncBytes), "1MiB");
  EXPECT_EQ(photos[Key::kSyncBytes].from, "[defaults], line 4");
  EXPECT_EQ(config.For("home", "mail").text(Key::kSyncAge), "20s");
  EXPECT_EQ(config.For("other", "photos").text(Key::kSyncAge), "10s");
  EXPECT_EQ(config.Defaults().text(Key::kCodec), "lz4");
}

TEST(Config, AFlagWinsOverAll) {
  const Config config = Read("[volumes.\"home/photos\"]\nsync_age = \"30s\"\n");
  const auto flags = Overrides::Parse({{"sync_age", "5s"}});
  ASSERT_OK(flags);
  const Effective effective = config.For("home", "photos", *flags);
  EXPECT_EQ(effective.text(Key::kSyncAge), "5s");
  EXPECT_EQ(effective[Key::kSyncAge].from, "--sync-age");
  EXPECT_FALSE(Overrides::Parse({{"sync_age", "soon"}}).has_value());
  EXPECT_FALSE(Overrides::Parse({{"log_level", "debug"}}).has_value());
  EXPECT_FALSE(Overrides::Parse({{"no_such", "1"}}).has_value());
}

TEST(Config, WhatIsOneForTheMachineOrTheDaemonStandsInItsPlaceOnly) {
  const Config config =
      Read("[defaults]\nmemory_cache_bytes_max = \"1MiB\"\n[daemon]\nlog_level = \"debug\"\n");
  EXPECT_EQ(config.Defaults().number(Key::kMemoryCacheBytesMax), 1u << 20);
  EXPECT_EQ(config.Defaults().text(Key::kLogLevel), "debug");
  ExpectRefused("[vaults.home]\nmemory_cache_bytes_max = 0\n",
                "/etc/here.toml:2: ", {"memory_cache_bytes_max", "expected in [defaults]"});
  ExpectRefused("[defaults]\nlog_level = \"debug\"\n",
                "/etc/here.toml:2: ", {"expected in [daemon]"});
  ExpectRefused("[daemon]\n\nsync_age = \"5s\"\n", "/etc/here.toml:3: ", {"[defaults]"});
  ExpectRefused("[stores.nas]\nsync_age = \"5s\"\n", "/etc/here.toml:2: ", {"[defaults]"});
}

TEST(Config, RatesAreOneOrASchedule) {
  using Steps = std::vector<RateStep>;
  EXPECT_EQ(ParseRates("off"), Steps{});
  EXPECT_EQ(ParseRates("2MiB"), (Steps{{0, 2u << 20}}));
  EXPECT_EQ(ParseRates("08:00 512KiB, 18:30 off"), (Steps{{480, 512u << 10}, {1110, 0}}));
  EXPECT_EQ(ParseRates("08:00 1m,23:59 2m"), (Steps{{480, 1u << 20}, {1439, 2u << 20}}));
  for (const char* wrong : {"", "fast", "0", "1023", "8:00 1MiB", "24:00 1MiB", "08:60 1MiB",
                            "08:00", "08:00 1MiB, 08:00 off", "18:00 1MiB, 08:00 off",
                            "08:00 1MiB,", "08:00 1MiB off", "08:001MiB", ", 08:00 1MiB"}) {
    EXPECT_FALSE(ParseRates(wrong).has_value()) << wrong;
  }
  const Config config = Read("[defaults]\nupload_limit = \"08:00 1024KiB, 18:30 off\"\n");
  EXPECT_EQ(config.Defaults().text(Key::kUploadLimit), "08:00 1MiB, 18:30 off");
  EXPECT_EQ(config.Defaults().text(Key::kDownloadLimit), "off");
  ExpectRefused("[vaults.home]\nupload_limit = \"1MiB\"\n",
                "/etc/here.toml:2: ", {"one for all volumes"});
}

TEST(Config, ANamedStoreHasAUrlAndOptionsThatItsKindKnows) {
  const Config config = Read(
      "[stores.cloud]\nurl = \"s3://bucket/backups\"\nregion = \"eu-1\"\n[stores.nas]\nurl = "
      "\"/mnt/nas\"\n");
  const auto cloud = config.StoreNamed("cloud");
  ASSERT_TRUE(cloud.has_value());
  EXPECT_EQ(cloud->url, "s3://bucket/backups");
  EXPECT_EQ(cloud->options, (std::map<std::string, std::string>{{"region", "eu-1"}}));
  EXPECT_EQ(config.StoreNamed("nas")->url, "/mnt/nas");
  EXPECT_FALSE(config.StoreNamed("usb").has_value());
  ExpectRefused("[stores.cloud]\nregion = \"eu-1\"\n", "/etc/here.toml:2: ", {"has no url"});
  ExpectRefused("[stores.nas]\nurl = \"nas/backups\"\n",
                "/etc/here.toml:2: ", {"expected a URL or an absolute path"});
  ExpectRefused("[stores.nas]\nurl = 5\n", "/etc/here.toml:2: ", {"expected a text"});
  ExpectRefused("[stores.nas]\nurl = \"/nas\"\nregion = \"x\"\n",
                "/etc/here.toml:2: ", {"a directory has no option region"});
  ExpectRefused("[stores.s3]\nurl = \"/nas\"\n", "/etc/here.toml:", {"kind of store already"});
  ExpectRefused("[stores.my_nas]\nurl = \"/nas\"\n", "/etc/here.toml:", {"expected a letter"});
}

// faults.md row 73.
TEST(Config, AnUnknownKeyIsRefusedWithItsLine) {
  ExpectRefused("[defaults]\n# a comment\nsync_aeg = \"60s\"\n",
                "/etc/here.toml:3: ", {"unknown key", "sync_aeg", "expected sync_age"});
  ExpectRefused("[vaults.home]\ncolour = 1\n",
                "/etc/here.toml:2: ", {"unknown key", "colour", "expected one of sync_age"});
  ExpectRefused("sync_age = \"60s\"\n", "/etc/here.toml:1: ", {"outside", "[defaults]"});
  ExpectRefused("\n[vault.home]\n", "/etc/here.toml:2: ", {"unknown section", "[vaults.NAME]"});
  ExpectRefused("[defaults.sync_age]\n", "/etc/here.toml:1: ", {"unknown key"});
  ExpectRefused("[volumes.home.photos]\nsync_age = \"60s\"\n", "/etc/here.toml:", {"quotes"});
  ExpectRefused("[volumes.photos]\nsync_age = \"60s\"\n", "/etc/here.toml:", {"VAULT/NAME"});
  ExpectRefused("[vaults]\nsync_age = \"60s\"\n", "/etc/here.toml:2: ", {"[vaults.NAME]"});
  ExpectRefused("[vaults.\"../x\"]\nsync_age = \"60s\"\n", "/etc/here.toml:", {"vault"});
}

TEST(Config, ABadValueIsRefusedWithItsLineAndWhatWasExpected) {
  ExpectRefused("[defaults]\nsync_age = 60\n",
                "/etc/here.toml:2: ", {"sync_age", "60", "expected a time", "\"60s\""});
  ExpectRefused("[defaults]\nsync_bytes = \"2GB\"\n",
                "/etc/here.toml:2: ", {"\"2GB\"", "expected a size", "512MiB"});
  ExpectRefused("[defaults]\nsync_bytes = 1.5\n", "/etc/here.toml:2: ", {"fraction", "expected"});
  ExpectRefused("[defaults]\ncodec = [\"zstd\"]\n", "/etc/here.toml:2: ", {"array", "lz4"});
  ExpectRefused("[defaults]\nsync_age = 1979-05-27\n", "/etc/here.toml:2: ", {"date"});
  ExpectRefused("[defaults]\nsync_age = true\n", "/etc/here.toml:2: ", {"true or false"});
  ExpectRefused("[defaults]\npack_bytes_max = \"1MiB\"\npack_bytes_target = \"2MiB\"\n",
                "/etc/here.toml:3: ", {"pack_bytes_target", "at most pack_bytes_max"});
}

TEST(Config, WhatIsNoTomlIsRefusedWithItsLine) {
  ExpectRefused("[defaults]\nsync_age = \"60s\"\nsync_age = \"61s\"\n",
                "/etc/here.toml:3: ", {"sync_age"});
  ExpectRefused("[defaults]\nsync_age = \n", "/etc/here.toml:2: ", {});
  ExpectRefused("[defaults]\n\"\xff\xfe\" = 1\n", "/etc/here.toml:2: ", {});
  ExpectRefused(std::string("[defaults]\n\0 = 1\n", 16), "/etc/here.toml:2: ", {});
  ExpectRefused("[defaults]\nsync_bytes = 99999999999999999999\n", "/etc/here.toml:2: ", {});
  ExpectRefused(std::string(10000, '['), "/etc/here.toml:1: ", {});
}

TEST(Config, TablesInTablesInTablesAreRefusedWithoutHarm) {
  std::string dotted = "a";
  while (dotted.size() < 4000) dotted += ".a";
  for (const std::string top : {"x", "defaults", "vaults"}) {
    ExpectRefused(top + "." + dotted + " = 1\n", "/etc/here.toml:1: ", {});
    ExpectRefused("[" + top + "." + dotted + "]\n" + dotted + " = 1\n", "/etc/here.toml:", {});
  }
  while (dotted.size() + 8 < kConfigBytesMax) dotted += ".a";
  ExpectRefused("#\n" + dotted + " = 1\n", "/etc/here.toml:2: ", {"at most 4096 bytes"});
}

TEST(Config, TheFirstProblemIsToldAndHowManyMoreThereAre) {
  const std::string message = Refusal("[defaults]\nb = 1\na = 1\n");
  EXPECT_EQ(message.rfind("/etc/here.toml:2: ", 0), 0u) << message;
  EXPECT_NE(message.find("and 1 more"), std::string::npos);
}

struct ConfigFile {
  TemporaryDirectory directory;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::string path = directory / "config.toml";

  Result<Config> Load() { return Config::Load(*fs, path, geteuid()); }
  std::string Refusal() {
    const auto config = Load();
    EXPECT_FALSE(config.has_value());
    if (config.has_value()) return {};
    EXPECT_NE(config.error().message.find(path), std::string::npos);
    return config.error().message;
  }
};

TEST(ConfigOnDisk, IsReadWhereItIsAndMayBeMissing) {
  ConfigFile file;
  EXPECT_OK(file.Load());
  WriteTestFile(file.path, "[defaults]\nsync_age = \"7s\"\n");
  chmod(file.path.c_str(), 0644);
  const auto config = file.Load();
  ASSERT_OK(config);
  EXPECT_EQ(config->Defaults().text(Key::kSyncAge), "7s");
}

TEST(ConfigOnDisk, ThatOthersCouldHaveWrittenIsRefused) {
  for (const mode_t mode : {0660U, 0606U, 0622U}) {
    ConfigFile file;
    WriteTestFile(file.path, "");
    chmod(file.path.c_str(), mode);
    EXPECT_NE(file.Refusal().find("may write it"), std::string::npos);
  }
}

TEST(ConfigOnDisk, OfAnotherUserIsRefused) {
  ConfigFile file;
  WriteTestFile(file.path, "");
  chmod(file.path.c_str(), 0600);
  const auto config = Config::Load(*file.fs, file.path, geteuid() + 1);
  ASSERT_FALSE(config.has_value());
  EXPECT_NE(config.error().message.find("belongs to user"), std::string::npos);
}

TEST(ConfigOnDisk, ThatIsNoOrdinaryFileOrTooLargeIsRefused) {
  {
    ConfigFile file;
    WriteTestFile(file.directory / "elsewhere", "");
    ASSERT_EQ(symlink((file.directory / "elsewhere").c_str(), file.path.c_str()), 0);
    EXPECT_NE(file.Refusal().find("symbolic link"), std::string::npos);
  }
  {
    ConfigFile file;
    ASSERT_EQ(mkfifo(file.path.c_str(), 0600), 0);
    file.Refusal();
  }
  ConfigFile file;
  WriteTestFile(file.path, std::string(kConfigBytesMax + 1, '#'));
  chmod(file.path.c_str(), 0600);
  EXPECT_NE(file.Refusal().find("are the most"), std::string::npos);
}

TEST(ConfigOnDisk, IsCheckedLineByLine) {
  ConfigFile file;
  WriteTestFile(file.path, "[defaults]\nb = 1\nsync_age = \"1s\"\na = 1\n");
  chmod(file.path.c_str(), 0600);
  const auto problems = Config::Check(*file.fs, file.path, geteuid());
  ASSERT_OK(problems);
  ASSERT_EQ(problems->size(), 2u);
  EXPECT_EQ((*problems)[0].rfind(file.path + ":2: ", 0), 0u);
  EXPECT_EQ((*problems)[1].rfind(file.path + ":4: ", 0), 0u);
}

}  // namespace
}  // namespace coffer::config
