#include "core/compress/compressor.h"

#include <lz4.h>
#include <zstd.h>

#include <memory>

#include "core/base/check.h"

namespace coffer::compress {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// The most bytes that a compressed form of `plain_size` may take to be used.
std::size_t UsefulSizeMax(std::size_t plain_size) {
  const std::size_t saving_min = plain_size / 32 + 1;
  return plain_size < saving_min ? 0 : plain_size - saving_min;
}

void SetParameter(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)));
}

}  // namespace

struct Compressor::State {
  CodecSetting setting;
  std::unique_ptr<ZSTD_CCtx, FreeContext> zstd;
  Bytes lz4;
  Bytes scratch;

  /// The compressed size in `scratch`, or 0 if the codec failed or does not fit in it.
  std::size_t Run(ByteView plain) {
    if (setting.id == CodecId::kZstd) {
      const std::size_t size =
          ZSTD_compress2(zstd.get(), scratch.data(), scratch.size(), plain.data(), plain.size());
      return ZSTD_isError(size) ? 0 : size;
    }
    const int size = LZ4_compress_fast_extState(
        lz4.data(), reinterpret_cast<const char*>(plain.data()),
        reinterpret_cast<char*>(scratch.data()), static_cast<int>(plain.size()),
        static_cast<int>(scratch.size()), /*acceleration=*/1);
    return static_cast<std::size_t>(size);
  }
};

Compressor::Compressor(const CodecSetting& setting) : state_(std::make_unique<State>()) {
  CHECK(CheckCodecSetting(setting).has_value());
  state_->setting = setting;
  if (setting.id == CodecId::kZstd) {
    state_->zstd.reset(ZSTD_createCCtx());
    CHECK(state_->zstd != nullptr);
    SetParameter(state_->zstd.get(), ZSTD_c_compressionLevel, setting.level);
    SetParameter(state_->zstd.get(), ZSTD_c_contentSizeFlag, 1);
    SetParameter(state_->zstd.get(), ZSTD_c_checksumFlag, 0);
    SetParameter(state_->zstd.get(), ZSTD_c_dictIDFlag, 0);
  } else if (setting.id == CodecId::kLz4) {
    state_->lz4.resize(static_cast<std::size_t>(LZ4_sizeofState()));
  }
}

Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

CodecId Compressor::Compress(ByteView plain, Bytes* out) {
  CHECK(plain.size() <= kPlainBytesMax);
  const std::size_t useful_max = UsefulSizeMax(plain.size());
  if (state_->setting.id != CodecId::kStored && useful_max > 0) {
    // With the worst case's room both codecs take their faster paths.
    const std::size_t bound =
        state_->setting.id == CodecId::kZstd
            ? ZSTD_compressBound(plain.size())
            : static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(plain.size())));
    if (state_->scratch.size() < bound) state_->scratch.resize(bound);
    const std::size_t size = state_->Run(plain);
    if (size > 0 && size <= useful_max) {
      out->assign(state_->scratch.begin(),
                  state_->scratch.begin() + static_cast<std::ptrdiff_t>(size));
      return state_->setting.id;
    }
  }
  out->assign(plain.begin(), plain.end());
  return CodecId::kStored;
}

}  // namespace coffer::compress
