#include "core/base/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace coffer {

std::uint64_t RaiseDescriptorLimit(std::uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, wanted)),
                      limit.rlim_max};
  if (raised.rlim_cur == limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &raised) != 0) {
    return limit.rlim_cur;
  }
  return raised.rlim_cur;
}

}  // namespace coffer
