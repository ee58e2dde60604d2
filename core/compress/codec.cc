#include "core/compress/codec.h"

#include "core/base/log.h"

namespace coffer::compress {
namespace {

constexpr int kZstdLevelMax = 19;

}  // namespace

Result<CodecId> CodecIdFrom(std::uint8_t number) {
  switch (static_cast<CodecId>(number)) {
    case CodecId::kStored:
    case CodecId::kLz4:
    case CodecId::kZstd:
      return static_cast<CodecId>(number);
  }
  return Fail(ErrorCode::kUnsupported, Concat("unknown codec number ", number));
}

Status CheckCodecSetting(const CodecSetting& setting) {
  switch (setting.id) {
    case CodecId::kStored:
    case CodecId::kLz4:
      if (setting.level == 0) return {};
      return Fail(ErrorCode::kInvalidArgument, "codecs stored and lz4 have no levels");
    case CodecId::kZstd:
      if (setting.level >= 1 && setting.level <= kZstdLevelMax) return {};
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("zstd level ", setting.level, " is not between 1 and ", kZstdLevelMax));
  }
  return Fail(ErrorCode::kUnsupported,
              Concat("unknown codec number ", static_cast<int>(setting.id)));
}

}  // namespace coffer::compress
