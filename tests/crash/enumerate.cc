// crash_enumeration [--length N] [--sample N] [--seed N] [--shard I/N]: runs every script of up to
// N steps (3), stops the machine at every change of its disk and around every request to its store,
// leaves of the disk what each crash mode leaves, crashes again during recovery, and compares what
// is there with the prefix oracle; then writes, closes, and compares what a blank machine finds.
// With --sample only one crash in N is run, picked by the seed. Exits 1 at the first loss, with
// what replays it; also when nothing was run.
#include <cstdio>

#include "core/base/log.h"
#include "tests/crash/options.h"
#include "tests/crash/script.h"

namespace coffer::crash {
namespace {

struct Counts {
  std::uint64_t scripts = 0;
  std::uint64_t points = 0;
  std::uint64_t crashes = 0;
  std::uint64_t recoveries = 0;
};

constexpr int kRecoveryCrashesMax = 10;

class Enumeration {
 public:
  explicit Enumeration(const EnumerationOptions& options)
      : options_(options), world_(options.seed, TinySettings()), random_(options.seed + 1) {}

  /// False at the first loss.
  bool RunScript(const Script& script) {
    ++counts_.scripts;
    std::uint64_t changes = 0;
    std::uint64_t requests = 0;
    if (!Record(script, &changes, &requests)) return false;
    using At = CrashPoint::At;
    for (std::uint64_t n = 1; n <= changes; ++n)
      if (!RunPoint(script, {At::kDisk, n})) return false;
    for (std::uint64_t n = 1; n <= requests; ++n) {
      if (!RunPoint(script, {At::kBeforeRequest, n})) return false;
      if (!RunPoint(script, {At::kAfterRequest, n})) return false;
    }
    // The end of the script, nothing stopped: only what was not synced can go.
    return RunPoint(script, {});
  }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  /// How many places there are to stop at.
  bool Record(const Script& script, std::uint64_t* changes, std::uint64_t* requests) {
    world_.Reset(options_.seed);
    if (Status status = world_.Open(); !status.has_value())
      return Lost(script, status.error().message);
    const std::uint64_t changes_before = world_.machine().fs.change_count();
    const std::uint64_t requests_before = world_.machine().line.request_count();
    if (Status status = Run(world_, script); !status.has_value())
      return Lost(script, status.error().message);
    *changes = world_.machine().fs.change_count() - changes_before;
    *requests = world_.machine().line.request_count() - requests_before;
    return true;
  }

  bool RunPoint(const Script& script, const CrashPoint& point) {
    ++counts_.points;
    for (const CrashMode mode : kCrashModes) {
      const std::uint64_t seed = random_.Next();
      if (options_.sample > 1 && seed % options_.sample != 0) continue;
      if (!RunCrash(script, point, mode, seed)) return false;
    }
    return true;
  }

  bool RunCrash(const Script& script, const CrashPoint& point, CrashMode mode, std::uint64_t seed) {
    world_.Reset(seed);
    const auto lost = [&](const std::string& what) {
      return Lost(script, Concat(Describe(point), ", ", NameOf(mode), ", seed ", seed, ": ", what));
    };
    if (Status status = world_.Open(); !status.has_value()) return lost(status.error().message);
    world_.SetCrashPoint(point);
    const Status status = Run(world_, script);
    if (!status.has_value() && !world_.halted()) return lost("fails: " + status.error().message);
    world_.Crash(mode);
    ++counts_.crashes;
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
      ++counts_.recoveries;
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
    ++counts_.recoveries;
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
  CrashWorld world_;
  SeededRandom random_;
  Counts counts_;
};

int Main(int argc, char** argv) {
  EnumerationOptions options;
  if (!ParseOptions(argc, argv, &options)) return 2;
  Enumeration enumeration(options);
  const std::vector<Script> scripts = AllScripts(options.length);
  for (std::size_t i = options.shard; i < scripts.size(); i += options.shards)
    if (!enumeration.RunScript(scripts[i])) return 1;
  const Counts& counts = enumeration.counts();
  std::printf(
      "%llu scripts, %llu crash points, %llu crashes, %llu recoveries, 0 losses (seed %llu)\n",
      static_cast<unsigned long long>(counts.scripts),
      static_cast<unsigned long long>(counts.points),
      static_cast<unsigned long long>(counts.crashes),
      static_cast<unsigned long long>(counts.recoveries),
      static_cast<unsigned long long>(options.seed));
  return counts.crashes > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }
