#include "tests/format/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>

namespace {

// No containers here: they would call what they watch.
constexpr std::size_t kBlocksMax = 4096;
bool watching = false;
std::size_t bytes_taken = 0;
std::size_t blocks_taken = 0;
bool secret_seen = false;
coffer::ByteView secret_sought;
std::array<void*, kBlocksMax> blocks;

bool HoldsSecret(void* block) {
  if (secret_sought.empty()) return false;
  const auto* begin = static_cast<const std::byte*>(block);
  const std::byte* end = begin + malloc_usable_size(block);
  return std::search(begin, end, secret_sought.begin(), secret_sought.end()) != end;
}

void NoteTaken(void* block, std::size_t size) {
  bytes_taken += size;
  if (blocks_taken < kBlocksMax) blocks[blocks_taken] = block;
  ++blocks_taken;
}

void NoteFreed(void* block) {
  void** const end = blocks.data() + std::min(blocks_taken, kBlocksMax);
  void** const known = std::find(blocks.data(), end, block);
  if (known == end) return;
  secret_seen = secret_seen || HoldsSecret(block);
  *known = nullptr;
}

}  // namespace

void* operator new(std::size_t size) {
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  if (watching) NoteTaken(block, size);
  return block;
}
void operator delete(void* block) noexcept {
  if (watching && block != nullptr) NoteFreed(block);
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

namespace coffer::format {

AllocationWatch::AllocationWatch(ByteView secret) {
  secret_sought = secret;
  bytes_taken = 0;
  blocks_taken = 0;
  secret_seen = false;
  watching = true;
}

AllocationWatch::~AllocationWatch() { watching = false; }

std::size_t AllocationWatch::bytes() const { return bytes_taken; }
std::size_t AllocationWatch::count() const { return blocks_taken; }

bool AllocationWatch::saw_secret() const {
  if (secret_seen) return true;
  return std::any_of(blocks.data(), blocks.data() + std::min(blocks_taken, kBlocksMax),
                     [](void* block) { return block != nullptr && HoldsSecret(block); });
}

}  // namespace coffer::format
