// A frame's bytes back to exactly the plaintext that its description promises. What it reads was
// authenticated, but by whoever holds the keys, which may be an attacker's own machine: it writes
// into the caller's buffer only, allocates nothing that the input decides, and refuses every form
// that Compressor does not make (bombs, dictionaries, skippable frames, large windows, trailing
// bytes). One thread at a time.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/compress/codec.h"

namespace coffer::compress {

class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  /// Fills `plain` completely or fails: kCorruption for bytes that are not exactly that long,
  /// kUnsupported for an unknown codec. On failure `plain` holds no meaning.
  Status Decompress(CodecId codec, ByteView stored, MutableByteView plain);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::compress
