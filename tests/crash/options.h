// What the enumerating programs share: their options and the sizes they use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "core/volume/settings.h"

namespace coffer::crash {

struct EnumerationOptions {
  std::size_t length = 3;    // of scripts, at most
  std::uint64_t sample = 1;  // one case in so many
  std::uint64_t seed = 1;
  std::uint64_t shard = 0, shards = 1;
  std::uint64_t jobs = 1;  // processes that share the work
};
/// --length N --sample N --seed N --shard I/N --jobs N. False, with a line on stderr, for anything
/// else.
bool ParseOptions(int argc, char** argv, EnumerationOptions* options);

/// Runs `work` in as many processes as asked for, each with its share of the shard, and adds up
/// what they count. False if one of them failed. Memory that one run frees is kept for the next.
bool RunInProcesses(
    const EnumerationOptions& options, std::span<std::uint64_t> counts,
    const std::function<bool(const EnumerationOptions&, std::span<std::uint64_t>)>& work);

/// Small enough that a script cuts generations, folds and recycles journal segments; no request of
/// a script is longer than one piece.
volume::Settings TinySettings();

}  // namespace coffer::crash
