// Pace: how much of the processors a sync takes. While requests keep coming and nobody waits for
// the sync, it gives way: one thread at a time, and a twentieth of all processors. What is in the
// journal is safe already; being uploaded a little sooner is not worth a slow request.
//
// One thread asks; any may note requests.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/base/clock.h"

namespace coffer::volume {

class Pace {
 public:
  explicit Pace(int processors) : processors_(processors) {}

  /// A request of a reader or a writer. Those of many bytes weigh more.
  void NoteRequest(std::uint64_t bytes) {
    requests_.fetch_add(1 + bytes / kRequestBytes, std::memory_order_relaxed);
  }

  /// How long to pause after the work that went on since the last Resume; nullopt: no requests that
  /// would notice.
  [[nodiscard]] std::optional<Duration> PauseAt(MonotonicTime now);
  /// Work goes on.
  void Resume(MonotonicTime now) { resumed_ = now; }

 private:
  static constexpr std::uint64_t kRequestBytes = 64u << 10;

  const int processors_;
  std::atomic<std::uint64_t> requests_{0};
  std::uint64_t requests_seen_ = 0;
  MonotonicTime looked_{};
  MonotonicTime resumed_{};
};

}  // namespace coffer::volume
