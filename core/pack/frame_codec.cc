#include "core/pack/frame_codec.h"

#include "core/compress/decompressor.h"
#include "core/crypto/suite.h"
#include "core/format/limits.h"

namespace coffer::pack {

namespace {

CompressedFrame Compress(compress::Compressor& compressor, format::FrameType type,
                         const ContentId& check, ByteView plain) {
  CompressedFrame frame{.type = type,
                        .plain_length = static_cast<std::uint32_t>(plain.size()),
                        .id = {},
                        .check = check,
                        .stored = {}};
  frame.codec = static_cast<std::uint8_t>(compressor.Compress(plain, &frame.stored));
  if (type == format::FrameType::kData) frame.id = frame.check;
  return frame;
}

}  // namespace

CompressedFrame CompressFrame(compress::Compressor& compressor, const vault::KeyChest::Epoch& keys,
                              format::FrameType type, ByteView plain) {
  return Compress(compressor, type, keys.content->Id(static_cast<std::uint8_t>(type), plain),
                  plain);
}

CompressedFrame CompressDataFrame(compress::Compressor& compressor, const ContentId& content,
                                  ByteView plain) {
  return Compress(compressor, format::FrameType::kData, content, plain);
}

Result<Bytes> OpenFrame(const crypto::Sealer& sealer, ByteView sealed,
                        const format::FrameContext& context) {
  if (context.plain_length > format::kPackBytesMax || sealed.size() < crypto::kTagBytes)
    return Fail(ErrorCode::kCorruption, "frame length out of bounds");
  Bytes stored(sealed.size() - crypto::kTagBytes);
  RETURN_IF_ERROR(sealer.Open(context.frame, format::FrameAad(context), sealed, stored));
  const auto codec = static_cast<compress::CodecId>(context.codec);
  if (codec == compress::CodecId::kStored && stored.size() == context.plain_length) return stored;
  Bytes plain(context.plain_length);
  thread_local compress::Decompressor decompressor;
  RETURN_IF_ERROR(decompressor.Decompress(codec, stored, plain));
  return plain;
}

}  // namespace coffer::pack
