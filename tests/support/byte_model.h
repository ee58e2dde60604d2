// What a disk should hold, as a vector: the model that components are compared with.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bytes.h"

namespace coffer {

class ByteModel {
 public:
  explicit ByteModel(std::uint64_t size) : bytes_(size, std::byte{0}) {}

  // REQUIRES for all: the range lies inside.
  void Write(std::uint64_t offset, ByteView data);
  void Zero(std::uint64_t offset, std::uint64_t length);
  /// The whole blocks of the range.
  void Trim(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] ByteView Read(std::uint64_t offset, std::uint64_t length) const;
  /// Grows with zeros, or forgets the tail.
  void Resize(std::uint64_t size) { bytes_.resize(size, std::byte{0}); }

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] ByteView view() const { return bytes_; }
  /// Offset of the first byte where `data`, read at `offset`, is not what it should be.
  [[nodiscard]] std::optional<std::uint64_t> FirstDifference(std::uint64_t offset,
                                                             ByteView data) const;

 private:
  Bytes bytes_;
};

}  // namespace coffer
