// Byte strings. Views go in, Bytes come out. Integers on disk and in hashes are little-endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

/// Leaves new elements uninitialised: a buffer about to be read into needs no zeros first.
template <class T>
struct UninitializedAllocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = UninitializedAllocator<U>;
  };
  template <class U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <class U, class... Args>
  void construct(U* place, Args&&... args) {
    ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

/// Bytes(n) holds n uninitialised bytes; Bytes(n, std::byte{0}) holds zeros.
using Bytes = std::vector<std::byte, UninitializedAllocator<std::byte>>;
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

inline ByteView AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes ToBytes(ByteView view) { return Bytes(view.begin(), view.end()); }

/// True if every byte is zero. Fast: wide compares of the view with itself, shifted.
[[nodiscard]] bool IsZero(ByteView bytes);

/// Lower-case hex of `bytes`, and back (empty optional-like: false on odd length or a foreign
/// digit).
[[nodiscard]] std::string ToHex(ByteView bytes);
[[nodiscard]] bool FromHex(std::string_view hex, MutableByteView out);

/// Compares in time that depends on the length only.
[[nodiscard]] bool ConstantTimeEqual(ByteView a, ByteView b);

template <class Integer>
inline void StoreLe(std::byte* out, Integer value) {
  static_assert(std::is_unsigned_v<Integer>);
  std::memcpy(out, &value, sizeof value);  // the build refuses big-endian machines
}
template <class Integer>
[[nodiscard]] inline Integer LoadLe(const std::byte* in) {
  static_assert(std::is_unsigned_v<Integer>);
  Integer value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

}  // namespace coffer
