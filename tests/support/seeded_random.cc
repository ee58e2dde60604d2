#include "tests/support/seeded_random.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/check.h"

namespace coffer {

void SeededRandom::Seed(std::uint64_t seed) {
  MutexLock lock(mutex_);
  for (std::uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t SeededRandom::NextLocked() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t SeededRandom::Next() {
  MutexLock lock(mutex_);
  return NextLocked();
}

std::uint64_t SeededRandom::Below(std::uint64_t limit) {
  CHECK(limit > 0);
  return Next() % limit;  // the bias is far below what a test could notice
}

void SeededRandom::Fill(MutableByteView out) {
  MutexLock lock(mutex_);
  while (!out.empty()) {
    const std::uint64_t word = NextLocked();
    const std::size_t count = std::min(out.size(), sizeof word);
    std::memcpy(out.data(), &word, count);
    out = out.subspan(count);
  }
}

Bytes SeededRandom::NewBytes(std::size_t size) {
  Bytes bytes(size);
  Fill(bytes);
  return bytes;
}

void RepeatingRandom::Fill(MutableByteView out) { std::fill(out.begin(), out.end(), value_); }

std::uint64_t TestSeed() {
  std::uint64_t seed = 0;
  if (const char* text = std::getenv("COFFER_TEST_SEED")) {
    seed = std::strtoull(text, nullptr, 10);
  } else {
    SystemRandom().Fill(std::as_writable_bytes(std::span(&seed, 1)));
  }
  std::printf("seed %llu (COFFER_TEST_SEED replays it)\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

}  // namespace coffer
