// How much memory the machine has, for limits that scale with it.
#pragma once

#include <cstdint>

namespace coffer {

/// Bytes of physical memory; 0 if the system does not tell.
[[nodiscard]] std::uint64_t PhysicalMemoryBytes();

}  // namespace coffer
