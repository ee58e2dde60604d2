#include "core/config/keys.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"

namespace coffer::config {
namespace {

Value Parsed(Key key, std::string_view text) {
  const auto value = ParseValue(InfoOf(key), text);
  EXPECT_OK(value);
  return value.value_or(Value{});
}

void ExpectRefused(Key key, std::string_view text) {
  const auto value = ParseValue(InfoOf(key), text);
  ASSERT_FALSE(value.has_value()) << InfoOf(key).name << " took " << text;
  EXPECT_EQ(value.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(value.error().message.find(InfoOf(key).name), std::string::npos);
  EXPECT_NE(value.error().message.find("expected"), std::string::npos) << value.error().message;
}

TEST(Keys, StandInTheOrderOfTheirEnum) {
  ASSERT_EQ(Keys().size(), kKeyCount);
  for (std::size_t i = 0; i < kKeyCount; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(Keys()[i].key), i);
    EXPECT_EQ(FindKey(Keys()[i].name), &Keys()[i]);
  }
}

TEST(Keys, HaveTheDefaultsOfTheInterface) {
  const std::pair<Key, const char*> defaults[] = {
      {Key::kSyncAge, "60s"},
      {Key::kSyncBytes, "64MiB"},
      {Key::kDurability, "local"},
      {Key::kJournalBytesMax, "4GiB"},
      {Key::kJournalFull, "wait"},
      {Key::kCodec, "zstd 1"},
      {Key::kPackBytesTarget, "8MiB"},
      {Key::kPackBytesMax, "16MiB"},
      {Key::kTlsX509, ""},
      {Key::kTlsPsk, ""},
      {Key::kTlsVerifyPeer, "yes"},
      {Key::kFuseCache, "auto"},
      {Key::kChunkSize, "64KiB"},
      {Key::kDiskCacheBytesMax, "10GiB"},
      {Key::kMemoryCacheBytesMax, "256MiB"},
      {Key::kLogLevel, "info"},
  };
  for (const auto& [key, text] : defaults) {
    EXPECT_STREQ(InfoOf(key).preset, text);
    EXPECT_EQ(Parsed(key, text).text, text);
  }
}

TEST(Keys, PathsAreAbsoluteOrNone) {
  EXPECT_EQ(Parsed(Key::kTlsX509, "/etc/pki/coffer").text, "/etc/pki/coffer");
  EXPECT_EQ(Parsed(Key::kTlsPsk, "").text, "");
  ExpectRefused(Key::kTlsPsk, "keys.psk");
  ExpectRefused(Key::kTlsPsk, "/etc/keys\n.psk");
  ExpectRefused(Key::kTlsX509, "/" + std::string(5000, 'd'));
  ExpectRefused(Key::kTlsVerifyPeer, "maybe");
}

TEST(Keys, TheKernelsCacheIsOneOfThree) {
  for (const char* cache : {"auto", "writeback", "direct"}) {
    EXPECT_EQ(Parsed(Key::kFuseCache, cache).text, cache);
  }
  ExpectRefused(Key::kFuseCache, "none");
}

TEST(Keys, SizesAreTakenInAnyUnitAndShownInTheLargest) {
  EXPECT_EQ(Parsed(Key::kSyncBytes, "65536K").number, 64u << 20);
  EXPECT_EQ(Parsed(Key::kSyncBytes, "65536K").text, "64MiB");
  EXPECT_EQ(Parsed(Key::kSyncBytes, "67108865").text, "67108865");
  EXPECT_EQ(Parsed(Key::kDiskCacheBytesMax, "0").text, "0");
  const auto number = ParseNumber(InfoOf(Key::kJournalBytesMax), std::int64_t{1} << 30);
  EXPECT_OK(number);
  EXPECT_EQ(number->text, "1GiB");
}

TEST(Keys, SizesOutOfTheirBoundsAreRefused) {
  for (const char* text :
       {"", "63KiB", "513MiB", "-1", "many", "64 MiB x", "1.5GiB", "64XB", "1.5"}) {
    ExpectRefused(Key::kSyncBytes, text);
  }
  EXPECT_FALSE(ParseNumber(InfoOf(Key::kSyncBytes), -1).has_value());
  EXPECT_FALSE(ParseNumber(InfoOf(Key::kSyncAge), 60).has_value()) << "a time needs its unit";
  EXPECT_FALSE(ParseNumber(InfoOf(Key::kCodec), 1).has_value());
}

TEST(Keys, TimesHaveAUnit) {
  EXPECT_EQ(Parsed(Key::kSyncAge, "90s").number, 90u);
  EXPECT_EQ(Parsed(Key::kSyncAge, "5m").text, "300s");
  EXPECT_EQ(Parsed(Key::kSyncAge, "2h").number, 7200u);
  EXPECT_EQ(Parsed(Key::kSyncAge, "30d").number, 30u * 86400);
  for (const char* text : {"60", "0s", "31d", "s", "1.5h", "-5s", "99999999999999999999s"}) {
    ExpectRefused(Key::kSyncAge, text);
  }
}

TEST(Keys, ChunkSizesArePowersOfTwo) {
  EXPECT_EQ(Parsed(Key::kChunkSize, "256KiB").number, 256u << 10);
  for (const char* text : {"8KiB", "48KiB", "512KiB", "65537"}) {
    ExpectRefused(Key::kChunkSize, text);
  }
}

TEST(Keys, CodecsHaveTheirLevels) {
  EXPECT_EQ(Parsed(Key::kCodec, "zstd").text, "zstd 1");
  EXPECT_EQ(Parsed(Key::kCodec, "zstd 19").number, 19u);
  EXPECT_EQ(Parsed(Key::kCodec, "lz4").text, "lz4");
  for (const char* text : {"zstd 0", "zstd 20", "zstd19", "lz4 1", "gzip", "ZSTD"}) {
    ExpectRefused(Key::kCodec, text);
  }
}

TEST(Keys, AFullJournalMakesWritersWaitOrFailAfterATime) {
  EXPECT_EQ(Parsed(Key::kJournalFull, "enospc-after=30").text, "enospc-after=30s");
  EXPECT_EQ(Parsed(Key::kJournalFull, "enospc-after=2m").number, 120u);
  EXPECT_EQ(Parsed(Key::kJournalFull, "enospc-after=0").number, 0u);
  for (const char* text : {"enospc", "enospc-after=", "enospc-after=2d", "never"}) {
    ExpectRefused(Key::kJournalFull, text);
  }
}

TEST(Keys, AMessageShowsNothingHarmful) {
  const auto value = ParseValue(InfoOf(Key::kCodec), "\x1b[2J");
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().message.find('\x1b'), std::string::npos);
}

TEST(Keys, AMisspeltNameFindsItsNeighbour) {
  EXPECT_EQ(NearestKey("sync_aeg"), &InfoOf(Key::kSyncAge));
  EXPECT_EQ(NearestKey("journal_byte_max"), &InfoOf(Key::kJournalBytesMax));
  EXPECT_EQ(NearestKey("colour"), nullptr);
  EXPECT_EQ(NearestKey(std::string(100000, 'x')), nullptr);
}

}  // namespace
}  // namespace coffer::config
