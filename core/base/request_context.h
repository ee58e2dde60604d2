// RequestContext: what whoever asks a store tells it about the request itself: how urgent it is,
// how long it may take, and how it is called off. A value; cheap to copy.
#pragma once

#include <optional>
#include <stop_token>

#include "core/base/clock.h"

namespace coffer {

/// Who waits for it. Where requests share a line, the first kind goes before the second, and that
/// before the third.
enum class Priority {
  kRead,        // a reader, or a person, now
  kWrite,       // a sync
  kBackground,  // nobody: read ahead, garbage collection
};

struct RequestContext {
  Priority priority = Priority::kWrite;
  /// The answer is of no use after this; kUnavailable then.
  std::optional<MonotonicTime> deadline = {};
  /// A stop ends the request soon with kCancelled, wherever it is. Whether it happened stays open.
  std::stop_token cancel = {};
};

[[nodiscard]] inline RequestContext Reading() { return {.priority = Priority::kRead}; }
[[nodiscard]] inline RequestContext Writing() { return {.priority = Priority::kWrite}; }
[[nodiscard]] inline RequestContext InBackground() { return {.priority = Priority::kBackground}; }

}  // namespace coffer
