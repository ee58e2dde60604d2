// MemoryDevice: a BlockDevice in memory that keeps its promises and can be told to misbehave:
// refuse to do anything in place, hold calls until let go, fail them. Keeps apart what was
// acknowledged and what is durable, so that a test can ask what a crash would leave. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/block/block_device.h"

namespace coffer::testing {

class MemoryDevice final : public block::BlockDevice {
 public:
  enum class Call { kRead, kWrite, kFlush, kTrim, kWriteZeroes, kTryRead, kTryWrite, kExtents };

  /// kForgets: Flush does nothing and Durable may not be asked; for measuring.
  enum class Crashes { kModelled, kForgets };
  explicit MemoryDevice(std::uint64_t size, Crashes crashes = Crashes::kModelled)
      : bytes_(size, std::byte{0}) {
    if (crashes == Crashes::kModelled) durable_ = bytes_;
  }

  // What a test tells it.

  void set_read_only(bool read_only) {
    With([&] { read_only_ = read_only; });
  }
  void Resize(std::uint64_t size) {
    With([&] {
      bytes_.resize(size, std::byte{0});
      if (!durable_.empty()) durable_.resize(size, std::byte{0});
    });
  }
  /// TryRead and TryWrite decline from now on, or no longer.
  void set_in_place(bool in_place) {
    With([&] { in_place_ = in_place; });
  }
  /// Calls that may wait do so from now on, before they do anything, until LetGo.
  void Hold() {
    With([&] { held_ = true; });
  }
  /// TryWrite waits too while calls are held, as a pwrite does on a disk that does not answer.
  void set_slow_in_place(bool slow) { slow_in_place_ = slow; }
  void LetGo() {
    With([&] { held_ = false; });
  }
  /// Every call fails with `error` from now on, or no longer.
  void set_error(std::optional<Error> error) {
    With([&] { error_ = std::move(error); });
  }

  // What a test asks it.

  [[nodiscard]] int count(Call call) const {
    std::lock_guard lock(mutex_);
    return counts_[static_cast<std::size_t>(call)];
  }
  [[nodiscard]] int calls_inside() const {
    std::lock_guard lock(mutex_);
    return inside_;
  }
  /// Waits until `calls` calls are inside (held ones are); false if that takes too long.
  [[nodiscard]] bool AwaitInside(int calls) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return inside_ >= calls; });
  }
  [[nodiscard]] std::string Acknowledged(std::uint64_t offset, std::size_t length) const {
    return Part(bytes_, offset, length);
  }
  [[nodiscard]] std::string Durable(std::uint64_t offset, std::size_t length) const {
    return Part(durable_, offset, length);
  }

  // BlockDevice.

  [[nodiscard]] std::uint64_t size() const override {
    std::lock_guard lock(mutex_);
    return bytes_.size();
  }
  [[nodiscard]] bool read_only() const override {
    std::lock_guard lock(mutex_);
    return read_only_;
  }
  [[nodiscard]] std::uint32_t preferred_io_size() const override { return 65536; }

  Status Read(std::uint64_t offset, MutableByteView out) override {
    const Visit visit(*this, Call::kRead, Waits::kMay);
    if (Status refused = Refuse(offset, out.size(), false); !refused) return refused;
    CopyOut(offset, out);
    return {};
  }
  Status Write(std::uint64_t offset, ByteView data, block::WriteFlag flag) override {
    const Visit visit(*this, Call::kWrite, Waits::kMay);
    if (Status refused = Refuse(offset, data.size(), true); !refused) return refused;
    CopyIn(offset, data);
    if (flag == block::WriteFlag::kForceUnitAccess) MakeDurable(offset, data.size());
    return {};
  }
  Status Flush() override {
    const Visit visit(*this, Call::kFlush, Waits::kMay);
    if (Status refused = Refuse(0, 0, false); !refused) return refused;
    for (const auto& [offset, length] : unflushed_) Copy(durable_, bytes_, offset, length);
    unflushed_.clear();
    return {};
  }
  Status Trim(std::uint64_t offset, std::uint64_t length, block::WriteFlag flag) override {
    const Visit visit(*this, Call::kTrim, Waits::kMay);
    if (Status refused = Refuse(offset, length, true); !refused) return refused;
    const std::uint64_t start = (offset + block::kBlockSize - 1) / block::kBlockSize;
    const std::uint64_t end = std::max(start, (offset + length) / block::kBlockSize);
    return Zero(start * block::kBlockSize, (end - start) * block::kBlockSize,
                flag == block::WriteFlag::kForceUnitAccess);
  }
  Status WriteZeroes(std::uint64_t offset, std::uint64_t length, block::ZeroFlag flag) override {
    const Visit visit(*this, Call::kWriteZeroes, Waits::kMay);
    return Zero(offset, length, static_cast<unsigned>(flag) & 1u);
  }
  /// Whole blocks of zeros are holes.
  Result<std::vector<block::Extent>> Extents(std::uint64_t offset, std::uint64_t length,
                                             std::size_t count_max) override {
    const Visit visit(*this, Call::kExtents, Waits::kMay);
    if (Status refused = Refuse(offset, length, false); !refused) return Fail(refused.error());
    std::vector<block::Extent> extents;
    for (std::uint64_t at = offset, next; at < offset + length; at = next) {
      const std::uint64_t block = at / block::kBlockSize * block::kBlockSize;
      const std::uint64_t block_bytes =
          std::min<std::uint64_t>(block::kBlockSize, bytes_.size() - block);
      next = std::min(offset + length, block + block_bytes);
      const bool hole = IsZero(ByteView(bytes_).subspan(block, block_bytes));
      if (!extents.empty() && extents.back().hole == hole) {
        extents.back().length += next - at;
      } else if (extents.size() < count_max) {
        extents.push_back({next - at, hole, hole});
      } else {
        break;
      }
    }
    return extents;
  }
  std::optional<Status> TryRead(std::uint64_t offset, MutableByteView out) override {
    const Visit visit(*this, Call::kTryRead, Waits::kNever);
    if (!in_place_) return std::nullopt;
    if (Status refused = Refuse(offset, out.size(), false); !refused) return refused;
    CopyOut(offset, out);
    return Status{};
  }
  std::optional<Status> TryWrite(std::span<const WriteRequest> requests) override {
    const Visit visit(*this, Call::kTryWrite, slow_in_place_ ? Waits::kMay : Waits::kNever);
    if (!in_place_) return std::nullopt;
    for (const WriteRequest& request : requests) {
      if (Status refused = Refuse(request.offset, request.data.size(), true); !refused) {
        return refused;
      }
    }
    for (const WriteRequest& request : requests) CopyIn(request.offset, request.data);
    return Status{};
  }

 private:
  enum class Waits { kMay, kNever };

  // A call: counted, held if it may wait, and with the device to itself.
  class Visit {
   public:
    Visit(MemoryDevice& device, Call call, Waits waits) : device_(device), lock_(device.mutex_) {
      ++device_.counts_[static_cast<std::size_t>(call)];
      if (waits == Waits::kNever) return;
      entered_ = true;
      ++device_.inside_;
      if (!device_.held_) return;
      device_.changed_.notify_all();
      device_.changed_.wait(lock_, [this] { return !device_.held_; });
    }
    ~Visit() {
      if (entered_) --device_.inside_;
    }

   private:
    MemoryDevice& device_;
    std::unique_lock<std::mutex> lock_;
    bool entered_ = false;
  };

  template <class Change>
  void With(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  Status Refuse(std::uint64_t offset, std::uint64_t length, bool writes) const {
    if (error_) return Fail(*error_);
    if (writes && read_only_) return Fail(ErrorCode::kUnsupported, "device is read-only");
    if (offset > bytes_.size() || length > bytes_.size() - offset) {
      return Fail(ErrorCode::kInvalidArgument, "beyond the end");
    }
    return {};
  }
  Status Zero(std::uint64_t offset, std::uint64_t length, bool durable) {
    if (Status refused = Refuse(offset, length, true); !refused) return refused;
    std::memset(bytes_.data() + offset, 0, length);
    Note(offset, length);
    if (durable) MakeDurable(offset, length);
    return {};
  }
  void CopyOut(std::uint64_t offset, MutableByteView out) const {
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }
  void CopyIn(std::uint64_t offset, ByteView data) {
    std::memcpy(bytes_.data() + offset, data.data(), data.size());
    Note(offset, data.size());
  }
  void Note(std::uint64_t offset, std::uint64_t length) {
    if (durable_.empty()) return;
    // Neighbours become one, so that a long run without a flush keeps no list of every write.
    if (!unflushed_.empty() && unflushed_.back().first + unflushed_.back().second == offset) {
      unflushed_.back().second += length;
    } else if (unflushed_.size() < kUnflushedMax) {
      unflushed_.emplace_back(offset, length);
    } else {
      unflushed_.assign(1, {0, bytes_.size()});
    }
  }
  void MakeDurable(std::uint64_t offset, std::uint64_t length) {
    if (!durable_.empty()) Copy(durable_, bytes_, offset, length);
  }
  static void Copy(Bytes& to, const Bytes& from, std::uint64_t offset, std::uint64_t length) {
    std::memcpy(to.data() + offset, from.data() + offset, length);
  }
  std::string Part(const Bytes& from, std::uint64_t offset, std::size_t length) const {
    std::lock_guard lock(mutex_);
    return std::string(AsText(ByteView(from).subspan(offset, length)));
  }

  static constexpr std::chrono::seconds kPatience{60};
  static constexpr std::size_t kUnflushedMax = 4096;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Bytes bytes_;
  Bytes durable_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> unflushed_;
  std::optional<Error> error_;
  bool read_only_ = false;
  bool in_place_ = true;
  std::atomic<bool> slow_in_place_ = false;
  bool held_ = false;
  int inside_ = 0;
  std::array<int, 8> counts_{};
};

}  // namespace coffer::testing
