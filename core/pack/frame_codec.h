// One frame, compressed and sealed, and back. The only place that puts compression and sealing
// together.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/compress/compressor.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "core/format/frame_ref.h"
#include "core/vault/key_chest.h"

namespace coffer::pack {

/// A frame that has been compressed and not yet sealed.
struct CompressedFrame {
  format::FrameType type = format::FrameType::kData;
  std::uint8_t codec = 0;
  std::uint8_t level = 0;   // pages
  std::uint64_t index = 0;  // pages
  std::uint32_t plain_length = 0;
  ContentId id;     // content id, page id, or null for a delta: what the pack's table shows
  ContentId check;  // keyed hash of the plaintext, compared before upload
  Bytes stored;
};

/// Compresses `plain` and takes its check id (for data: the content id).
[[nodiscard]] CompressedFrame CompressFrame(compress::Compressor& compressor,
                                            const vault::KeyChest::Epoch& keys,
                                            format::FrameType type, ByteView plain);
/// As CompressFrame, of data whose content id is known already.
[[nodiscard]] CompressedFrame CompressDataFrame(compress::Compressor& compressor,
                                                const ContentId& content, ByteView plain);

/// Authenticates, then decompresses into exactly context.plain_length bytes.
Result<Bytes> OpenFrame(const crypto::Sealer& sealer, ByteView sealed,
                        const format::FrameContext& context);

}  // namespace coffer::pack
