// scattered_writes DIRECTORY MIB: fills a volume of MIB mebibytes with incompressible data, opens
// it from the store alone with empty caches and measures what scattered 4 KiB writes and a sync
// upload and read.
#include <cinttypes>
#include <set>

#include "tests/scale/real_machine.h"

namespace coffer::scale {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::size_t kMiB = 1u << 20;

struct Measured {
  std::uint64_t written, uploaded, puts;
  pack::FrameReads reads;
};

Measured WriteScattered(RealMachine& machine, std::uint64_t blocks, std::uint64_t count,
                        std::uint64_t salt) {
  const store::StoreCounts before = machine.counts();
  const pack::FrameReads reads = machine.resources().reader().reads();
  std::set<std::uint64_t> chosen;
  std::uint64_t state = salt;
  while (chosen.size() < count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    chosen.insert((state >> 20) % blocks);
  }
  Bytes data(kBlock);
  for (const std::uint64_t block : chosen) {
    FillDistinct(block + (salt << 40), data);
    Must(machine.volume().Write(block * kBlock, data, block::WriteFlag::kNone), "write");
  }
  Must(machine.volume().Sync({}), "sync");
  const store::StoreCounts used = machine.counts().Since(before);
  const store::StoreCount creates = used.Of(store::StoreOperation::kCreate);
  pack::FrameReads now = machine.resources().reader().reads();
  now.data_frames -= reads.data_frames;
  now.pages -= reads.pages;
  now.deltas -= reads.deltas;
  now.bytes -= reads.bytes;
  for (const std::uint64_t block : chosen) {  // and they are what was written
    if (block % 37 != 0) continue;
    Bytes expected(kBlock);
    FillDistinct(block + (salt << 40), expected);
    Must(machine.volume().Read(block * kBlock, data), "read");
    Require(data == expected, "a written block reads back");
  }
  return {count * kBlock, creates.bytes_up, creates.requests, now};
}

void Show(const char* name, const Measured& m) {
  std::printf("%s: wrote %" PRIu64 " bytes, uploaded %" PRIu64 " (%.3f x) in %" PRIu64
              " PUTs; read %" PRIu64 " data frames, %" PRIu64 " pages, %" PRIu64 " deltas, %" PRIu64
              " bytes\n",
              name, m.written, m.uploaded,
              static_cast<double>(m.uploaded) / static_cast<double>(m.written), m.puts,
              m.reads.data_frames, m.reads.pages, m.reads.deltas, m.reads.bytes);
}

void Run(const std::string& directory, std::uint64_t mib) {
  const std::uint64_t size = mib * kMiB;
  {
    RealMachine first(directory + "/first", directory + "/store");
    first.Create({.name = "disk", .size = size});
    first.Open({});
    Bytes data(kMiB);
    for (std::uint64_t offset = 0; offset < size; offset += kMiB) {
      FillDistinct(offset | std::uint64_t{1} << 60, data);
      Must(first.volume().Write(offset, data, block::WriteFlag::kNone), "write");
    }
    first.Close();
    std::printf("filled %" PRIu64 " MiB, peak memory %" PRIu64 " MiB\n", mib, PeakMemory() / kMiB);
  }
  RealMachine second(directory + "/second", directory + "/store");
  volume::OpenOptions options;
  options.settings.sync_age = std::chrono::hours(1);
  second.Open(options);
  const std::uint64_t blocks = size / kBlock;
  const Measured many =
      WriteScattered(second, blocks, std::min<std::uint64_t>(10000, blocks / 8), 11);
  Show("10,000 writes", many);
  const Measured few = WriteScattered(second, blocks, 100, 12);
  Show("100 writes", few);
  second.Close();
  Require(many.uploaded * 100 <= many.written * 125, "uploaded <= 1.25 x written");
  Require(many.reads.data_frames == 0, "no data frame read");
  Require(few.uploaded * 100 <= few.written * 150, "uploaded <= 1.5 x written");
  Require(few.puts <= 2, "at most 2 PUTs");
  std::printf("scattered writes: %.3f x and %.3f x, %" PRIu64 " PUTs\n",
              static_cast<double>(many.uploaded) / static_cast<double>(many.written),
              static_cast<double>(few.uploaded) / static_cast<double>(few.written), few.puts);
}

}  // namespace
}  // namespace coffer::scale

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: scattered_writes DIRECTORY MIB\n");
    return 2;
  }
  coffer::scale::Run(argv[1], std::strtoull(argv[2], nullptr, 10));
  return 0;
}
