#include "core/volume/pace.h"

#include <algorithm>

namespace coffer::volume {
namespace {

/// One request in this time is a busy volume. A request of 4 KiB takes 10 to 30 us of a processor.
constexpr Duration kBusyInterval = std::chrono::milliseconds(1);
/// What came since the last look, in the commit before perhaps, came in this time: a burst counts.
constexpr Duration kLookedBackMax = std::chrono::seconds(1);
/// 1 / this is what a sync takes of all processors then.
constexpr int kShareOfProcessors = 20;
/// Of one step, however long it had to wait for a processor.
constexpr Duration kPauseMax = std::chrono::seconds(1);

}  // namespace

std::optional<Duration> Pace::PauseAt(MonotonicTime now) {
  const std::uint64_t requests = requests_.load(std::memory_order_relaxed);
  const std::uint64_t since = requests - requests_seen_;
  const Duration interval = std::min<Duration>(now - looked_, kLookedBackMax);
  requests_seen_ = requests;
  looked_ = now;
  if (since == 0 || interval / kBusyInterval > static_cast<Duration::rep>(since)) {
    return std::nullopt;
  }
  const int idle_share = std::max(kShareOfProcessors / processors_ - 1, 0);
  return std::min<Duration>((now - resumed_) * idle_share, kPauseMax);
}

}  // namespace coffer::volume
