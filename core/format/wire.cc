#include "core/format/wire.h"

#include <algorithm>

namespace coffer::format {

Writer::Writer(std::size_t expected) : buffer_(std::max<std::size_t>(expected, 64)), fixed_(false) {
  begin_ = next_ = buffer_.data();
  end_ = begin_ + buffer_.size();
}

Writer::Writer(MutableByteView fixed) : fixed_(true) {
  begin_ = next_ = fixed.data();
  end_ = begin_ + fixed.size();
}

void Writer::Grow(std::size_t bytes) {
  CHECK(!fixed_);
  const std::size_t used = size();
  buffer_.resize(std::max(buffer_.size() * 2, used + bytes));
  begin_ = buffer_.data();
  next_ = begin_ + used;
  end_ = begin_ + buffer_.size();
}

void Writer::Zeros(std::size_t count) {
  if (count == 0) return;
  std::memset(Reserve(count), 0, count);
  next_ += count;
}

void Writer::Text(std::string_view text, std::size_t bytes_max) {
  CHECK(text.size() <= bytes_max);
  Varint(text.size());
  Raw(AsBytes(text));
}

Bytes Writer::Take() {
  CHECK(!fixed_);
  buffer_.resize(size());
  Bytes taken = std::move(buffer_);
  buffer_ = Bytes();
  begin_ = next_ = end_ = nullptr;
  return taken;
}

std::uint64_t Reader::Varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = U8();
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      const bool shortest = byte != 0 || shift == 0;
      const bool fits = shift < 63 || byte <= 1;
      return Require(shortest && fits, "a varint is not in its shortest form") ? value : 0;
    }
  }
  Corrupt("a varint is longer than 64 bits");
  return 0;
}

std::size_t Reader::Count(std::size_t max, std::size_t each_min) {
  const std::uint64_t count = Varint();
  if (!Require(count <= max, "a count is above its limit") ||
      !Require(count <= remaining() / each_min, "a count is above what its bytes can hold"))
    return 0;
  return static_cast<std::size_t>(count);
}

std::string Reader::Text(std::size_t bytes_max) {
  const ByteView bytes = Take(Count(bytes_max, 1));
  return std::string(AsText(bytes));
}

void Reader::Stop(ErrorCode code, const char* why) {
  if (!ok()) return;
  why_ = why;
  code_ = code;
  stopped_at_ = static_cast<std::size_t>(next_ - begin_);
  next_ = end_;
}

Status Reader::status() const {
  if (ok()) return {};
  std::string message = std::string(what_) + ": " + why_;
  if (code_ == ErrorCode::kUnsupported)
    return Fail(code_, message + ": this needs a newer coffer", "install a newer coffer");
  return Fail(code_, message + " (at byte " + std::to_string(stopped_at_) + ")");
}

Status Reader::End() {
  if (ok() && remaining() != 0) Corrupt("bytes are left over at its end");
  return status();
}

}  // namespace coffer::format
