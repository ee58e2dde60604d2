#include "core/control/names.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"

namespace coffer::control {
namespace {

TEST(Names, AcceptWhatTheInterfaceAllows) {
  for (const std::string& name :
       {std::string("a"), std::string("Z9"), std::string("photos"), std::string("my.vol_1-x"),
        std::string("0"), std::string(63, 'x')}) {
    EXPECT_OK(CheckName(name, "volume name")) << name;
  }
}

TEST(Names, RefuseEverythingElse) {
  const std::string with_nul("a\0b", 3);
  for (const std::string& name :
       {std::string(), std::string("../x"), std::string("a/b"), std::string("."), std::string(".."),
        with_nul, std::string("a\nb"), std::string("\xe2\x80\xaeoc"), std::string("-rf"),
        std::string("_x"), std::string(".hidden"), std::string("a b"), std::string("caf\xc3\xa9"),
        std::string(64, 'x'), std::string(300, 'x')}) {
    EXPECT_FAILS(CheckName(name, "volume name"), kInvalidArgument) << name;
  }
}

TEST(Names, MessagesNeverCarryControlCharactersToATerminal) {
  const auto status = CheckName("a\x1b[31mb\n", "volume name");
  ASSERT_FAILS(status, kInvalidArgument);
  EXPECT_EQ(status.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
}

TEST(VolumeReference, MayNameVaultAndSnapshot) {
  ASSERT_OK_AND_ASSIGN(const auto plain, ParseVolumeReference("photos"));
  EXPECT_EQ(plain.vault, "");
  EXPECT_EQ(plain.volume, "photos");
  ASSERT_OK_AND_ASSIGN(const auto full, ParseVolumeReference("home/photos@monday"));
  EXPECT_EQ(full.vault, "home");
  EXPECT_EQ(full.volume, "photos");
  EXPECT_EQ(full.snapshot, "monday");
}

TEST(VolumeReference, RefusesMalformedParts) {
  for (const std::string text :
       {"", "/", "a/", "/b", "a/b/c", "../b", "a@", "@b", "a@b@c", "a@../b"}) {
    EXPECT_FAILS(ParseVolumeReference(text), kInvalidArgument) << text;
  }
}

TEST(Size, UnitsArePowersOf1024) {
  const std::pair<const char*, std::uint64_t> cases[] = {{"4096", 4096},
                                                         {"4096B", 4096},
                                                         {"1K", 1024},
                                                         {"1KiB", 1024},
                                                         {"3M", 3u << 20},
                                                         {"20G", 20ULL << 30},
                                                         {"20GiB", 20ULL << 30},
                                                         {"16T", 16ULL << 40},
                                                         {"16TiB", 16ULL << 40},
                                                         {"1m", 1u << 20},
                                                         {"20g", 20ULL << 30},
                                                         {"20GB", 20ULL << 30},
                                                         {"1kb", 1024},
                                                         {"1P", 1ULL << 50},
                                                         {"7b", 7},
                                                         {"1.5G", 3ULL << 29},
                                                         {"0.25t", 1ULL << 38},
                                                         {"1.0000001K", 1024},
                                                         {"0.999999999P", 1125899905716724}};
  for (const auto& [text, bytes] : cases) {
    ASSERT_OK_AND_ASSIGN(const auto parsed, ParseSize(text));
    EXPECT_EQ(parsed, bytes) << text;
  }
}

TEST(Size, RefusesWhatIsNoSize) {
  for (const std::string text : {"", "G", "-1", "+1", " 1", "1 G", "0x10", "1.5", "1.G", ".5G",
                                 "1.5.5G", "1e3", "1E", "1.5b", "20GiBs", "20Gi", "1.0123456789G",
                                 "99999999999999999999", "18446744073709551615T"}) {
    EXPECT_FAILS(ParseSize(text), kInvalidArgument) << text;
  }
}

TEST(VolumeSize, IsPositiveAlignedAndBounded) {
  EXPECT_OK(CheckVolumeSize(4096));
  EXPECT_OK(CheckVolumeSize(16ULL << 40));
  for (const std::uint64_t size : {0ULL, 1ULL, 4095ULL, 4097ULL, (16ULL << 40) + 4096, ~0ULL}) {
    EXPECT_FAILS(CheckVolumeSize(size), kInvalidArgument) << size;
  }
}

TEST(FormatBytes, IsShort) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(20ULL << 30), "20 GiB");
}

TEST(Quoted, ShowsTextOfAnyLanguageAndNothingThatHarms) {
  EXPECT_EQ(Quoted("gr\xc3\xb6\xc3\x9f"
                   "e"),
            "\"gr\xc3\xb6\xc3\x9f"
            "e\"");
  EXPECT_EQ(Quoted("a\x1b[2J").find('\x1b'), std::string::npos);
  // Cut between characters.
  const std::string long_text = std::string(79, 'x') + "\xc3\xb6";
  EXPECT_EQ(Quoted(long_text), "\"" + std::string(79, 'x') + "...\"");
}

}  // namespace
}  // namespace coffer::control
