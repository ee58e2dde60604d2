// How the bytes of a frame are compressed: named per frame, in its sealed description.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/result.h"

namespace coffer::compress {

/// Part of the format.
enum class CodecId : std::uint8_t { kStored = 0, kLz4 = 1, kZstd = 2 };

/// kUnsupported for a number this version does not know.
Result<CodecId> CodecIdFrom(std::uint8_t number);

/// What to compress with. zstd has levels 1 to 19, the others none (0).
struct CodecSetting {
  CodecId id = CodecId::kZstd;
  int level = 1;
};

/// kInvalidArgument for a level that the codec lacks.
Status CheckCodecSetting(const CodecSetting& setting);

/// The most plaintext in one frame, page or delta: no length beyond it is compressed or believed.
inline constexpr std::size_t kPlainBytesMax = 16 * 1024 * 1024;

}  // namespace coffer::compress
