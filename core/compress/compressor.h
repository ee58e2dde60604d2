// Plaintext to a frame's bytes. Keeps its context between calls, which is what makes small frames
// cheap; one thread at a time, so each worker has its own. Sees no keys: its memory holds
// plaintext of the last call.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/compress/codec.h"

namespace coffer::compress {

class Compressor {
 public:
  /// REQUIRES: CheckCodecSetting(setting) holds.
  explicit Compressor(const CodecSetting& setting);
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;

  /// Replaces `*out` and says with what. kStored, a plain copy, unless the codec saves more than
  /// 1/32 of `plain`: less is not worth a decompression at every read. Output carries no checksum
  /// (the seal authenticates it) and no dictionary id.
  /// REQUIRES: plain.size() <= kPlainBytesMax.
  [[nodiscard]] CodecId Compress(ByteView plain, Bytes* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::compress
