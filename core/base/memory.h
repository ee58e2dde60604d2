// How much memory the machine has, for limits that scale with it; giving memory back to it; and
// being one whom the kernel waits for to get memory back.
#pragma once

#include <cstdint>
#include <string>

namespace coffer {

/// Bytes of physical memory; 0 if the system does not tell.
[[nodiscard]] std::uint64_t PhysicalMemoryBytes();

/// What of it this process may have: all, or what its control groups and those above them allow
/// (systemd's MemoryMax=, a container's limit). 0 if the system does not tell.
[[nodiscard]] std::uint64_t UsableMemoryBytes();

/// The least limit of this process's control groups, version 1 and 2; the greatest number if there
/// is none. `root` is "", or for tests what stands for "/".
[[nodiscard]] std::uint64_t ControlGroupMemoryLimit(const std::string& root);

/// From now on the allocator keeps what is freed for the next who wants as much, instead of giving
/// it back at once and faulting it in again, until ReturnFreeMemory: a sixteenth of the usable
/// memory at most. Allocations of 32 MiB and more are not kept.
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
