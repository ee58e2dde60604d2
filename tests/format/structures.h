// Every encoded structure of core/format behind one face, so that properties that all decoders
// share are stated once: a name, an encoding from a seed, and a decoder that re-encodes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::format {

/// How a decoder sees the end of its input.
enum class Extent {
  kWhole,      // nothing may follow
  kBeginning,  // stands at the beginning of something longer; the rest is not looked at
  kOpenEnded,  // its last field takes what there is: only a tag tells that bytes are missing
};

struct Structure {
  std::string name;
  Extent extent = Extent::kWhole;
  std::size_t bytes_min = 0;  // kOpenEnded: anything shorter is refused
  std::function<Bytes(std::uint64_t seed)> encode_sample;
  /// Decodes and encodes again.
  std::function<Result<Bytes>(ByteView)> recode;
  /// Whether a change of value survives decode and encode, for a sample of `seed`.
  std::function<bool(std::uint64_t seed)> survives;
};

[[nodiscard]] const std::vector<Structure>& Structures();

}  // namespace coffer::format
