// StrictDevice: a MemoryDevice that takes nothing that a real volume need not take. A request of no
// bytes, beyond the end, larger than the kernel sends, or after Close is a failure of the test.
#pragma once

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/memory_device.h"

namespace coffer::fuse::testing {

class StrictDevice final : public block::BlockDevice {
 public:
  explicit StrictDevice(std::uint64_t size) : memory_(size) {}
  ~StrictDevice() override { closed_ = true; }

  [[nodiscard]] coffer::testing::MemoryDevice& memory() { return memory_; }
  /// As a volume's: nobody may be inside, or come any more.
  void Close() {
    closed_ = true;
    EXPECT_EQ(memory_.calls_inside(), 0) << "closed with a request inside";
  }

  [[nodiscard]] std::uint64_t size() const override {
    EXPECT_FALSE(closed_) << "asked for its size after Close";
    return memory_.size();
  }
  [[nodiscard]] bool read_only() const override { return memory_.read_only(); }
  [[nodiscard]] std::uint32_t preferred_io_size() const override {
    return memory_.preferred_io_size();
  }
  Status Read(std::uint64_t offset, MutableByteView out) override {
    Check(offset, out.size(), kDataBytesMax);
    return memory_.Read(offset, out);
  }
  Status Write(std::uint64_t offset, ByteView data, block::WriteFlag flag) override {
    Check(offset, data.size(), kDataBytesMax);
    EXPECT_FALSE(memory_.read_only()) << "written although it is read-only";
    return memory_.Write(offset, data, flag);
  }
  Status Flush() override {
    EXPECT_FALSE(closed_) << "flushed after Close";
    return memory_.Flush();
  }
  Status Trim(std::uint64_t offset, std::uint64_t length, block::WriteFlag flag) override {
    Check(offset, length, memory_.size());
    return memory_.Trim(offset, length, flag);
  }
  Status WriteZeroes(std::uint64_t offset, std::uint64_t length, block::ZeroFlag flag) override {
    Check(offset, length, memory_.size());
    return memory_.WriteZeroes(offset, length, flag);
  }
  Result<std::vector<block::Extent>> Extents(std::uint64_t offset, std::uint64_t length,
                                             std::size_t count_max) override {
    Check(offset, length, memory_.size());
    // Fewer than asked for, as the contract allows.
    return memory_.Extents(offset, length, std::min<std::size_t>(count_max, 2));
  }
  std::optional<Status> TryRead(std::uint64_t offset, MutableByteView out) override {
    Check(offset, out.size(), kDataBytesMax);
    return memory_.TryRead(offset, out);
  }
  std::optional<Status> TryWrite(std::span<const WriteRequest> requests) override {
    EXPECT_FALSE(requests.empty());
    for (const WriteRequest& request : requests) {
      Check(request.offset, request.data.size(), kDataBytesMax);
    }
    return memory_.TryWrite(requests);
  }

 private:
  static constexpr std::uint64_t kDataBytesMax = 1u << 20;

  void Check(std::uint64_t offset, std::uint64_t length, std::uint64_t length_max) const {
    EXPECT_FALSE(closed_) << "used after Close";
    EXPECT_GT(length, 0u);
    EXPECT_LE(length, length_max);
    EXPECT_TRUE(offset <= memory_.size() && length <= memory_.size() - offset)
        << offset << " + " << length << " of " << memory_.size();
  }

  coffer::testing::MemoryDevice memory_;
  std::atomic<bool> closed_ = false;
};

}  // namespace coffer::fuse::testing
