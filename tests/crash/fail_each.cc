// fault_enumeration [--length N] [--sample N] [--seed N] [--shard I/N] [--jobs N]: runs every
// script of up to N steps (2) with every call of the disk and every request to the store failing in
// turn, once or from then on, with each error that such a call may give; a failed write has written
// part of it, a failed sync has lost what it was to store and a later one succeeds without it; or
// the disk goes read-only there. What fails says so; what is read all the while is right or an
// error; when the fault is gone and a FLUSH succeeds, a power cut takes nothing; when it fails, the
// volume is read-only and its status says why (L9). Exits 1 at the first loss, with what replays
// it; also when nothing was run.
#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "core/base/log.h"
#include "tests/crash/options.h"
#include "tests/crash/script.h"

namespace coffer::crash {
namespace {

enum Count { kScripts, kFaults, kMet, kReadOnly, kCounts };

struct DiskError {
  int number;
  const char* name;
};
constexpr DiskError kDiskErrors[] = {
    {EIO, "EIO"}, {ENOSPC, "ENOSPC"}, {EDQUOT, "EDQUOT"}, {EROFS, "EROFS"}, {EMFILE, "EMFILE"}};
constexpr FaultRepeat kRepeats[] = {FaultRepeat::kOnce, FaultRepeat::kSticky};

class Faults {
 public:
  Faults(const EnumerationOptions& options, std::span<std::uint64_t> counts)
      : options_(options),
        counts_(counts),
        world_(options.seed, TinySettings()),
        random_(options.seed + 1 + options.shard) {}

  bool RunScript(const Script& script) {
    ++counts_[kScripts];
    world_.Reset(options_.seed);
    if (Status status = world_.Open(); !status.has_value())
      return Lost(script, status.error().message);
    FaultyFileSystem& fs = world_.machine().fs;
    const std::uint64_t calls_before = fs.call_count();
    const std::uint64_t requests_before = world_.machine().line.request_count();
    if (Status status = Run(world_, script); !status.has_value())
      return Lost(script, status.error().message);
    const std::uint64_t calls = fs.call_count() - calls_before;
    const std::uint64_t requests = world_.machine().line.request_count() - requests_before;
    for (const FaultRepeat repeat : kRepeats) {
      for (std::uint64_t n = 1; n <= calls; ++n) {
        for (const DiskError& error : kDiskErrors) {
          const auto arm = [&] {
            world_.machine().fs.AddFault(
                {.nth = n, .repeat = repeat, .error_number = error.number});
          };
          if (!RunFault(script, Concat("disk call ", n, " fails with ", error.name, Often(repeat)),
                        arm))
            return false;
        }
      }
      for (std::uint64_t n = 1; n <= calls && repeat == FaultRepeat::kSticky; ++n) {
        const auto arm = [&] {
          world_.machine().fs.AddFault({.nth = n, .error_number = EROFS, .goes_read_only = true});
        };
        if (!RunFault(script, Concat("the disk goes read-only at call ", n), arm)) return false;
      }
      for (std::uint64_t n = 1; n <= requests; ++n) {
        for (const StoreFaultKind kind :
             {StoreFaultKind::kFailBefore, StoreFaultKind::kFailAfter}) {
          const auto arm = [&] {
            world_.machine().line.AddFault(
                {.kind = kind,
                 .nth = n,
                 .count = repeat == FaultRepeat::kOnce ? 1 : StoreFault::kForever});
          };
          const char* what = kind == StoreFaultKind::kFailBefore ? " fails" : " loses its reply";
          if (!RunFault(script, Concat("request ", n, what, Often(repeat)), arm)) return false;
        }
      }
    }
    return true;
  }

 private:
  static const char* Often(FaultRepeat repeat) {
    return repeat == FaultRepeat::kOnce ? " once" : " from then on";
  }

  bool RunFault(const Script& script, const std::string& what, const std::function<void()>& arm) {
    const std::uint64_t seed = random_.Next();
    if (options_.sample > 1 && seed % options_.sample != 0) return true;
    ++counts_[kFaults];
    world_.Reset(seed);
    const auto lost = [&](const std::string& wrong) {
      return Lost(script, Concat(what, ", seed ", seed, ": ", wrong));
    };
    if (Status opened = world_.Open(); !opened.has_value()) return lost(opened.error().message);
    arm();
    // As a client goes on after an error, to the script's end.
    bool seen = false;
    for (const Step step : script) {
      if (!world_.is_open()) break;
      if (!Run(world_, {step}).has_value()) seen = true;
    }
    if (seen) ++counts_[kMet];
    if (world_.is_open()) {
      // Right or an error, with the fault still there.
      if (std::string wrong = world_.oracle().Check(world_.volume());
          wrong.find("no state") != std::string::npos ||
          wrong.find("nobody has written") != std::string::npos)
        return lost("while the fault lasts, " + wrong);
    }
    world_.machine().fs.ClearFaults();
    world_.machine().line.Heal();
    world_.machine().scheduler.RunFor(std::chrono::minutes(5));
    if (world_.is_open()) {
      if (std::string wrong = world_.oracle().Check(world_.volume()); !wrong.empty())
        return lost("afterwards " + wrong);
      if (std::string wrong = FlushOrSayWhy(); !wrong.empty()) return lost(wrong);
    }
    // Most often all goes that nobody has promised to keep.
    const CrashMode mode = random_.OneIn(2) ? CrashMode::kDropAll : kCrashModes[random_.Below(5)];
    world_.Crash(mode);
    if (std::string wrong = world_.CheckRemote(false); !wrong.empty()) return lost(wrong);
    if (std::string wrong = world_.Recover(mode); !wrong.empty())
      return lost(Concat(NameOf(mode), ": ", wrong));
    if (Status closed = world_.Close(); !closed.has_value())
      return lost("does not close: " + closed.error().message);
    if (std::string wrong = world_.CheckRemote(true); !wrong.empty()) return lost(wrong);
    if (std::string wrong = world_.CheckHeads(); !wrong.empty()) return lost(wrong);
    return true;
  }

  /// A FLUSH that succeeds is held to it by the crash that follows. One that fails leaves a volume
  /// that can only be read, and says so.
  std::string FlushOrSayWhy() {
    const Status flushed = world_.Flush();
    if (flushed.has_value()) return {};
    ++counts_[kReadOnly];
    const volume::VolumeStatus status = world_.volume().status();
    const bool says = std::any_of(status.needs.begin(), status.needs.end(), [](const Error& need) {
      return need.message.starts_with("FAILED-JOURNAL: ") && !need.hint.empty();
    });
    if (!says) return "a flush fails, and status does not say why: " + flushed.error().message;
    if (world_.Write(0, 1, block::WriteFlag::kNone).has_value())
      return "a flush fails, and the next write succeeds";
    if (world_.Flush().has_value()) return "a flush fails, and the next one succeeds";
    return world_.oracle().Check(world_.volume());
  }

  bool Lost(const Script& script, const std::string& what) {
    std::fprintf(stderr, "LOST in [%s] %s\n", Describe(script).c_str(), what.c_str());
    return false;
  }

  const EnumerationOptions options_;
  const std::span<std::uint64_t> counts_;
  CrashWorld world_;
  SeededRandom random_;
};

bool RunAll(const EnumerationOptions& options, std::span<std::uint64_t> counts) {
  Faults faults(options, counts);
  const std::vector<Script> scripts = MixedScripts(options.length);
  for (std::size_t i = options.shard; i < scripts.size(); i += options.shards)
    if (!faults.RunScript(scripts[i])) return false;
  return true;
}

int Main(int argc, char** argv) {
  EnumerationOptions options{.length = 2};
  if (!ParseOptions(argc, argv, &options)) return 2;
  std::uint64_t counts[kCounts] = {};
  if (!RunInProcesses(options, counts, RunAll)) return 1;
  const auto count = [&](Count which) { return static_cast<unsigned long long>(counts[which]); };
  std::printf(
      "%llu scripts, %llu faults, %llu of them met by a request, %llu left a volume that could "
      "only "
      "be read, 0 losses (seed %llu)\n",
      count(kScripts), count(kFaults), count(kMet), count(kReadOnly),
      static_cast<unsigned long long>(options.seed));
  return counts[kMet] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }
