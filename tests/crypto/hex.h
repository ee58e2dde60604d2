// Hex literals and simple byte patterns in tests of core/crypto.
#pragma once

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"

namespace coffer {

inline Bytes Hex(std::string_view hex) {
  Bytes bytes(hex.size() / 2);
  EXPECT_TRUE(FromHex(hex, bytes)) << hex;
  return bytes;
}

inline SecretBytes Secret(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)); }
inline SecretBytes SecretHex(std::string_view hex) { return SecretBytes::CopyOf(Hex(hex)); }

/// `count` bytes start, start + 1 …
inline Bytes Counting(std::size_t count, std::size_t start = 0) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(start + i);
  return bytes;
}

inline Bytes Repeated(std::size_t count, unsigned value) {
  return Bytes(count, static_cast<std::byte>(value));
}

}  // namespace coffer
