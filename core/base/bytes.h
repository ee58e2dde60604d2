// Byte strings. Views go in, Bytes come out. Integers on disk and in hashes are little-endian.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
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

/// Iterators over bytes that lie one after the other.
template <class Iterator>
concept ByteIterator =
    std::contiguous_iterator<Iterator> && std::same_as<std::iter_value_t<Iterator>, std::byte>;

/// A std::vector of bytes. Bytes(n) holds n uninitialised bytes; Bytes(n, std::byte{0}) holds
/// zeros.
///
/// With an allocator of one's own libstdc++ copies vectors element by element (0.74 ns a byte with
/// g++ 12 -O2, 60 times memcpy's time), so whatever copies is here once more.
class Bytes : public std::vector<std::byte, UninitializedAllocator<std::byte>> {
  using Vector = std::vector<std::byte, UninitializedAllocator<std::byte>>;

 public:
  Bytes() = default;
  explicit Bytes(std::size_t size) : Vector(size) {}
  Bytes(std::size_t size, std::byte value) : Vector(size, value) {}
  Bytes(std::initializer_list<std::byte> bytes) : Bytes(bytes.begin(), bytes.end()) {}
  template <ByteIterator Iterator>
  Bytes(Iterator first, Iterator last) : Vector(static_cast<std::size_t>(last - first)) {
    Put(0, first, last);
  }
  Bytes(const Bytes& other) : Bytes(other.begin(), other.end()) {}
  Bytes(Bytes&&) noexcept = default;
  Bytes& operator=(const Bytes& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  Bytes& operator=(Bytes&&) noexcept = default;
  ~Bytes() = default;

  void assign(std::size_t size, std::byte value) { Vector::assign(size, value); }
  template <ByteIterator Iterator>
  void assign(Iterator first, Iterator last) {
    clear();
    resize(static_cast<std::size_t>(last - first));
    Put(0, first, last);
  }

  void reserve(std::size_t capacity_min) {
    if (capacity_min <= capacity()) return;
    Vector larger;
    larger.reserve(capacity_min);
    larger.resize(size());
    if (!empty()) std::memcpy(larger.data(), data(), size());
    Vector::swap(larger);
  }
  void resize(std::size_t size) {
    MakeRoomFor(size);
    Vector::resize(size);
  }
  void resize(std::size_t size, std::byte value) {
    MakeRoomFor(size);
    Vector::resize(size, value);
  }
  void push_back(std::byte value) {
    MakeRoomFor(size() + 1);
    Vector::push_back(value);
  }

  iterator insert(const_iterator place, std::byte value) { return insert(place, 1, value); }
  iterator insert(const_iterator place, std::size_t count, std::byte value) {
    const std::size_t offset = OpenGap(place, count);
    std::fill_n(data() + offset, count, value);
    return begin() + static_cast<std::ptrdiff_t>(offset);
  }
  /// The range must not be part of this.
  template <ByteIterator Iterator>
  iterator insert(const_iterator place, Iterator first, Iterator last) {
    const std::size_t offset = OpenGap(place, static_cast<std::size_t>(last - first));
    Put(offset, first, last);
    return begin() + static_cast<std::ptrdiff_t>(offset);
  }

 private:
  void MakeRoomFor(std::size_t size) {
    if (size > capacity()) reserve(std::max(size, 2 * capacity()));
  }

  template <class Iterator>
  void Put(std::size_t offset, Iterator first, Iterator last) {
    if (first == last) return;
    std::memcpy(data() + offset, std::to_address(first), static_cast<std::size_t>(last - first));
  }

  /// Moves what follows `place` by `count` bytes; returns the offset of `place`.
  std::size_t OpenGap(const_iterator place, std::size_t count) {
    const auto offset = static_cast<std::size_t>(place - begin());
    const std::size_t following = size() - offset;
    resize(size() + count);
    if (following > 0) std::memmove(data() + offset + count, data() + offset, following);
    return offset;
  }
};
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
