#include "tests/crash/options.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "tests/volume/volume_world.h"

namespace coffer::crash {
namespace {

bool ParseNumber(const char* text, std::uint64_t* number, char until = 0) {
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, *number);
  return error == std::errc() && *at == until;
}

bool ParseOption(const std::string& name, const char* value, EnumerationOptions* options) {
  if (name == "--length") return ParseNumber(value, &options->length);
  if (name == "--sample") return ParseNumber(value, &options->sample) && options->sample > 0;
  if (name == "--seed") return ParseNumber(value, &options->seed);
  if (name != "--shard") return false;
  const char* slash = std::strchr(value, '/');
  return slash != nullptr && ParseNumber(value, &options->shard, '/') &&
         ParseNumber(slash + 1, &options->shards) && options->shard < options->shards;
}

}  // namespace

bool ParseOptions(int argc, char** argv, EnumerationOptions* options) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && ParseOption(argv[i], argv[i + 1], options)) continue;
    std::fprintf(stderr, "bad option %s %s\n", argv[i], i + 1 < argc ? argv[i + 1] : "");
    return false;
  }
  return true;
}

volume::Settings TinySettings() {
  volume::Settings settings = volume::SmallSettings();
  settings.sync_bytes = 64 * 1024;
  settings.segment_bytes = 512 * 1024;
  settings.deltas_max = 2;
  settings.journal_full_wait = std::chrono::seconds(10);  // a full disk is an error, in the end
  return settings;
}

}  // namespace coffer::crash
