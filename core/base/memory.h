// How much memory the machine has, for limits that scale with it; and giving memory back to it.
#pragma once

#include <cstdint>

namespace coffer {

/// Bytes of physical memory; 0 if the system does not tell.
[[nodiscard]] std::uint64_t PhysicalMemoryBytes();

/// Gives freed memory that the allocator keeps back to the system. For whoever has just freed much
/// and expects to need little: it takes milliseconds, and what is used again must be faulted in.
void ReturnFreeMemory();

}  // namespace coffer
