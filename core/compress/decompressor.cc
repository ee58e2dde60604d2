#include "core/compress/decompressor.h"

#include <lz4.h>
#include <zstd.h>

#include <cstring>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::compress {
namespace {

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

auto Damaged(std::string_view why) {
  return Fail(ErrorCode::kCorruption, Concat("compressed data is damaged: ", why));
}

/// Whether the frame header (RFC 8878, section 3.1.1.1) is one that Compressor writes: no
/// checksum, no dictionary, a window no larger than level 19 takes. Skippable frames have another
/// magic number.
Status CheckZstdHeader(ByteView stored) {
  constexpr unsigned kSingleSegment = 1U << 5;
  constexpr unsigned kReservedChecksumAndDictionary = 0b1'1111;
  constexpr unsigned kWindowLogMax = 23;
  if (stored.size() < 6 || LoadLe<std::uint32_t>(stored.data()) != ZSTD_MAGICNUMBER) {
    return Damaged("no zstd frame");
  }
  const auto descriptor = std::to_integer<unsigned>(stored[4]);
  if ((descriptor & kReservedChecksumAndDictionary) != 0) {
    return Damaged("zstd frame with a checksum, a dictionary or reserved bits");
  }
  if ((descriptor & kSingleSegment) == 0) {
    const auto window = std::to_integer<unsigned>(stored[5]);  // exponent 5 bits, mantissa 3 bits
    const std::uint64_t base = std::uint64_t{1} << (10 + (window >> 3));
    if (base + base / 8 * (window & 7) > (std::uint64_t{1} << kWindowLogMax)) {
      return Damaged("zstd frame with too large a window");
    }
  }
  return {};
}

Status DecompressZstd(ZSTD_DCtx* context, ByteView stored, MutableByteView plain) {
  RETURN_IF_ERROR(CheckZstdHeader(stored));
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != plain.size()) {
    return Damaged("zstd frame of another length than promised");
  }
  if (ZSTD_findFrameCompressedSize(stored.data(), stored.size()) != stored.size()) {
    return Damaged("zstd frame cut off or followed by other bytes");
  }
  const std::size_t size = ZSTD_decompressDCtx(context, plain.data(), plain.size(),  //
                                               stored.data(), stored.size());
  if (ZSTD_isError(size)) return Damaged(ZSTD_getErrorName(size));
  if (size != plain.size()) return Damaged("zstd frame shorter than it claims");
  return {};
}

Status DecompressLz4(ByteView stored, MutableByteView plain) {
  const int size = LZ4_decompress_safe(
      reinterpret_cast<const char*>(stored.data()), reinterpret_cast<char*>(plain.data()),
      static_cast<int>(stored.size()), static_cast<int>(plain.size()));
  if (size < 0 || static_cast<std::size_t>(size) != plain.size()) {
    return Damaged("not an lz4 block of the length promised");
  }
  return {};
}

Status CopyStored(ByteView stored, MutableByteView plain) {
  if (stored.size() != plain.size()) return Damaged("stored bytes of another length than promised");
  if (!plain.empty()) std::memcpy(plain.data(), stored.data(), plain.size());
  return {};
}

}  // namespace

struct Decompressor::State {
  std::unique_ptr<ZSTD_DCtx, FreeContext> zstd;
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

Status Decompressor::Decompress(CodecId codec, ByteView stored, MutableByteView plain) {
  if (plain.size() > kPlainBytesMax) return Damaged("longer than any frame may be");
  if (codec == CodecId::kStored) return CopyStored(stored, plain);
  RETURN_IF_ERROR(CodecIdFrom(static_cast<std::uint8_t>(codec)));
  if (stored.size() >= plain.size()) return Damaged("no shorter than the plaintext");
  if (codec == CodecId::kLz4) return DecompressLz4(stored, plain);
  if (state_->zstd == nullptr) {
    state_->zstd.reset(ZSTD_createDCtx());
    CHECK(state_->zstd != nullptr);
  }
  return DecompressZstd(state_->zstd.get(), stored, plain);
}

}  // namespace coffer::compress
