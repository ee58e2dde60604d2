// How much memory the machine has, for limits that scale with it; giving memory back to it; and
// being one whom the kernel waits for to get memory back.
#pragma once

#include <cstdint>

namespace coffer {

/// Bytes of physical memory; 0 if the system does not tell.
[[nodiscard]] std::uint64_t PhysicalMemoryBytes();

/// From now on the allocator keeps what is freed for the next who wants as much, instead of giving
/// it back at once and faulting it in again, until ReturnFreeMemory. Allocations of 32 MiB and more
/// are not kept.
void KeepFreedMemory();

/// Gives freed memory that the allocator keeps back to the system. For whoever has just freed much
/// and expects to need little: it takes milliseconds, and what is used again must be faulted in.
void ReturnFreeMemory();

/// Marks this thread, and those it starts from now on, as ones that the kernel needs to write dirty
/// pages away, as it does when a file system is mounted from a device they serve: their allocations
/// then never wait for such pages, and their own writes are held back by the pages of the disk they
/// go to, not by those that wait for them. False where that takes more rights (CAP_SYS_RESOURCE).
bool BecomeIoFlusher();

}  // namespace coffer
