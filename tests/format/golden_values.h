// Bytes as make_golden.py makes them: its seq().
#pragma once

#include <algorithm>
#include <array>

#include "core/base/bytes.h"

namespace coffer::format {

/// `count` bytes that count up from `first`.
inline Bytes Seq(unsigned first, std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

template <class IdType>
IdType SeqId(unsigned first) {
  return IdType::From(Seq(first, IdType::kBytes));
}

template <std::size_t kSize>
std::array<std::byte, kSize> SeqArray(unsigned first) {
  std::array<std::byte, kSize> array;
  std::ranges::copy(Seq(first, kSize), array.begin());
  return array;
}

}  // namespace coffer::format
