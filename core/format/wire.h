// Bounded cursors over bytes: the only way that core/format reads and writes.
//
// Integers are little-endian; varints are unsigned LEB128 in their shortest form, so that one value
// has one encoding. A Reader's error is sticky: after the first one every read gives zero and no
// count lets a loop begin, so a decoder checks once at its end. Counts and lengths are held against
// a limit and against the bytes that remain before anything is allocated for them.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/result.h"

namespace coffer::format {

inline constexpr std::size_t kVarintBytesMax = 10;

class Writer {
 public:
  /// Grows as needed; `expected` is the first allocation.
  explicit Writer(std::size_t expected);
  /// Writes into `fixed`, whose end is never passed (CHECK): for secrets, which must not be left
  /// behind in a buffer that was outgrown.
  explicit Writer(MutableByteView fixed);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  template <class Integer>
  void Le(Integer value) {
    StoreLe(Reserve(sizeof value), value);
    next_ += sizeof value;
  }
  void U8(std::uint8_t value) { Le(value); }
  void U16(std::uint16_t value) { Le(value); }
  void U32(std::uint32_t value) { Le(value); }
  void U64(std::uint64_t value) { Le(value); }
  void I64(std::int64_t value) { Le(static_cast<std::uint64_t>(value)); }
  void Varint(std::uint64_t value) {
    std::byte* out = Reserve(kVarintBytesMax);
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<std::byte>(value | 0x80);
    *out++ = static_cast<std::byte>(value);
    next_ = out;
  }
  void Raw(ByteView bytes) {
    if (bytes.empty()) return;
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    next_ += bytes.size();
  }
  template <class IdType>
  void Id(const IdType& id) {
    std::memcpy(Reserve(IdType::kBytes), id.bytes.data(), IdType::kBytes);
    next_ += IdType::kBytes;
  }
  void Zeros(std::size_t count);
  /// Length as a varint, then the bytes. REQUIRES: text.size() <= bytes_max.
  void Text(std::string_view text, std::size_t bytes_max);

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(next_ - begin_); }
  [[nodiscard]] ByteView written() const { return {begin_, size()}; }
  /// What was written. REQUIRES: a growing writer; it is empty afterwards.
  [[nodiscard]] Bytes Take();

 private:
  std::byte* Reserve(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - next_) < bytes) [[unlikely]]
      Grow(bytes);
    return next_;
  }
  void Grow(std::size_t bytes);

  Bytes buffer_;
  bool fixed_;
  std::byte* begin_;
  std::byte* next_;
  std::byte* end_;
};

class Reader {
 public:
  /// `what` names the structure in errors ("page").
  Reader(ByteView bytes, const char* what)
      : begin_(bytes.data()), next_(begin_), end_(begin_ + bytes.size()), what_(what) {}
  /// As above; more than `bytes_max` bytes are refused at once.
  Reader(ByteView bytes, std::size_t bytes_max, const char* what) : Reader(bytes, what) {
    if (bytes.size() > bytes_max) Corrupt("longer than the format allows");
  }

  template <class Integer>
  [[nodiscard]] Integer Le() {
    const std::byte* in = Advance(sizeof(Integer));
    return in == nullptr ? Integer{0} : LoadLe<Integer>(in);
  }
  [[nodiscard]] std::uint8_t U8() { return Le<std::uint8_t>(); }
  [[nodiscard]] std::uint16_t U16() { return Le<std::uint16_t>(); }
  [[nodiscard]] std::uint32_t U32() { return Le<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t U64() { return Le<std::uint64_t>(); }
  [[nodiscard]] std::int64_t I64() { return static_cast<std::int64_t>(Le<std::uint64_t>()); }
  [[nodiscard]] std::uint64_t Varint();
  /// A varint within [min, max].
  template <class Integer>
  [[nodiscard]] Integer VarintIn(Integer min, Integer max) {
    const std::uint64_t value = Varint();
    if (!Require(value >= min && value <= max, "a number is out of its range")) return 0;
    return static_cast<Integer>(value);
  }
  /// A varint count of things that take at least `each_min` bytes here; 0 after an error.
  [[nodiscard]] std::size_t Count(std::size_t max, std::size_t each_min);
  template <class IdType>
  [[nodiscard]] IdType Id() {
    const std::byte* in = Advance(IdType::kBytes);
    return in == nullptr ? IdType{} : IdType::From({in, IdType::kBytes});
  }
  template <std::size_t kSize>
  void Array(std::array<std::byte, kSize>* out) {
    const std::byte* in = Advance(kSize);
    if (in != nullptr) std::memcpy(out->data(), in, kSize);
  }
  /// The next `count` bytes, not copied; empty after an error.
  [[nodiscard]] ByteView Take(std::size_t count) {
    const std::byte* in = Advance(count);
    return in == nullptr ? ByteView{} : ByteView{in, count};
  }
  [[nodiscard]] std::string Text(std::size_t bytes_max);

  /// Makes `why` the error unless `holds`; returns ok().
  bool Require(bool holds, const char* why) {
    if (!holds) [[unlikely]]
      Corrupt(why);
    return ok();
  }
  /// kCorruption, unless there is an error already.
  void Corrupt(const char* why) { Stop(ErrorCode::kCorruption, why); }
  /// kUnsupported: written by a newer coffer.
  void Newer(const char* why) { Stop(ErrorCode::kUnsupported, why); }

  [[nodiscard]] bool ok() const { return why_ == nullptr; }
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - next_); }
  /// The first error, if there was one.
  [[nodiscard]] Status status() const;
  /// status(), or kCorruption if bytes are left over.
  [[nodiscard]] Status End();

 private:
  const std::byte* Advance(std::size_t bytes) {
    if (remaining() < bytes) [[unlikely]] {
      Corrupt("it ends too early");
      return nullptr;
    }
    const std::byte* in = next_;
    next_ += bytes;
    return in;
  }
  void Stop(ErrorCode code, const char* why);

  const std::byte* begin_;
  const std::byte* next_;
  const std::byte* end_;
  const char* what_;
  const char* why_ = nullptr;
  ErrorCode code_ = ErrorCode::kCorruption;
  std::size_t stopped_at_ = 0;
};

}  // namespace coffer::format
