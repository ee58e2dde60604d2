#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/compress/compressor.h"
#include "core/compress/decompressor.h"
#include "tests/compress/samples.h"
#include "tests/support/result_macros.h"

namespace coffer::compress {
namespace {

class RoundTrip : public testing::TestWithParam<CodecSetting> {
 protected:
  void ExpectRoundTrip(const Bytes& plain) {
    Bytes stored;
    const CodecId codec = compressor_.Compress(plain, &stored);
    if (codec == CodecId::kStored) {
      ASSERT_EQ(stored, plain);
    } else {
      ASSERT_EQ(codec, GetParam().id);
      ASSERT_LT(stored.size() + plain.size() / 32, plain.size());
    }
    Bytes back(plain.size());
    ASSERT_OK(decompressor_.Decompress(codec, stored, back));
    ASSERT_EQ(back, plain);
  }

  SeededRandom random_{TestSeed()};
  Compressor compressor_{GetParam()};
  Decompressor decompressor_;
};

TEST_P(RoundTrip, GivesEveryLengthAndKindBack) {
  for (std::size_t size : {0U, 1U, 2U, 7U, 31U, 32U, 33U, 100U, 511U, 4095U, 4096U, 4097U, 16384U,
                           65536U, 262144U, 1000003U}) {
    for (const Bytes& plain : Samples(random_, size)) ExpectRoundTrip(plain);
  }
}

TEST_P(RoundTrip, OneContextServesFramesOfAnyOrder) {
  for (int i = 0; i < 100; ++i) {
    const std::vector<Bytes> samples = Samples(random_, random_.Below(70000));
    ExpectRoundTrip(samples[random_.Below(samples.size())]);
  }
}

TEST_P(RoundTrip, TheLargestPlaintext) {
  ExpectRoundTrip(Bytes(kPlainBytesMax, std::byte{0}));
  if (GetParam().level < 19) ExpectRoundTrip(Words(random_, kPlainBytesMax));  // 19 takes 9 s
}

TEST_P(RoundTrip, NoiseIsStored) {
  Bytes stored;
  EXPECT_EQ(compressor_.Compress(random_.NewBytes(65536), &stored), CodecId::kStored);
}

TEST_P(RoundTrip, ReplacesWhatTheOutputHeld) {
  const Bytes plain = Words(random_, 5000);
  Bytes fresh;
  const CodecId codec = compressor_.Compress(plain, &fresh);
  Bytes used = random_.NewBytes(100000);
  EXPECT_EQ(compressor_.Compress(plain, &used), codec);
  EXPECT_EQ(used, fresh);
}

std::string NameOf(const testing::TestParamInfo<CodecSetting>& test) {
  return "Codec" + std::to_string(static_cast<int>(test.param.id)) + "Level" +
         std::to_string(test.param.level);
}

INSTANTIATE_TEST_SUITE_P(Codecs, RoundTrip,
                         testing::Values(CodecSetting{CodecId::kStored, 0},
                                         CodecSetting{CodecId::kLz4, 0},
                                         CodecSetting{CodecId::kZstd, 1},
                                         CodecSetting{CodecId::kZstd, 3},
                                         CodecSetting{CodecId::kZstd, 19}),
                         NameOf);

TEST(Compressor, CompressesWordsWithEachCodec) {
  SeededRandom random(TestSeed());
  const Bytes plain = Words(random, 65536);
  for (const CodecSetting& setting :
       {CodecSetting{CodecId::kLz4, 0}, CodecSetting{CodecId::kZstd, 1}}) {
    Bytes stored;
    EXPECT_EQ(Compressor(setting).Compress(plain, &stored), setting.id);
    EXPECT_LT(stored.size(), plain.size() / 2);
  }
}

TEST(Compressor, StoresWhatGainsLessThanAThirtySecond) {
  SeededRandom random(TestSeed());
  Compressor compressor(CodecSetting{});
  const std::size_t size = 65536;
  // Noise with a run of zeros: what is gained is about the run.
  Bytes plain = random.NewBytes(size);
  std::fill_n(plain.begin(), size / 64, std::byte{0});
  Bytes stored;
  EXPECT_EQ(compressor.Compress(plain, &stored), CodecId::kStored);
  EXPECT_EQ(stored, plain);
  std::fill_n(plain.begin(), size / 16, std::byte{0});
  EXPECT_EQ(compressor.Compress(plain, &stored), CodecId::kZstd);
}

TEST(CodecSetting, TakesTheLevelsThatCodecsHave) {
  EXPECT_OK(CheckCodecSetting(CodecSetting{}));
  EXPECT_OK(CheckCodecSetting({CodecId::kZstd, 19}));
  EXPECT_OK(CheckCodecSetting({CodecId::kLz4, 0}));
  EXPECT_OK(CheckCodecSetting({CodecId::kStored, 0}));
  EXPECT_FAILS(CheckCodecSetting({CodecId::kZstd, 0}), kInvalidArgument);
  EXPECT_FAILS(CheckCodecSetting({CodecId::kZstd, 20}), kInvalidArgument);
  EXPECT_FAILS(CheckCodecSetting({CodecId::kZstd, -1}), kInvalidArgument);
  EXPECT_FAILS(CheckCodecSetting({CodecId::kLz4, 1}), kInvalidArgument);
  EXPECT_FAILS(CheckCodecSetting({CodecId::kStored, 1}), kInvalidArgument);
}

TEST(CodecId, KnowsThreeNumbers) {
  for (unsigned number = 0; number < 256; ++number) {
    const Result<CodecId> codec = CodecIdFrom(static_cast<std::uint8_t>(number));
    if (number <= 2) {
      ASSERT_OK(codec);
      EXPECT_EQ(static_cast<unsigned>(*codec), number);
    } else {
      EXPECT_FAILS(codec, kUnsupported);
    }
  }
}

}  // namespace
}  // namespace coffer::compress
