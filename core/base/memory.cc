#include "core/base/memory.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace coffer {

std::uint64_t PhysicalMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size);
}

void KeepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kMapped = 32 << 20;  // bytes; mallopt(3) takes no more
  constexpr int kAtTheTop = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, kAtTheTop);
  mallopt(M_TOP_PAD, 1 << 20);
#endif
}

void ReturnFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

bool BecomeIoFlusher() { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0; }

}  // namespace coffer
