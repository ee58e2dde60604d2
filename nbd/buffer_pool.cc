#include "nbd/buffer_pool.h"

#include <bit>
#include <new>
#include <utility>

#include "core/base/check.h"

namespace coffer::nbd {

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      data_(std::move(other.data_)),
      size_(std::exchange(other.size_, 0)),
      class_(other.class_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    pool_ = std::exchange(other.pool_, nullptr);
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    class_ = other.class_;
  }
  return *this;
}

void Buffer::Release() {
  if (data_) pool_->GiveBack(std::move(data_), class_);
  size_ = 0;
}

Buffer BufferPool::Take(std::size_t size) {
  CHECK(size > 0);
  const std::size_t whole = size > kHeaderRoom ? size - kHeaderRoom : 1;
  const auto width = static_cast<unsigned>(std::bit_width(whole - 1));
  const unsigned size_class = width <= kSmallestShift ? 0 : width - kSmallestShift;
  CHECK(size_class < kClasses);
  const std::size_t bytes = ClassBytes(size_class);
  std::unique_ptr<std::byte[]> data;
  if (auto& idle = idle_[size_class]; !idle.empty()) {
    data = std::move(idle.back());
    idle.pop_back();
    idle_bytes_ -= bytes;
  } else {
    data.reset(new (std::nothrow) std::byte[bytes]);
    if (!data) return {};
  }
  taken_bytes_ += bytes;
  return Buffer(this, std::move(data), size, size_class);
}

void BufferPool::GiveBack(std::unique_ptr<std::byte[]> data, unsigned size_class) {
  const std::size_t bytes = ClassBytes(size_class);
  taken_bytes_ -= bytes;
  if (bytes > idle_bytes_max_ - idle_bytes_) return;
  idle_bytes_ += bytes;
  idle_[size_class].push_back(std::move(data));
}

void BufferPool::DropIdle() {
  for (auto& buffers : idle_) buffers.clear();
  idle_bytes_ = 0;
}

}  // namespace coffer::nbd
