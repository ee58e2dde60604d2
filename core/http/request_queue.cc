#include "core/http/request_queue.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/planted.h"

namespace coffer::http {
namespace {

std::size_t IndexOf(Priority priority) {
  switch (priority) {
    case Priority::kRead:
      return 0;
    case Priority::kWrite:
      return 1;
    case Priority::kBackground:
      return 2;
  }
  return 2;
}

}  // namespace

void RequestQueue::Push(Id id, const std::string& host, Priority priority) {
  const std::size_t index = Planted("reads-among-uploads") ? 1 : IndexOf(priority);
  CHECK(entries_.emplace(id, Entry{host, index, false}).second);
  hosts_[host].at(index).waiting.push_back(id);
}

bool RequestQueue::MayBegin(const Host& host, std::size_t index) const {
  if (host.at(index).waiting.empty()) return false;
  switch (index) {
    case 0:
      return host[0].in_flight < slots_.reads_per_host;
    case 1:
      return host[1].in_flight < slots_.writes_per_host;
    default:
      return host[2].in_flight < slots_.background_per_host && host[0].waiting.empty() &&
             host[1].waiting.empty();
  }
}

std::optional<RequestQueue::Id> RequestQueue::Next() {
  for (std::size_t index = 0; index < kClasses; ++index) {
    for (auto& [name, host] : hosts_) {
      if (!MayBegin(host, index)) continue;
      const Id id = host.at(index).waiting.front();
      host.at(index).waiting.pop_front();
      ++host.at(index).in_flight;
      ++in_flight_;
      entries_.at(id).in_flight = true;
      return id;
    }
  }
  return std::nullopt;
}

void RequestQueue::Remove(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const auto host = hosts_.find(found->second.host);
  Class& of_host = host->second.at(found->second.index);
  if (found->second.in_flight) {
    --of_host.in_flight;
    --in_flight_;
  } else {
    of_host.waiting.remove(id);
  }
  entries_.erase(found);
  const bool is_idle = std::all_of(host->second.begin(), host->second.end(), [](const Class& one) {
    return one.waiting.empty() && one.in_flight == 0;
  });
  if (is_idle) hosts_.erase(host);
}

}  // namespace coffer::http
