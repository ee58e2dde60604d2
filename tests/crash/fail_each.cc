// fault_enumeration [--length N] [--sample N] [--seed N] [--shard I/N]: runs every script of up to
// N steps (2) with every call of the disk and every request to the store failing in turn, once or
// from then on, with each error that such a call may give. What fails says so; what is read all the
// while is right or an error; when the fault is gone and a FLUSH succeeds, a power cut takes
// nothing (L9). Exits 1 at the first loss, with what replays it; also when nothing was run.
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "core/base/log.h"
#include "tests/crash/options.h"
#include "tests/crash/script.h"

namespace coffer::crash {
namespace {

struct DiskError {
  int number;
  const char* name;
};
constexpr DiskError kDiskErrors[] = {
    {EIO, "EIO"}, {ENOSPC, "ENOSPC"}, {EROFS, "EROFS"}, {EMFILE, "EMFILE"}};
constexpr FaultRepeat kRepeats[] = {FaultRepeat::kOnce, FaultRepeat::kSticky};

class Faults {
 public:
  explicit Faults(const EnumerationOptions& options)
      : options_(options), world_(options.seed, TinySettings()), random_(options.seed + 1) {}

  bool RunScript(const Script& script) {
    ++scripts_;
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

  void Print() const {
    std::printf("%llu scripts, %llu faults, %llu of them met by a request, 0 losses (seed %llu)\n",
                static_cast<unsigned long long>(scripts_), static_cast<unsigned long long>(faults_),
                static_cast<unsigned long long>(seen_),
                static_cast<unsigned long long>(options_.seed));
  }
  [[nodiscard]] std::uint64_t faults() const { return faults_; }

 private:
  static const char* Often(FaultRepeat repeat) {
    return repeat == FaultRepeat::kOnce ? " once" : " from then on";
  }

  bool RunFault(const Script& script, const std::string& what, const std::function<void()>& arm) {
    const std::uint64_t seed = random_.Next();
    if (options_.sample > 1 && seed % options_.sample != 0) return true;
    ++faults_;
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
    if (seen) ++seen_;
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
      // May fail, if the volume has become read-only; if it succeeds it has to be true.
      (void)world_.Flush();
    }
    const CrashMode mode = kCrashModes[random_.Below(5)];
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

  bool Lost(const Script& script, const std::string& what) {
    std::fprintf(stderr, "LOST in [%s] %s\n", Describe(script).c_str(), what.c_str());
    return false;
  }

  const EnumerationOptions options_;
  CrashWorld world_;
  SeededRandom random_;
  std::uint64_t scripts_ = 0;
  std::uint64_t faults_ = 0;
  std::uint64_t seen_ = 0;
};

int Main(int argc, char** argv) {
  EnumerationOptions options{.length = 2};
  if (!ParseOptions(argc, argv, &options)) return 2;
  Faults faults(options);
  const std::vector<Script> scripts = MixedScripts(options.length);
  for (std::size_t i = options.shard; i < scripts.size(); i += options.shards)
    if (!faults.RunScript(scripts[i])) return 1;
  faults.Print();
  return faults.faults() > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }
