// Plaintexts that compress in different ways.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "tests/support/seeded_random.h"

namespace coffer::compress {

/// Words drawn at random: compresses to about a third.
inline Bytes Words(SeededRandom& random, std::size_t size) {
  static constexpr std::string_view kWords[] = {"block ", "chunk ", "piece ", "frame ", "journal ",
                                                "head ",  "pack\n", "delta ", "page ",  "vault "};
  Bytes text;
  while (text.size() < size) {
    const ByteView word = AsBytes(kWords[random.Below(std::size(kWords))]);
    text.insert(text.end(), word.begin(), word.end());
  }
  text.resize(size);
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
