#include "core/http/statistics.h"

#include <algorithm>
#include <bit>

namespace coffer::http {

std::size_t LatencyBucket(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  const auto bits = std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0)));
  return std::min(static_cast<std::size_t>(bits), HostStatistics::kBuckets - 1);
}

void StatisticsTable::Add(const std::string& origin, const Ended& ended) {
  const MutexLock lock(mutex_);
  const bool has_room =
      table_.hosts.size() < HttpStatistics::kHostsMax || table_.hosts.contains(origin);
  HostStatistics& host = table_.hosts[has_room ? origin : "others"];
  ++host.requests;
  host.connections += ended.connections;
  host.bytes_up += ended.bytes_up;
  host.bytes_down += ended.bytes_down;
  if (ended.end == RequestEnd::kError) ++host.errors;
  if (ended.end == RequestEnd::kResponse) ++host.latency.at(LatencyBucket(ended.duration));
}

HttpStatistics StatisticsTable::Get() const {
  const MutexLock lock(mutex_);
  return table_;
}

}  // namespace coffer::http
