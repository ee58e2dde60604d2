// Buffers for payloads and replies, used again instead of freed: a fresh 256 KiB from malloc costs
// 64 page faults, more than copying into it. One thread only (the event loop); a worker fills a
// buffer that a job carries, but never takes or gives one back.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/bytes.h"

namespace coffer::nbd {

class BufferPool;

/// `size()` uninitialised bytes, back to its pool when destroyed. Empty: none were to be had.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Release(); }

  [[nodiscard]] MutableByteView mutable_view() { return {data_.get(), size_}; }
  [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  void Release();

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, std::unique_ptr<std::byte[]> data, std::size_t size, unsigned size_class)
      : pool_(pool), data_(std::move(data)), size_(size), class_(size_class) {}

  BufferPool* pool_ = nullptr;
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0;
  unsigned class_ = 0;
};

class BufferPool {
 public:
  /// Keeps at most `idle_bytes_max` for later; what is handed out is the caller's to limit.
  explicit BufferPool(std::size_t idle_bytes_max) : idle_bytes_max_(idle_bytes_max) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// At least one and at most 2^26 bytes; empty when the system has no memory for it.
  [[nodiscard]] Buffer Take(std::size_t size);
  /// Keeps nothing of what is idle now.
  void DropIdle();
  [[nodiscard]] std::size_t idle_bytes() const { return idle_bytes_; }
  /// Bytes of buffers taken and not given back, rounded up as they are allocated.
  [[nodiscard]] std::size_t taken_bytes() const { return taken_bytes_; }

 private:
  friend class Buffer;
  static constexpr unsigned kSmallestShift = 12;
  static constexpr unsigned kClasses = 15;        // 4 KiB … 64 MiB, powers of two and a little
  static constexpr std::size_t kHeaderRoom = 64;  // a reply's header before 2^n bytes of data

  static std::size_t ClassBytes(unsigned size_class) {
    return (std::size_t{1} << (kSmallestShift + size_class)) + kHeaderRoom;
  }
  void GiveBack(std::unique_ptr<std::byte[]> data, unsigned size_class);

  const std::size_t idle_bytes_max_;
  std::size_t idle_bytes_ = 0;
  std::size_t taken_bytes_ = 0;
  std::array<std::vector<std::unique_ptr<std::byte[]>>, kClasses> idle_;
};

}  // namespace coffer::nbd
