// How many descriptors the process may have open.
#pragma once

#include <cstdint>

namespace coffer {

/// Raises the soft limit to `wanted` where it is lower and the hard limit allows; what holds
/// afterwards. Soft limits stand at 1,024 for the sake of programs that select(2), and this is
/// none.
std::uint64_t RaiseDescriptorLimit(std::uint64_t wanted);

}  // namespace coffer
