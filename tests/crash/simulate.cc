// crash_simulation [--seeds N] [--first N] [--steps N]: whole histories of one volume under random
// requests, crashes, faults of store and line, evictions, and time that passes; virtual clock, one
// thread. Sizes and ages are random for each seed. After every crash the prefix oracle compares all
// blocks; after every step the status is compared with what was asked, and when; at the end
// everything heals and must be committed within five virtual minutes, and a blank machine must find
// it. Each seed is run twice and must give the same digest. Exits 1 at the first loss, with the
// seed that replays it.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "core/base/log.h"
#include "tests/crash/crash_world.h"

namespace coffer::crash {
namespace {

using block::WriteFlag;

struct Options {
  std::uint64_t seeds = 250;
  std::uint64_t first = 1;
  std::uint64_t steps = 600;
};

constexpr std::uint64_t kNever = std::uint64_t{1} << 60;

struct Counts {
  std::uint64_t crashes = 0;
  std::uint64_t requests = 0;
  std::uint64_t syncs = 0;
  std::uint64_t faults = 0;
  std::uint64_t evictions = 0;
  std::uint64_t resizes = 0;
  std::uint64_t reopenings = 0;
  std::uint64_t password_changes = 0;
};

volume::Settings RandomSettings(SeededRandom& random) {
  volume::Settings settings = volume::SmallSettings();
  settings.sync_age = std::chrono::seconds(1 + random.Below(90));
  settings.sync_bytes = (16 + random.Below(256)) * 1024;
  settings.segment_bytes = std::size_t{512 * 1024} << random.Below(2);
  settings.journal_bytes_max = (4 + random.Below(8)) << 20;
  settings.dirty_memory_bytes_max = random.Below(3) * 48 * 1024;
  settings.pack_bytes_target = (16 + random.Below(128)) * 1024;
  settings.generations_max = 1 + random.Below(4);
  settings.deltas_max = 1 + random.Below(6);
  settings.store_away_wait = Duration::zero();  // who asks does not wait
  settings.pieces_at_hand_max = 1 + random.Below(4);
  settings.pieces_background_max = 2 + random.Below(4);
  return settings;
}

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::uint64_t steps)
      : steps_(steps),
        random_(seed),
        world_(seed, RandomSettings(random_),
               random_.OneIn(2) ? DiskCacheUse::kSmall : DiskCacheUse::kNone) {
    world_.Reset(seed);
  }

  /// Empty, or what was lost.
  std::string Run() {
    if (Status opened = world_.Open(); !opened.has_value()) return opened.error().message;
    for (std::uint64_t step = 0; step < steps_; ++step) {
      if (std::string wrong = Step(); !wrong.empty()) return Concat("step ", step, ": ", wrong);
    }
    return Heal();
  }
  [[nodiscard]] std::uint64_t digest() {
    return world_.machine().scheduler.digest() * 31 + world_.machine().fs.digest();
  }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  /// The last requests as the provider has seen them, and the last calls of the disk.
  void PrintTrace() {
    const auto requests = world_.machine().wire.requests();
    const std::size_t first = requests.size() - std::min<std::size_t>(requests.size(), 60);
    for (std::size_t i = first; i < requests.size(); ++i) {
      std::ostringstream text;
      text << requests[i];
      std::fprintf(stderr, "  %s\n", text.str().c_str());
    }
    for (const std::string& call : world_.machine().fs.RecentCalls())
      std::fprintf(stderr, "  %s\n", call.c_str());
  }

 private:
  std::string Step() {
    if (random_.OneIn(30)) ArmCrash();
    if (random_.OneIn(25)) AddFault();
    if (random_.OneIn(15)) HealLine();
    const Status status = Operate();
    if (world_.halted()) return CrashAndRecover();
    if (world_.is_open()) {
      if (std::string wrong = world_.CheckStatus(); !wrong.empty()) return wrong;
    }
    if (status.has_value()) return {};
    // On a line in trouble requests to the store may fail; the disk is sound.
    if (IsTransient(status.error().code) && faults_) return {};
    return "fails without a reason: " + status.error().message;
  }

  static bool IsTransient(ErrorCode code) {
    return code == ErrorCode::kUnavailable || code == ErrorCode::kCancelled;
  }

  Status Operate() {
    ++counts_.requests;
    const std::uint64_t blocks = world_.volume().size() / block::kBlockSize;
    const std::uint64_t first = random_.Below(blocks);
    const std::uint64_t count = 1 + random_.Below(std::min<std::uint64_t>(12, blocks - first));
    switch (random_.Below(18)) {
      case 17:
        if (!random_.OneIn(4)) return {};
        ++counts_.password_changes;
        return world_.ChangePassword();
      case 16:
        if (!random_.OneIn(4)) return {};
        ++counts_.resizes;
        return world_.Resize(kBlocks / 2 + random_.Below(kBlocks));
      case 0:
        return world_.Zero(first, count, random_.OneIn(2));
      case 1:
        return world_.Flush();
      case 2:
        ++counts_.syncs;
        return world_.Sync();
      case 3:
        return world_.Write(first, count, WriteFlag::kForceUnitAccess);
      case 4: {
        const std::string wrong = Unless(world_.oracle().Check(world_.volume()));
        if (wrong.empty()) return {};
        return Fail(ErrorCode::kCorruption, wrong);
      }
      case 5:
        ++counts_.evictions;
        if (random_.OneIn(2)) world_.EvictDisk();
        world_.EvictMemory();
        return {};
      case 6:
        world_.machine().scheduler.RunFor(std::chrono::milliseconds(random_.Below(120'000)));
        return {};
      case 7:
        if (!random_.OneIn(4)) return {};
        ++counts_.reopenings;
        return Reopen();
      case 8:
        if (!random_.OneIn(3)) return {};
        world_.machine().fs.Halt();  // a crash between two requests
        return {};
      default:
        return world_.Write(first, count, WriteFlag::kNone);
    }
  }

  /// A read that a line in trouble has failed says nothing about the volume.
  std::string Unless(std::string wrong) const {
    return faults_ && wrong.find("no state") == std::string::npos &&
                   wrong.find("nobody has written") == std::string::npos
               ? std::string()
               : wrong;
  }

  Status Reopen() {
    const Status closed = world_.Close();
    if (world_.halted()) return closed;
    if (!closed.has_value() && !IsTransient(closed.error().code)) return closed;
    return OpenDespiteTrouble();
  }

  /// Opening needs the store: with the line in trouble it may fail, and then it is tried again.
  Status OpenDespiteTrouble() {
    Status opened = world_.Open();
    if (!opened.has_value() && !world_.halted() && faults_) {
      HealLine();
      opened = world_.Open();
    }
    return opened;
  }

  void ArmCrash() {
    using At = CrashPoint::At;
    static constexpr At kPlaces[] = {At::kDisk, At::kDisk, At::kBeforeRequest, At::kAfterRequest};
    world_.SetCrashPoint({kPlaces[random_.Below(4)], 1 + random_.Below(12)});
  }

  void AddFault() {
    ++counts_.faults;
    faults_ = true;
    FaultyStore& line = world_.machine().line;
    if (random_.OneIn(4)) {
      line.FailAll(ErrorCode::kUnavailable);
      return;
    }
    static constexpr StoreFaultKind kKinds[] = {
        StoreFaultKind::kFailBefore, StoreFaultKind::kFailAfter, StoreFaultKind::kLateApply};
    line.AddFault({.kind = kKinds[random_.Below(3)],
                   .nth = 1 + random_.Below(4),
                   .count = 1 + random_.Below(3),
                   .late_by = 1 + random_.Below(8)});
  }

  void HealLine() {
    world_.machine().line.Heal();
    faults_ = false;
  }

  std::string CrashAndRecover() {
    CrashMode mode = kCrashModes[random_.Below(5)];
    bool power = mode != CrashMode::kKill;
    world_.Crash(mode);  // heals the line too
    faults_ = false;
    ++counts_.crashes;
    if (random_.OneIn(3)) {
      if (std::string wrong = world_.CheckRemote(false); !wrong.empty()) return wrong;
    }
    while (random_.OneIn(2)) {  // and while it recovers
      ArmCrash();
      const Status opened = world_.Open();
      if (!world_.halted()) {
        if (!opened.has_value()) return "does not open: " + opened.error().message;
        world_.machine().fs.Halt();
      }
      mode = kCrashModes[random_.Below(5)];
      power = power || mode != CrashMode::kKill;
      world_.Crash(mode);
      ++counts_.crashes;
    }
    return world_.Recover(power ? CrashMode::kDropAll : CrashMode::kKill);
  }

  /// Liveness (L8, O8), and what another machine finds then (O2, O6).
  std::string Heal() {
    HealLine();
    world_.SetCrashPoint({CrashPoint::At::kDisk, kNever});  // instead of one not met yet
    world_.machine().line.LandLateRequests();
    if (std::string wrong = world_.oracle().Check(world_.volume()); !wrong.empty()) return wrong;
    world_.machine().scheduler.RunFor(std::chrono::minutes(5));
    const volume::VolumeStatus status = world_.volume().status();
    if (status.behind_bytes != 0 || status.committed_seq != status.acknowledged_seq)
      return Concat(status.behind_bytes, " bytes are not committed five minutes after healing: ",
                    status.trouble.message);
    world_.oracle().Committed(world_.oracle().acknowledged());
    if (std::string wrong = world_.CheckRemote(true); !wrong.empty()) return wrong;
    if (Status closed = world_.Close(); !closed.has_value())
      return "does not close: " + closed.error().message;
    if (std::string wrong = world_.CheckRemote(true); !wrong.empty()) return wrong;
    return world_.CheckHeads();
  }

  const std::uint64_t steps_;
  SeededRandom random_;
  CrashWorld world_;
  bool faults_ = false;
  Counts counts_;
};

void Add(const Counts& counts, Counts* total) {
  total->crashes += counts.crashes;
  total->requests += counts.requests;
  total->syncs += counts.syncs;
  total->faults += counts.faults;
  total->evictions += counts.evictions;
  total->resizes += counts.resizes;
  total->reopenings += counts.reopenings;
  total->password_changes += counts.password_changes;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::uint64_t* number = nullptr;
    if (std::strcmp(argv[i], "--seeds") == 0) number = &options.seeds;
    if (std::strcmp(argv[i], "--first") == 0) number = &options.first;
    if (std::strcmp(argv[i], "--steps") == 0) number = &options.steps;
    const char* end = argv[i + 1] + std::strlen(argv[i + 1]);
    if (number == nullptr || std::from_chars(argv[i + 1], end, *number).ptr != end) {
      std::fprintf(stderr, "bad option %s %s\n", argv[i], argv[i + 1]);
      return 2;
    }
  }
  Counts total;
  for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
    std::uint64_t digests[2] = {};
    for (std::uint64_t& digest : digests) {
      Simulation simulation(seed, options.steps);
      const std::string lost = simulation.Run();
      if (!lost.empty()) {
        simulation.PrintTrace();
        std::fprintf(stderr, "LOST: --first %llu --seeds 1 --steps %llu: %s\n",
                     static_cast<unsigned long long>(seed),
                     static_cast<unsigned long long>(options.steps), lost.c_str());
        return 1;
      }
      digest = simulation.digest();
      if (&digest == digests) Add(simulation.counts(), &total);
    }
    if (digests[0] != digests[1]) {
      std::fprintf(stderr, "seed %llu gives two digests\n", static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
  std::printf(
      "%llu seeds, each twice with equal digests; %llu requests, %llu syncs, %llu resizes, %llu "
      "password changes, %llu evictions, %llu reopenings, %llu faults of the line, %llu crashes; 0 "
      "losses\n",
      number(options.seeds), number(total.requests), number(total.syncs), number(total.resizes),
      number(total.password_changes), number(total.evictions), number(total.reopenings),
      number(total.faults), number(total.crashes));
  return total.crashes > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }
