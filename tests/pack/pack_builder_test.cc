// What is sealed is opened again before anything relies on it.
#include "core/pack/pack_builder.h"

#include <gtest/gtest.h>

#include "core/compress/decompressor.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::pack {
namespace {

class PackBuilderTest : public testing::Test {
 protected:
  PackBuilderTest() {
    keyring_.epochs.push_back({1, SecretBytes::CopyOf(random_.NewBytes(32)), 0});
    chest_ = std::make_unique<vault::KeyChest>(vault_, keyring_);
  }
  CompressedFrame Frame(ByteView plain, compress::CodecId codec) {
    compress::Compressor compressor({codec, codec == compress::CodecId::kZstd ? 1 : 0});
    return CompressFrame(compressor, chest_->current(), format::FrameType::kData, plain);
  }
  static bool Opens(const CompressedFrame& frame, const Bytes& plain) {
    Bytes out(frame.plain_length);
    compress::Decompressor decompressor;
    const auto codec = static_cast<compress::CodecId>(frame.codec);
    return decompressor.Decompress(codec, frame.stored, out).has_value() && out == plain;
  }

  SeededRandom random_{TestSeed()};
  VaultId vault_ = random_.NewId<VaultId>();
  format::Keyring keyring_;
  std::unique_ptr<vault::KeyChest> chest_;
  const std::unique_ptr<Executor> work_ = NewThreadExecutor("work", 2);
};

// faults.md 82.
TEST_F(PackBuilderTest, F82ABitFlippedInMemoryAfterCompressionStopsThePack) {
  int stopped = 0;
  const Bytes random = random_.NewBytes(16384);
  const Bytes text(16384, std::byte{'x'});
  for (const compress::CodecId codec :
       {compress::CodecId::kStored, compress::CodecId::kLz4, compress::CodecId::kZstd}) {
    for (const Bytes& plain : {random, text}) {
      const CompressedFrame whole = Frame(plain, codec);
      for (std::size_t at = 0; at < whole.stored.size(); at += 1 + whole.stored.size() / 60) {
        SCOPED_TRACE(testing::Message() << "codec " << static_cast<int>(codec) << " byte " << at);
        CompressedFrame damaged = whole;
        damaged.stored[at] ^= std::byte{1} << random_.Below(8);
        const bool harmless = Opens(damaged, plain);  // a bit that the codec does not look at
        PackBuilder builder(vault_, chest_->current(), random_);
        builder.AddData(Frame(text, codec), 0);
        builder.AddData(std::move(damaged), 0);
        const auto sealed = builder.Seal(*work_);
        ASSERT_EQ(sealed.has_value(), harmless);
        stopped += harmless ? 0 : 1;
        if (harmless) continue;
        EXPECT_EQ(sealed.error().code, ErrorCode::kCorruption);
        EXPECT_NE(sealed.error().message.find("not uploaded"), std::string::npos);
      }
      PackBuilder builder(vault_, chest_->current(), random_);
      builder.AddData(whole, 0);
      EXPECT_OK(builder.Seal(*work_));
    }
  }
  EXPECT_GT(stopped, 100);
}

// faults.md 82: whichever of many frames it is, in whichever part that a thread opens.
TEST_F(PackBuilderTest, F82ADamagedFrameIsFoundInEveryPlaceOfALargePack) {
  const Bytes text(4096, std::byte{'x'});
  const CompressedFrame whole = Frame(text, compress::CodecId::kStored);
  for (const std::size_t damaged :
       {std::size_t{0}, std::size_t{31}, std::size_t{32}, std::size_t{99}}) {
    PackBuilder builder(vault_, chest_->current(), random_);
    for (std::size_t i = 0; i < 100; ++i) {
      CompressedFrame frame = whole;
      if (i == damaged) frame.stored[17] ^= std::byte{1};
      builder.AddData(std::move(frame), 0);
    }
    EXPECT_FAILS(builder.Seal(*work_), kCorruption);
  }
}

TEST_F(PackBuilderTest, IsFullAtTheMostFramesHoweverSmallTheyAre) {
  PackBuilder builder(vault_, chest_->current(), random_);
  const Bytes plain(4096, std::byte{1});
  const CompressedFrame frame = Frame(plain, compress::CodecId::kZstd);
  for (std::size_t i = 0; i < format::kFramesPerPackMax; ++i) {
    ASSERT_FALSE(builder.IsFullFor(frame.stored.size(), 16 << 20));
    builder.AddData(frame, 0);
  }
  EXPECT_TRUE(builder.IsFullFor(1, 16 << 20));
}

}  // namespace
}  // namespace coffer::pack
