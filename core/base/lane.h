// A lane: an executor for one vault or volume of many, so that what hangs in one holds up no other.
// It has no thread while it has nothing to do.
#pragma once

#include <chrono>
#include <memory>

#include "core/base/executor.h"

namespace coffer {

/// After so long without a task a thread of any executor ends.
inline constexpr Duration kIdleThreadStays = std::chrono::seconds(5);

/// As NewThreadExecutor, but the last thread ends too. Where the system has no thread to give for a
/// task, `starter`, which outlives the lane, tries again.
[[nodiscard]] std::unique_ptr<Executor> NewLane(const char* name, int threads, Executor& starter,
                                                ThreadPriority priority = ThreadPriority::kNormal);

}  // namespace coffer
