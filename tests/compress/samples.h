// Plaintexts that compress in different ways.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "tests/support/seeded_random.h"

namespace coffer::compress {

/// Words drawn at random, over again after 256 KiB: compresses to about a third, or better.
inline Bytes Words(SeededRandom& random, std::size_t size) {
  static constexpr std::string_view kWords[] = {"block ", "chunk ", "piece ", "frame ", "journal ",
                                                "head ",  "pack\n", "delta ", "page ",  "vault "};
  constexpr std::size_t kPeriod = 256 * 1024;
  std::string period;
  while (period.size() < std::min(size, kPeriod)) {
    period.append(kWords[random.Below(std::size(kWords))]);
  }
  Bytes text(size);
  for (std::size_t done = 0; done < size;) {
    const std::size_t length = std::min(period.size(), size - done);
    std::memcpy(&text[done], period.data(), length);
    done += length;
  }
  return text;
}

/// One of each kind, all `size` long: zeros, words, noise, and words with noise in their middle.
inline std::vector<Bytes> Samples(SeededRandom& random, std::size_t size) {
  Bytes mixed = Words(random, size);
  const Bytes noise = random.NewBytes(size / 2);
  std::copy(noise.begin(), noise.end(), mixed.begin() + static_cast<std::ptrdiff_t>(size / 4));
  return {Bytes(size, std::byte{0}), Words(random, size), random.NewBytes(size), mixed};
}

}  // namespace coffer::compress
