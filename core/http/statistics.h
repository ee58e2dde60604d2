// What was asked of each host, since the engine started.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace coffer::http {

struct HostStatistics {
  /// Bucket i counts responses that took less than 2^i ms and no less than half of that; the first
  /// all below 1 ms, the last all that took longer.
  static constexpr std::size_t kBuckets = 18;  // 2^16 ms are 65 s

  std::uint64_t requests = 0;     // that were begun and have ended
  std::uint64_t errors = 0;       // of them, without a response; not those that were cancelled
  std::uint64_t connections = 0;  // made for them
  std::uint64_t bytes_up = 0;     // of bodies, whatever became of them
  std::uint64_t bytes_down = 0;
  std::array<std::uint64_t, kBuckets> latency = {};  // of responses
};

/// By origin ("https://host:8443"). Beyond kHostsMax of them the others are counted under "others".
struct HttpStatistics {
  static constexpr std::size_t kHostsMax = 256;
  std::map<std::string, HostStatistics> hosts;
};

[[nodiscard]] std::size_t LatencyBucket(Duration duration);

enum class RequestEnd { kResponse, kError, kCancelled };

/// Thread-safe.
class StatisticsTable {
 public:
  struct Ended {
    RequestEnd end;
    Duration duration;
    std::uint64_t connections;
    std::uint64_t bytes_up;
    std::uint64_t bytes_down;
  };
  void Add(const std::string& origin, const Ended& ended) EXCLUDES_LOCK(mutex_);
  [[nodiscard]] HttpStatistics Get() const EXCLUDES_LOCK(mutex_);

 private:
  mutable Mutex mutex_;
  HttpStatistics table_ GUARDED_BY(mutex_);
};

}  // namespace coffer::http
