// crash_enumeration [--length N] [--sample N] [--seed N] [--shard I/N] [--jobs N]: runs every
// script of up to N steps (3), stops the machine at every change of its disk and around every
// request to its store, leaves of the disk what each crash mode leaves, crashes again during
// recovery, and compares what is there with the prefix oracle; then writes, closes, and compares
// what a blank machine finds. With --sample only one crash in N is run, picked by the seed. Exits 1
// at the first loss, with what replays it; also when nothing was run.
//
// Until a script's last step the machine does just what it does in the script without that step
// (its trace digest is compared). So each place to stop at is visited once, in the shortest script
// that has it.
#include <cstdio>
#include <map>

#include "core/base/log.h"
#include "tests/crash/options.h"
#include "tests/crash/script.h"

namespace coffer::crash {
namespace {

enum Count { kScripts, kPoints, kPointsVisited, kCrashes, kRecoveries, kCounts };

constexpr int kRecoveryCrashesMax = 10;

class Enumeration {
 public:
  Enumeration(const EnumerationOptions& options, std::span<std::uint64_t> counts)
      : options_(options), counts_(counts), world_(options.seed, TinySettings()) {}

  /// False at the first loss.
  bool RunScript(const Script& script) {
    ++counts_[kScripts];
    const Extent* before = Measure({script.begin(), script.end() - 1});
    const Extent* whole = Measure(script);
    if (before == nullptr || whole == nullptr) return false;
    if (whole->digest_before_last != before->digest)
      return Lost(script, "does not do what the script without its last step does");
    // Two around each request, and the end of the script, nothing stopped: only what was not synced
    // can go.
    counts_[kPoints] += whole->changes + 2 * whole->requests + 1;
    using At = CrashPoint::At;
    for (std::uint64_t n = before->changes + 1; n <= whole->changes; ++n)
      if (!RunPoint(script, {At::kDisk, n})) return false;
    for (std::uint64_t n = before->requests + 1; n <= whole->requests; ++n) {
      if (!RunPoint(script, {At::kBeforeRequest, n})) return false;
      if (!RunPoint(script, {At::kAfterRequest, n})) return false;
    }
    return RunPoint(script, {});
  }

 private:
  /// What a machine does in a script: how many places there are to stop at.
  struct Extent {
    std::uint64_t changes = 0;
    std::uint64_t requests = 0;
    std::uint64_t digest = 0;
    std::uint64_t digest_before_last = 0;
  };

  std::uint64_t Digest() {
    return world_.machine().scheduler.digest() * 31 + world_.machine().fs.digest();
  }

  /// Null when the script fails.
  const Extent* Measure(const Script& script) {
    if (const auto known = extents_.find(script); known != extents_.end()) return &known->second;
    world_.Reset(options_.seed);
    Status status = world_.Open();
    const std::uint64_t changes_before = world_.machine().fs.change_count();
    const std::uint64_t requests_before = world_.machine().line.request_count();
    Extent extent;
    if (status.has_value() && !script.empty()) {
      status = Run(world_, {script.begin(), script.end() - 1});
      extent.digest_before_last = Digest();
      if (status.has_value()) status = Run(world_, {script.back()});
    }
    if (!status.has_value()) {
      (void)Lost(script, status.error().message);
      return nullptr;
    }
    extent.changes = world_.machine().fs.change_count() - changes_before;
    extent.requests = world_.machine().line.request_count() - requests_before;
    extent.digest = Digest();
    return &extents_.emplace(script, extent).first->second;
  }

  /// Of a crash, whatever else is run.
  [[nodiscard]] std::uint64_t SeedOf(const Script& script, const CrashPoint& point,
                                     CrashMode mode) const {
    std::uint64_t seed = options_.seed;
    for (const Step step : script) seed = SeededRandom(seed + static_cast<unsigned>(step)).Next();
    seed = SeededRandom(seed + static_cast<unsigned>(point.at)).Next();
    seed = SeededRandom(seed + point.nth).Next();
    return SeededRandom(seed + static_cast<unsigned>(mode)).Next();
  }

  bool RunPoint(const Script& script, const CrashPoint& point) {
    ++counts_[kPointsVisited];
    for (const CrashMode mode : kCrashModes) {
      const std::uint64_t seed = SeedOf(script, point, mode);
      if (options_.sample > 1 && seed % options_.sample != 0) continue;
      if (!RunCrash(script, point, mode, seed)) return false;
    }
    return true;
  }

  bool RunCrash(const Script& script, const CrashPoint& point, CrashMode mode, std::uint64_t seed) {
    world_.Reset(options_.seed);
    const auto lost = [&](const std::string& what) {
      return Lost(script, Concat(Describe(point), ", ", NameOf(mode), ", seed ", seed, ": ", what));
    };
    if (Status status = world_.Open(); !status.has_value()) return lost(status.error().message);
    world_.machine().fs.Reseed(seed);
    world_.SetCrashPoint(point);
    const Status status = Run(world_, script);
    if (!status.has_value() && !world_.halted()) return lost("fails: " + status.error().message);
    if (!world_.halted()) {
      if (const std::string wrong = world_.CheckStatus(); !wrong.empty()) return lost(wrong);
    }
    world_.Crash(mode);
    ++counts_[kCrashes];
    if (const std::string wrong = world_.CheckRemote(false); !wrong.empty()) return lost(wrong);

    // Crashes during recovery: each a few steps further, until one does not stop it.
    SeededRandom random(seed + 1);
    CrashMode last = mode;
    bool power = mode != CrashMode::kKill;
    std::uint64_t nth = 0;
    for (int i = 0; i < kRecoveryCrashesMax; ++i) {
      nth += 1 + random.Below(4);
      world_.SetCrashPoint(
          {random.OneIn(4) ? CrashPoint::At::kAfterRequest : CrashPoint::At::kDisk, nth});
      ++counts_[kRecoveries];
      const Status opened = world_.Open();
      if (!world_.halted()) {
        if (!opened.has_value()) return lost("recovery fails: " + opened.error().message);
        world_.Crash(last);  // forgets the crash point
        break;
      }
      last = kCrashModes[random.Below(5)];
      power = power || last != CrashMode::kKill;
      world_.Crash(last);
    }
    ++counts_[kRecoveries];
    if (const std::string wrong = world_.Recover(power ? CrashMode::kDropAll : CrashMode::kKill);
        !wrong.empty())
      return lost(wrong);
    // It is a volume like any other.
    if (Status more = world_.Write(5, 9, block::WriteFlag::kNone); !more.has_value())
      return lost("does not take writes: " + more.error().message);
    if (Status closed = world_.Close(); !closed.has_value())
      return lost("does not close: " + closed.error().message);
    if (const std::string wrong = world_.CheckRemote(true); !wrong.empty()) return lost(wrong);
    if (const std::string wrong = world_.CheckHeads(); !wrong.empty()) return lost(wrong);
    return true;
  }

  bool Lost(const Script& script, const std::string& what) {
    std::fprintf(stderr, "LOST in [%s] %s\n", Describe(script).c_str(), what.c_str());
    for (const std::string& call : world_.machine().fs.RecentCalls())
      std::fprintf(stderr, "  %s\n", call.c_str());
    return false;
  }

  const EnumerationOptions options_;
  const std::span<std::uint64_t> counts_;
  CrashWorld world_;
  std::map<Script, Extent> extents_;
};

bool RunAll(const EnumerationOptions& options, std::span<std::uint64_t> counts) {
  Enumeration enumeration(options, counts);
  const std::vector<Script> scripts = MixedScripts(options.length);
  for (std::size_t i = options.shard; i < scripts.size(); i += options.shards)
    if (!enumeration.RunScript(scripts[i])) return false;
  return true;
}

int Main(int argc, char** argv) {
  EnumerationOptions options;
  if (!ParseOptions(argc, argv, &options)) return 2;
  std::uint64_t counts[kCounts] = {};
  if (!RunInProcesses(options, counts, RunAll)) return 1;
  const auto count = [&](Count which) { return static_cast<unsigned long long>(counts[which]); };
  std::printf(
      "%llu scripts, %llu crash points, %llu different ones visited, %llu crashes, %llu "
      "recoveries, 0 losses (seed %llu)\n",
      count(kScripts), count(kPoints), count(kPointsVisited), count(kCrashes), count(kRecoveries),
      static_cast<unsigned long long>(options.seed));
  return counts[kCrashes] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }
