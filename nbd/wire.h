// Big-endian integers, and the headers of requests and simple replies, to and from bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/base/bytes.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

template <class Integer>
[[nodiscard]] constexpr Integer SwapBytes(Integer value) {
  static_assert(std::is_unsigned_v<Integer>);
  if constexpr (sizeof(Integer) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(Integer) == 4) {
    return __builtin_bswap32(value);
  } else {
    static_assert(sizeof(Integer) == 8);
    return __builtin_bswap64(value);
  }
}

template <class Integer>
inline void StoreBe(std::byte* out, Integer value) {
  StoreLe(out, SwapBytes(value));
}
template <class Integer>
[[nodiscard]] inline Integer LoadBe(const std::byte* in) {
  return SwapBytes(LoadLe<Integer>(in));
}
template <class Integer>
inline void AppendBe(Bytes& out, Integer value) {
  out.resize(out.size() + sizeof value);
  StoreBe(out.data() + out.size() - sizeof value, value);
}

/// A request as it came, not yet judged.
struct RequestHeader {
  std::uint32_t magic;
  std::uint16_t flags;
  std::uint16_t command;
  std::uint64_t cookie;
  std::uint64_t offset;
  std::uint64_t length;
};

/// REQUIRES: kRequestHeaderBytes readable at `in`.
[[nodiscard]] inline RequestHeader LoadRequestHeader(const std::byte* in) {
  return {LoadBe<std::uint32_t>(in),      LoadBe<std::uint16_t>(in + 4),
          LoadBe<std::uint16_t>(in + 6),  LoadBe<std::uint64_t>(in + 8),
          LoadBe<std::uint64_t>(in + 16), LoadBe<std::uint32_t>(in + 24)};
}

/// REQUIRES: kExtendedRequestHeaderBytes readable at `in`.
[[nodiscard]] inline RequestHeader LoadExtendedRequestHeader(const std::byte* in) {
  RequestHeader header = LoadRequestHeader(in);
  header.length = LoadBe<std::uint64_t>(in + 24);
  return header;
}

/// REQUIRES: kReplyHeaderBytes writable at `out`. The cookie goes back as it came.
inline void StoreReplyHeader(std::byte* out, std::uint64_t cookie, ReplyError error) {
  StoreBe(out, kSimpleReplyMagic);
  StoreBe(out + 4, static_cast<std::uint32_t>(error));
  StoreBe(out + 8, cookie);
}

}  // namespace coffer::nbd
