// A machine's sleep for real processes. Preloaded (LD_PRELOAD), it puts the clocks that count
// suspended time ahead by as many seconds as the file named in COFFER_TEST_SLEPT says (8 bytes,
// this machine's order): CLOCK_BOOTTIME, and the wall's. CLOCK_MONOTONIC knows nothing of it, nor
// does any wait in the kernel: that is what a suspension is like (clock_gettime(2)).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

std::atomic<std::int64_t>* MapSeconds() {
  const char* const path = std::getenv("COFFER_TEST_SLEPT");
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const at = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<std::atomic<std::int64_t>*>(at);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const std::atomic<std::int64_t>* const slept = MapSeconds();
  const auto failed = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (failed == 0 && slept != nullptr && (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME)) {
    time->tv_sec += slept->load();
  }
  return failed;
}
