#include "core/base/base64.h"

#include <cstdint>

namespace coffer {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string ToBase64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text.push_back(i <= bytes.size() ? kDigits[group >> (18 - 6 * i) & 63] : '=');
    }
  }
  return text;
}

std::optional<SecretBytes> SecretFromBase64(ByteView bytes) {
  std::string_view text = AsText(bytes);
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  for (; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  SecretBytes decoded((text.size() + padding) / 4 * 3 - padding);
  const MutableByteView out = decoded.mutable_view();
  std::uint32_t group = 0;  // the bits that are not in `out` yet
  unsigned bits = 0;
  std::size_t done = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out[done++] = static_cast<std::byte>(group >> bits & 0xff);
  }
  if ((group & ((1U << bits) - 1)) != 0) return std::nullopt;
  return decoded;
}

}  // namespace coffer
