// Watches the program's allocations through operator new: how much a piece of code takes, and
// whether a secret passes through ordinary memory. One watch at a time, one thread.
#pragma once

#include <cstddef>

#include "core/base/bytes.h"

namespace coffer::format {

class AllocationWatch {
 public:
  /// Counts from now on; with `secret`, also looks for it in every block that is freed or still
  /// lives at the end.
  explicit AllocationWatch(ByteView secret = {});
  ~AllocationWatch();
  AllocationWatch(const AllocationWatch&) = delete;
  AllocationWatch& operator=(const AllocationWatch&) = delete;

  /// All bytes asked for since the start.
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t count() const;
  /// Whether the secret was seen, in blocks freed up to now or in those still there.
  [[nodiscard]] bool saw_secret() const;
};

}  // namespace coffer::format
