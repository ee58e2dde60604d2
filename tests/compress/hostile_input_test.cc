// What an attacker who holds the keys could put into a frame (faults.md A23, row 78). The zstd
// library is linked here to make frames that Compressor does not.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <zstd.h>

#include <memory>
#include <vector>

#include "core/compress/compressor.h"
#include "core/compress/decompressor.h"
#include "tests/compress/samples.h"
#include "tests/support/result_macros.h"

namespace coffer::compress {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

struct Parameter {
  ZSTD_cParameter name;
  int value;
};

enum class Pledge { kSize, kNothing };

/// A zstd frame made with `parameters`, as a stream of unknown length if nothing is pledged.
Bytes ZstdFrame(ByteView plain, const std::vector<Parameter>& parameters,
                Pledge pledge = Pledge::kSize) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  for (const Parameter& parameter : parameters) {
    EXPECT_FALSE(
        ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), parameter.name, parameter.value)));
  }
  Bytes frame(ZSTD_compressBound(plain.size()));
  ZSTD_inBuffer in{plain.data(), plain.size(), 0};
  ZSTD_outBuffer out{frame.data(), frame.size(), 0};
  if (pledge == Pledge::kSize) {
    EXPECT_FALSE(ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context.get(), plain.size())));
  } else {
    EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_flush)));
  }
  EXPECT_EQ(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end), 0U);
  frame.resize(out.pos);
  return frame;
}

class HostileInput : public testing::Test {
 protected:
  Status Decompress(CodecId codec, ByteView stored, std::size_t plain_size) {
    Bytes plain(plain_size);
    return decompressor_.Decompress(codec, stored, plain);
  }

  Bytes Compressed(CodecSetting setting) {
    Bytes stored;
    EXPECT_EQ(Compressor(setting).Compress(plain_, &stored), setting.id);
    return stored;
  }

  SeededRandom random_{TestSeed()};
  const Bytes plain_ = Words(random_, 6000);
  Decompressor decompressor_;
};

TEST_F(HostileInput, EveryOtherLengthIsRefused) {
  for (const CodecSetting& setting :
       {CodecSetting{CodecId::kStored, 0}, CodecSetting{CodecId::kLz4, 0}, CodecSetting{}}) {
    const Bytes stored = Compressed(setting);
    ASSERT_OK(Decompress(setting.id, stored, plain_.size()));
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, stored.size(), plain_.size() - 1,
                             plain_.size() + 1, plain_.size() * 2}) {
      if (setting.id == CodecId::kStored && size == stored.size()) continue;
      EXPECT_FAILS(Decompress(setting.id, stored, size), kCorruption) << size;
    }
  }
}

TEST_F(HostileInput, EveryTruncationAndTrailingBytesAreRefused) {
  for (const CodecSetting& setting : {CodecSetting{CodecId::kLz4, 0}, CodecSetting{}}) {
    Bytes stored = Compressed(setting);
    for (std::size_t size = 0; size < stored.size(); ++size) {
      ASSERT_FAILS(Decompress(setting.id, ByteView(stored).first(size), plain_.size()), kCorruption)
          << size;
    }
    stored.push_back(std::byte{0});
    EXPECT_FAILS(Decompress(setting.id, stored, plain_.size()), kCorruption);
  }
}

TEST_F(HostileInput, UnknownAndWrongCodecsAreRefused) {
  const Bytes zstd = Compressed(CodecSetting{});
  const Bytes lz4 = Compressed({CodecId::kLz4, 0});
  EXPECT_FAILS(Decompress(CodecId::kLz4, zstd, plain_.size()), kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kZstd, lz4, plain_.size()), kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kStored, zstd, plain_.size()), kCorruption);
  EXPECT_FAILS(Decompress(static_cast<CodecId>(3), zstd, plain_.size()), kUnsupported);
  EXPECT_FAILS(Decompress(static_cast<CodecId>(255), zstd, plain_.size()), kUnsupported);
}

TEST_F(HostileInput, ZstdFramesThatCompressorDoesNotMakeAreRefused) {
  ASSERT_OK(Decompress(CodecId::kZstd, ZstdFrame(plain_, {}), plain_.size()));
  EXPECT_FAILS(
      Decompress(CodecId::kZstd, ZstdFrame(plain_, {{ZSTD_c_checksumFlag, 1}}), plain_.size()),
      kCorruption);
  EXPECT_FAILS(
      Decompress(CodecId::kZstd, ZstdFrame(plain_, {{ZSTD_c_contentSizeFlag, 0}}), plain_.size()),
      kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kZstd, ZstdFrame(plain_, {}, Pledge::kNothing), plain_.size()),
               kCorruption);
}

TEST_F(HostileInput, ZstdDictionaryIdsAreRefused) {
  const Bytes frame = ZstdFrame(plain_, {});
  const std::size_t id_position = 5;  // after magic and descriptor, in a single-segment frame
  ASSERT_NE(std::to_integer<unsigned>(frame[4]) & 0x20U, 0U);
  for (unsigned flag : {1U, 2U, 3U}) {
    Bytes changed = frame;
    changed[4] |= static_cast<std::byte>(flag);
    changed.insert(changed.begin() + id_position, std::size_t{1} << (flag - 1), std::byte{0});
    EXPECT_FAILS(Decompress(CodecId::kZstd, changed, plain_.size()), kCorruption) << flag;
  }
}

TEST_F(HostileInput, ZstdSkippableAndSecondFramesAreRefused) {
  const Bytes frame = ZstdFrame(plain_, {});
  Bytes skippable(8 + 5, std::byte{0});
  StoreLe<std::uint32_t>(skippable.data(), ZSTD_MAGIC_SKIPPABLE_START);
  StoreLe<std::uint32_t>(&skippable[4], 5);
  Bytes before = skippable;
  before.insert(before.end(), frame.begin(), frame.end());
  Bytes after = frame;
  after.insert(after.end(), skippable.begin(), skippable.end());
  Bytes twice = frame;
  twice.insert(twice.end(), frame.begin(), frame.end());
  EXPECT_FAILS(Decompress(CodecId::kZstd, skippable, 100), kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kZstd, before, plain_.size()), kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kZstd, after, plain_.size()), kCorruption);
  EXPECT_FAILS(Decompress(CodecId::kZstd, twice, plain_.size() * 2), kCorruption);
}

TEST_F(HostileInput, ALargeZstdWindowIsRefused) {
  const Bytes plain = Words(random_, kPlainBytesMax);
  // Beyond the window's size a frame has a window descriptor; up to 2^23 bytes is level 19's own.
  EXPECT_OK(Decompress(CodecId::kZstd, ZstdFrame(plain, {{ZSTD_c_windowLog, 23}}), plain.size()));
  Bytes frame = ZstdFrame(plain, {{ZSTD_c_windowLog, 20}});
  ASSERT_EQ(std::to_integer<unsigned>(frame[4]) & 0x20U, 0U);
  Bytes out(plain.size());
  for (unsigned window = ((23 - 10) << 3) + 1; window < 256; ++window) {  // beyond 2^23 bytes
    frame[5] = static_cast<std::byte>(window);
    ASSERT_FAILS(decompressor_.Decompress(CodecId::kZstd, frame, out), kCorruption) << window;
  }
}

long PeakResidentKib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST_F(HostileInput, ABombTakesNoMemory) {
  // 16 bytes: single segment, 8-byte content size 2^40, one RLE block that claims 128 KiB.
  Bytes bomb(16, std::byte{0});
  StoreLe<std::uint32_t>(bomb.data(), ZSTD_MAGICNUMBER);
  bomb[4] = std::byte{0xe0};
  StoreLe<std::uint64_t>(&bomb[5], std::uint64_t{1} << 40);
  bomb[13] = std::byte{0x03};
  ASSERT_EQ(ZSTD_getFrameContentSize(bomb.data(), bomb.size()), std::uint64_t{1} << 40);
  ASSERT_OK(Decompress(CodecId::kZstd, Compressed(CodecSetting{}), plain_.size()));
  const long before = PeakResidentKib();
  EXPECT_FAILS(Decompress(CodecId::kZstd, bomb, 65536), kCorruption);
  EXPECT_LT(PeakResidentKib() - before, 4096);
}

TEST_F(HostileInput, AFrameThatWritesMoreThanItClaimsStaysInTheBuffer) {
  // Content size 100, but an RLE block of 4096 bytes.
  Bytes frame(10, std::byte{0});
  StoreLe<std::uint32_t>(frame.data(), ZSTD_MAGICNUMBER);
  frame[4] = std::byte{0x20};
  frame[5] = std::byte{100};
  const std::uint32_t block_header = 4096U << 3 | 1U << 1 | 1U;  // size, RLE, last
  for (unsigned i = 0; i < 3; ++i) {
    frame[6 + i] = static_cast<std::byte>(block_header >> (8 * i) & 0xff);
  }
  Bytes buffer(100 + 5000, std::byte{0xaa});
  EXPECT_FAILS(decompressor_.Decompress(CodecId::kZstd, frame, MutableByteView(buffer).first(100)),
               kCorruption);
  EXPECT_EQ(Bytes(buffer.begin() + 100, buffer.end()), Bytes(5000, std::byte{0xaa}));
}

TEST_F(HostileInput, LengthsBeyondTheLargestPlaintextAreRefused) {
  const Bytes stored(kPlainBytesMax + 1, std::byte{0});
  EXPECT_OK(Decompress(CodecId::kStored, ByteView(stored).first(kPlainBytesMax), kPlainBytesMax));
  for (CodecId codec : {CodecId::kStored, CodecId::kLz4, CodecId::kZstd}) {
    EXPECT_FAILS(Decompress(codec, stored, kPlainBytesMax + 1), kCorruption);
  }
}

TEST_F(HostileInput, FlippedBitsNeverLeaveTheBuffer) {
  for (const CodecSetting& setting : {CodecSetting{CodecId::kLz4, 0}, CodecSetting{}}) {
    const Bytes stored = Compressed(setting);
    for (int i = 0; i < 1000; ++i) {
      Bytes changed = stored;
      for (std::uint64_t flips = 1 + random_.Below(3); flips > 0; --flips) {
        const std::size_t bit = random_.Below(changed.size() * 8);
        changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      }
      const std::size_t guard = 64;
      Bytes buffer(plain_.size() + guard, std::byte{0xaa});
      // Whether it fails is the tag's business; that nothing else is written is shown here.
      const Status ignored = decompressor_.Decompress(setting.id, changed,
                                                      MutableByteView(buffer).first(plain_.size()));
      static_cast<void>(ignored);
      ASSERT_EQ(Bytes(buffer.end() - guard, buffer.end()), Bytes(guard, std::byte{0xaa}));
    }
    // A failure before leaves the context fit for use.
    ASSERT_OK(Decompress(setting.id, stored, plain_.size()));
  }
}

}  // namespace
}  // namespace coffer::compress
