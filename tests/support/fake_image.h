// FakeImage: the bytes of a fake file. Copies share their pages until one of them changes, and
// pages of zeros take no memory: a disk is saved, cut off from power and brought back thousands of
// times a second. Not thread-safe, but images that share pages may be used by several threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/bytes.h"

namespace coffer {

class FakeImage {
 public:
  static constexpr std::size_t kPageBytes = 4096;

  FakeImage() = default;
  explicit FakeImage(ByteView data) { Write(0, data); }

  [[nodiscard]] std::size_t size() const { return size_; }
  /// Truncates, or grows with zeros.
  void Resize(std::size_t size);
  /// Grows if need be.
  void Write(std::size_t offset, ByteView data);
  /// Zeros inside what there is.
  void Zero(std::size_t offset, std::size_t length);
  /// How many bytes there were.
  std::size_t Read(std::size_t offset, MutableByteView out) const;
  [[nodiscard]] Bytes Contents() const;

 private:
  using Page = std::array<std::byte, kPageBytes>;

  Page& Own(std::size_t number);

  std::size_t size_ = 0;
  std::vector<std::shared_ptr<Page>> pages_;  // null: zeros. Bytes beyond size_ are zeros
};

}  // namespace coffer
