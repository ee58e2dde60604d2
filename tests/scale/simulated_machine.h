// A machine on the real disk in virtual time: one thread, a clock that jumps to the next thing to
// happen, an order and random bytes that follow from a seed. A day passes in minutes.
#pragma once

#include "tests/scale/machine.h"
#include "tests/scale/unsynced_file_system.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace coffer::scale {

struct SimulatedParts {
  explicit SimulatedParts(std::uint64_t seed) : random(seed), scheduler(clock, seed + 1) {}

  UnsyncedFileSystem fs;
  FakeClock clock;
  SeededRandom random;
  SimScheduler scheduler;
  SimExecutor sync{scheduler, 2};
  SimExecutor work{scheduler, 1};
  SimExecutor fetch{scheduler, 0};
};

class SimulatedMachine : private SimulatedParts, public Machine {
 public:
  SimulatedMachine(const std::string& state_directory, const std::string& store_directory,
                   std::uint64_t seed, Wrap wrap = {})
      : SimulatedParts(seed),
        Machine(fs, clock, random, sync, work, fetch, state_directory, store_directory,
                std::move(wrap)) {}

  using SimulatedParts::scheduler;
};

}  // namespace coffer::scale
