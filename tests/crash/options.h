// What the enumerating programs share: their options and the sizes they use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/volume/settings.h"

namespace coffer::crash {

struct EnumerationOptions {
  std::size_t length = 3;    // of scripts, at most
  std::uint64_t sample = 1;  // one case in so many
  std::uint64_t seed = 1;
  std::uint64_t shard = 0, shards = 1;
};
/// --length N --sample N --seed N --shard I/N. False, with a line on stderr, for anything else.
bool ParseOptions(int argc, char** argv, EnumerationOptions* options);

/// Small enough that a script cuts generations, folds and recycles journal segments; no request of
/// a script is longer than one piece.
volume::Settings TinySettings();

}  // namespace coffer::crash
