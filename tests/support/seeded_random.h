// Randomness that replays: SeededRandom gives the same bytes for the same seed, RepeatingRandom the
// same bytes at every call (a cloned machine). TestSeed chooses a seed and says which.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "core/base/random.h"

namespace coffer {

/// xoshiro256**, seeded by splitmix64 (https://prng.di.unimi.it). Thread-safe; the order of calls
/// from several threads is of course theirs.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) { Seed(seed); }
  /// Goes on as one made with `seed`.
  void Seed(std::uint64_t seed);
  void Fill(MutableByteView out) override;

  [[nodiscard]] std::uint64_t Next();
  /// Uniform in [0, limit). REQUIRES: limit > 0.
  [[nodiscard]] std::uint64_t Below(std::uint64_t limit);
  /// True once in `n` times.
  [[nodiscard]] bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  /// `size` random bytes: data that does not compress.
  [[nodiscard]] Bytes NewBytes(std::size_t size);

 private:
  std::uint64_t NextLocked() REQUIRES_LOCK(mutex_);

  Mutex mutex_;
  std::uint64_t state_[4] GUARDED_BY(mutex_);
};

class RepeatingRandom final : public Random {
 public:
  explicit RepeatingRandom(std::byte value = std::byte{0x5a}) : value_(value) {}
  void Fill(MutableByteView out) override;

 private:
  const std::byte value_;
};

/// A fresh seed, or that of the environment's COFFER_TEST_SEED; printed either way, so that a
/// failure can be replayed.
[[nodiscard]] std::uint64_t TestSeed();

}  // namespace coffer
