#include "core/base/secret_bytes.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/mutex.h"

namespace coffer {
namespace {

std::size_t RoundUp(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

/// One run of whole pages between two inaccessible ones.
struct Mapping {
  std::byte* data;
  std::size_t size;
  bool locked;
};

std::size_t PageSize() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

Mapping Map(std::size_t size) {
  const std::size_t page = PageSize();
  size = RoundUp(size, page);
  void* whole =
      mmap(nullptr, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(whole != MAP_FAILED);
  std::byte* data = static_cast<std::byte*>(whole) + page;
  CHECK(mprotect(data, size, PROT_READ | PROT_WRITE) == 0);
  // A kernel without these leaves the bytes exposed in a dump or a child; Linux has had both since
  // 4.14, so a failure is no state to go on from.
  CHECK(madvise(data, size, MADV_DONTDUMP) == 0);
  CHECK(madvise(data, size, MADV_WIPEONFORK) == 0);
  return {data, size, mlock(data, size) == 0};
}

void Unmap(const Mapping& mapping) {
  const std::size_t page = PageSize();
  munlock(mapping.data, mapping.size);
  CHECK(munmap(mapping.data - page, mapping.size + 2 * page) == 0);
}

/// The process's secret memory. Small sizes come from slabs, cut into powers of two; a slab stays
/// mapped. Larger ones have a mapping of their own. The free lists live in ordinary memory, so that
/// a free piece is all zeros (also the state that SecretBytes(size) promises).
class Arena {
 public:
  std::byte* Allocate(std::size_t size) EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    if (size > kSmallMax) return AddMapping(size, large_).data;
    std::vector<std::byte*>& free_pieces = free_[ClassOf(size)];
    if (free_pieces.empty()) Refill(ClassOf(size));
    std::byte* piece = free_pieces.back();
    free_pieces.pop_back();
    return piece;
  }

  void Free(std::byte* data, std::size_t size) EXCLUDES_LOCK(mutex_) {
    Wipe({data, size});
    MutexLock lock(mutex_);
    if (size <= kSmallMax) {
      free_[ClassOf(size)].push_back(data);
      return;
    }
    const auto found = std::find_if(large_.begin(), large_.end(), [data](const Mapping& mapping) {
      return mapping.data == data;
    });
    CHECK(found != large_.end());
    Unmap(*found);
    large_.erase(found);
  }

  SecretArenaInfo Info() EXCLUDES_LOCK(mutex_) {
    MutexLock lock(mutex_);
    SecretArenaInfo info{0, true};
    for (const auto* mappings : {&slabs_, &large_}) {
      for (const Mapping& mapping : *mappings) {
        info.mapped_bytes += mapping.size;
        info.locked = info.locked && mapping.locked;
      }
    }
    return info;
  }

 private:
  static constexpr std::size_t kSmallest = 32;
  static constexpr std::size_t kSmallMax = 4096;
  static constexpr std::size_t kSlabBytes = 16384;
  static constexpr std::size_t kClasses = 8;  // 32, 64, … 4096
  static_assert(kSmallest << (kClasses - 1) == kSmallMax);

  static std::size_t PieceSize(std::size_t index) { return kSmallest << index; }
  static std::size_t ClassOf(std::size_t size) {
    const std::size_t piece = std::bit_ceil(std::max(size, kSmallest));
    return static_cast<std::size_t>(std::countr_zero(piece) - std::countr_zero(kSmallest));
  }

  static const Mapping& AddMapping(std::size_t size, std::vector<Mapping>& mappings) {
    mappings.push_back(Map(size));
    return mappings.back();
  }

  void Refill(std::size_t index) REQUIRES_LOCK(mutex_) {
    const Mapping& slab = AddMapping(kSlabBytes, slabs_);
    for (std::size_t offset = slab.size; offset > 0; offset -= PieceSize(index)) {
      free_[index].push_back(slab.data + offset - PieceSize(index));
    }
  }

  Mutex mutex_;
  std::vector<Mapping> slabs_ GUARDED_BY(mutex_);
  std::vector<Mapping> large_ GUARDED_BY(mutex_);
  std::array<std::vector<std::byte*>, kClasses> free_ GUARDED_BY(mutex_);
};

/// Never destroyed: keys of static objects may be freed after main.
Arena& TheArena() {
  static Arena& arena = *new Arena;
  return arena;
}

}  // namespace

SecretBytes::SecretBytes(std::size_t size)
    : data_(size == 0 ? nullptr : TheArena().Allocate(size)), size_(size) {}

SecretBytes SecretBytes::CopyOf(ByteView bytes) {
  SecretBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  SecretBytes dropped(std::move(other));
  return *this;
}

SecretBytes::~SecretBytes() {
  if (data_ != nullptr) TheArena().Free(data_, size_);
}

SecretArenaInfo GetSecretArenaInfo() { return TheArena().Info(); }

void Wipe(MutableByteView bytes) {
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

void HardenProcess() {
  CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
  const rlimit none{0, 0};
  CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
}

}  // namespace coffer
