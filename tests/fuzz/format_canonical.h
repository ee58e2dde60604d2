// What every fuzz target of core/format asserts: bytes that decode are the one encoding of what
// they decode to. Anything else would let two byte strings stand for one thing, or lose a field on
// the way through.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/check.h"

namespace coffer::format {

inline ByteView FuzzInput(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

/// Takes the first byte of `input` as a choice out of `count`; 0 when it is empty.
inline unsigned TakeChoice(ByteView* input, unsigned count) {
  if (input->empty()) return 0;
  const auto choice = std::to_integer<unsigned>(input->front()) % count;
  *input = input->subspan(1);
  return choice;
}

inline void CheckSame(ByteView again, ByteView input) {
  CHECK(std::equal(again.begin(), again.end(), input.begin(), input.end()));
}

/// `encode(decode(input))` is `input`, if it decodes at all.
template <class Decoder, class Encoder>
void CheckCanonical(ByteView input, Decoder decode, Encoder encode) {
  const auto value = decode(input);
  if (!value.has_value()) {
    CHECK(!value.error().message.empty());
    return;
  }
  const auto again = encode(*value);
  if constexpr (requires { again.view(); })
    CheckSame(again.view(), input);
  else
    CheckSame(again, input);
}

template <class Decoder>
void CheckCanonical(ByteView input, Decoder decode) {
  CheckCanonical(input, decode, [](const auto& value) { return Encode(value); });
}

/// `input` cut to `size`, for structures that stand at the beginning of something longer.
inline ByteView FirstOf(ByteView input, std::size_t size) {
  return input.first(std::min(size, input.size()));
}

}  // namespace coffer::format
