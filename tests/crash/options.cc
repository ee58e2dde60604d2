#include "tests/crash/options.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/check.h"
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
  if (name == "--jobs") return ParseNumber(value, &options->jobs) && options->jobs > 0;
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

bool RunInProcesses(
    const EnumerationOptions& options, std::span<std::uint64_t> counts,
    const std::function<bool(const EnumerationOptions&, std::span<std::uint64_t>)>& work) {
  // Half the time went into page faults.
  constexpr int kKeptBytes = 256 << 20;
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_MMAP_THRESHOLD, kKeptBytes);
  if (options.jobs == 1) return work(options, counts);
  const std::size_t bytes = options.jobs * counts.size_bytes();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  auto* shared = static_cast<std::uint64_t*>(memory);
  std::vector<pid_t> children;
  for (std::uint64_t job = 0; job < options.jobs; ++job) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      EnumerationOptions own = options;
      own.shard = options.shard + job * options.shards;
      own.shards = options.shards * options.jobs;
      std::_Exit(work(own, {shared + job * counts.size(), counts.size()}) ? 0 : 1);
    }
    children.push_back(child);
  }
  bool good = true;
  for (const pid_t child : children) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  for (std::size_t i = 0; i < options.jobs * counts.size(); ++i)
    counts[i % counts.size()] += shared[i];
  munmap(memory, bytes);
  return good;
}

volume::Settings TinySettings() {
  volume::Settings settings = volume::SmallSettings();
  settings.sync_bytes = 64 * 1024;
  settings.segment_bytes = 512 * 1024;
  settings.deltas_max = 2;
  settings.store_away_wait = Duration::zero();
  settings.journal_full_wait = std::chrono::seconds(10);  // a full disk is an error, in the end
  return settings;
}

}  // namespace coffer::crash
