// idle_day DIRECTORY: a volume is opened, written to and synced; then a day passes in virtual time.
// Nothing is asked of the store, and nothing runs at all: no timer waits.
#include <cinttypes>

#include "tests/scale/simulated_machine.h"

namespace coffer::scale {
namespace {

/// Requests while `hours` pass; fails if any task runs.
void PassIdle(SimulatedMachine& machine, int hours) {
  machine.scheduler.RunUntilIdle();
  const store::StoreCounts before = machine.counts();
  const std::uint64_t digest = machine.scheduler.digest();
  const std::size_t timers = machine.scheduler.timer_count();
  machine.scheduler.RunFor(std::chrono::hours(hours));
  const std::uint64_t requests = machine.counts().Since(before).Total().requests;
  std::printf("# %d hours: %" PRIu64 " store requests, %zu timers waited, %s ran\n", hours,
              requests, timers, machine.scheduler.digest() == digest ? "nothing" : "something");
  Require(requests == 0, "0 store requests");
  Require(timers == 0, "no timer waits");
  Require(machine.scheduler.digest() == digest, "nothing runs");
}

void Run(const std::string& directory) {
  SimulatedMachine machine(directory + "/first", directory + "/store", 1);
  machine.Create({.name = "disk", .size = std::uint64_t{1} << 40});
  machine.Open({});
  PassIdle(machine, 24);  // as opened

  Bytes data(3 << 20);
  FillDistinct(1, data);
  Must(machine.volume().Write(0, data, block::WriteFlag::kNone), "write");
  Must(machine.volume().Flush(), "flush");
  machine.scheduler.RunFor(std::chrono::minutes(2));  // the sync age is one minute
  Require(machine.volume().status().behind_bytes == 0, "what was written is uploaded by itself");
  PassIdle(machine, 24);  // after a commit by age

  Must(machine.volume().Write(1 << 20, data, block::WriteFlag::kNone), "write");
  Must(machine.volume().Sync({}), "sync");
  const std::uint64_t commits = machine.volume().status().commits;
  // The age timer of those writes finds nothing to do.
  machine.scheduler.RunFor(std::chrono::minutes(2));
  Require(machine.volume().status().commits == commits, "no commit of nothing");
  PassIdle(machine, 24);  // after a sync
  machine.Close();
  std::printf(
      "3 simulated days (as opened, after a commit by age, after a sync): 0 store requests\n");
}

}  // namespace
}  // namespace coffer::scale

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: idle_day DIRECTORY\n");
    return 2;
  }
  coffer::scale::Run(argv[1]);
  return 0;
}
