// Every encoded structure of core/format behind one face, so that properties that all decoders
// share are stated once: a name, an encoding from a seed, and a decoder that re-encodes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::format {

struct Structure {
  std::string name;
  std::function<Bytes(std::uint64_t seed)> encode_sample;
  /// Decodes and encodes again.
  std::function<Result<Bytes>(ByteView)> recode;
  /// Whether a change of value survives decode and encode, for a sample of `seed`.
  std::function<bool(std::uint64_t seed)> survives;
};

[[nodiscard]] const std::vector<Structure>& Structures();

}  // namespace coffer::format
