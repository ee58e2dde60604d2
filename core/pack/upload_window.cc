#include "core/pack/upload_window.h"

#include <algorithm>
#include <chrono>

#include "core/base/memory.h"

namespace coffer::pack {
namespace {

/// What counts as a good deal more: less may be chance.
constexpr double kMore = 1.15;
constexpr std::size_t kRoundsOfRest = 16;
/// Packs on their way take this share of the memory at most, each of them twice.
constexpr std::uint64_t kShareOfMemory = 8;
constexpr std::uint64_t kPackBytes = 16u << 20;  // the largest that a config asks for

}  // namespace

UploadWindowLimits UploadWindowLimitsHere() {
  UploadWindowLimits limits;
  const std::uint64_t usable = UsableMemoryBytes();
  if (usable == 0) return limits;
  const std::uint64_t fitting = usable / kShareOfMemory / (2 * kPackBytes);
  limits.most = std::clamp<std::size_t>(fitting, limits.first, limits.most);
  return limits;
}

std::size_t UploadWindow::size() const {
  const MutexLock lock(mutex_);
  return size_;
}

void UploadWindow::NoteWaiting() {
  const MutexLock lock(mutex_);
  ++round_waits_;
}

void UploadWindow::NoteEnded(std::uint64_t bytes, const Status& status) {
  const MutexLock lock(mutex_);
  if (!status.has_value()) return ShrinkLocked();
  // The first one that ends begins the round: until then the line was filling.
  if (round_packs_ == 0) {
    BeginRoundLocked();
    round_packs_ = 1;
    return;
  }
  ++round_packs_;
  round_bytes_ += bytes;
  if (round_packs_ <= 2 * size_) return;
  const bool tells = round_waits_ * 2 >= round_packs_;
  const double seconds = std::chrono::duration<double>(clock_.Now() - round_begun_).count();
  if (tells) EndRoundLocked(static_cast<double>(round_bytes_) / std::max(seconds, 1e-3));
  BeginRoundLocked();
  round_packs_ = 1;
}

void UploadWindow::BeginRoundLocked() {
  round_begun_ = clock_.Now();
  round_packs_ = 0;
  round_waits_ = 0;
  round_bytes_ = 0;
}

void UploadWindow::EndRoundLocked(double bytes_per_second) {
  if (state_ == State::kResting) {
    if (--rounds_to_rest_ > 0) return;
    state_ = State::kGrowing;
    size_before_ = size_;
    rate_before_ = bytes_per_second;
    size_ = std::min(size_ + 1, limits_.most);
    return;
  }
  const bool carries_more = size_before_ == 0 || bytes_per_second > rate_before_ * kMore;
  if (!carries_more) {
    state_ = State::kResting;
    rounds_to_rest_ = kRoundsOfRest;
    size_ = size_before_;
    return;
  }
  size_before_ = size_;
  rate_before_ = bytes_per_second;
  size_ = std::min(size_ + std::max<std::size_t>(size_ / 2, 1), limits_.most);
  if (size_ > size_before_) return;
  state_ = State::kResting;
  rounds_to_rest_ = kRoundsOfRest;
}

void UploadWindow::ShrinkLocked() {
  state_ = State::kResting;
  rounds_to_rest_ = kRoundsOfRest;
  size_ = std::max(size_ / 2, limits_.least);
  BeginRoundLocked();
}

}  // namespace coffer::pack
