// ext4_day DIRECTORY all|metadata HOURS FILL_MIB [FIRST_HOUR [SEED]]
//
// What the writes of a desktop's ext4 (ext4_pattern.h) cost on a 1 TiB volume at the default
// settings: bytes, requests and objects of HOURS hours in virtual time, by what they are for.
// FILL_MIB of each region in use are written beforehand, so that the pages have something in them.
// Afterwards the volume is opened from the store alone and the metadata compared.
#include <cinttypes>
#include <cstring>

#include "tests/scale/ext4_pattern.h"
#include "tests/scale/inspecting_store.h"
#include "tests/scale/simulated_machine.h"

namespace coffer::scale {
namespace {

constexpr std::uint64_t kVolumeBytes = std::uint64_t{1} << 40;
constexpr std::uint64_t kChunk = 64 * 1024;
constexpr double kShareMax = 0.15;
constexpr double kRequestsPerCommitMax = 3.5;

struct Usage {
  StoredBytes stored;
  store::StoreCounts counts;
  std::uint64_t commits = 0;
  Ext4Pattern::Written written;
};

struct Rig {
  Rig(const std::string& directory, Ext4Pattern::Parts parts, std::uint64_t seed)
      : machine(directory + "/first", directory + "/store", seed,
                [this](std::unique_ptr<store::ObjectStore> inner) {
                  return std::make_unique<InspectingStore>(std::move(inner), sight);
                }),
        pattern(seed + 2, kVolumeBytes, parts,
                {.write =
                     [this](std::uint64_t offset, ByteView data) {
                       Must(machine.volume().Write(offset, data, block::WriteFlag::kNone), "write");
                     },
                 .flush = [this] { Must(machine.volume().Flush(), "flush"); }}) {
    machine.Create({.name = "disk", .size = kVolumeBytes});
    machine.Open({});
    sight.keys = &machine.vault().keys();
  }

  void Fill(std::uint64_t mib) {
    Bytes chunk(kChunk);
    for (const std::uint64_t region : pattern.UsedRegions()) {
      for (std::uint64_t at = 0; at < mib << 20; at += kChunk) {
        StoreLe<std::uint64_t>(chunk.data(), region + at + 1);
        Must(machine.volume().Write(region + at, chunk, block::WriteFlag::kNone), "fill");
      }
    }
    Must(machine.volume().Sync({}), "sync");
  }
  Usage Now() {
    return {sight.stored, machine.counts(), machine.volume().status().commits, pattern.written()};
  }

  InspectingStore::Sight sight;
  SimulatedMachine machine;
  Ext4Pattern pattern;
};

double Share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Everything but frames of data.
double OverheadShare(const StoredBytes& stored) {
  return Share(stored.total() - stored.data, stored.total());
}

void ShowHour(std::uint64_t hour, const Usage& before, const Usage& now) {
  const StoredBytes stored = now.stored.Since(before.stored);
  std::printf(
      "%02" PRIu64 "\t%.1f\t%.1f\t%.3f\t%" PRIu64 "\t%" PRIu64 "\n", hour % 24,
      static_cast<double>(now.written.journal + now.written.metadata + now.written.data -
                          before.written.journal - before.written.metadata - before.written.data) /
          1e6,
      static_cast<double>(stored.total()) / 1e6, OverheadShare(stored),
      now.commits - before.commits, now.counts.Since(before.counts).Total().requests);
}

void Show(const Usage& before, const Usage& now, double hours) {
  const StoredBytes stored = now.stored.Since(before.stored);
  const store::StoreCounts counts = now.counts.Since(before.counts);
  const std::uint64_t commits = now.commits - before.commits;
  const std::uint64_t total = stored.total();
  const Ext4Pattern::Written& written = now.written;
  std::printf("what\tbytes\tshare\n");
  const auto line = [&](const char* name, std::uint64_t bytes) {
    std::printf("%s\t%" PRIu64 "\t%.4f\n", name, bytes, Share(bytes, total));
  };
  line("frames of data", stored.data);
  line("deltas", stored.deltas);
  line("pages", stored.pages);
  line("heads", stored.heads);
  line("padding", stored.padding);
  line("tables of packs", stored.tables);
  line("uploaded", total);
  std::printf("# %.0f h: written %" PRIu64 " (journal %" PRIu64 ", metadata %" PRIu64
              ", file data %" PRIu64 "), %" PRIu64 " frames of data, %" PRIu64 " pages\n",
              hours, written.journal + written.metadata + written.data, written.journal,
              written.metadata, written.data, stored.data_frames, stored.page_frames);
  std::printf("# requests: %" PRIu64 " creates (%" PRIu64 " packs), %" PRIu64 " lists, %" PRIu64
              " reads (%" PRIu64 " bytes)\n",
              counts.Of(store::StoreOperation::kCreate).requests, stored.packs,
              counts.Of(store::StoreOperation::kList).requests,
              counts.Of(store::StoreOperation::kGet).requests +
                  counts.Of(store::StoreOperation::kGetRange).requests,
              counts.Total().bytes_down);
  const double requests_per_commit = Share(counts.Total().requests, commits);
  std::printf("%.0f h of ext4 on 1 TiB: written %.1f MB, uploaded %.1f MB in %" PRIu64
              " objects and %" PRIu64 " requests; all but data %.1f %%; %" PRIu64
              " commits, %.2f requests each\n",
              hours, static_cast<double>(written.journal + written.metadata + written.data) / 1e6,
              static_cast<double>(total) / 1e6, counts.Of(store::StoreOperation::kCreate).requests,
              counts.Total().requests, 100 * OverheadShare(stored), commits, requests_per_commit);
  std::fflush(stdout);
  Require(OverheadShare(stored) <= kShareMax, "all but data <= 15 % of what is uploaded");
  Require(requests_per_commit <= kRequestsPerCommitMax, "<= 3.5 requests a commit");
}

/// The metadata as the file system wrote them last, from the store alone.
void Verify(const std::string& directory, const Ext4Pattern& pattern) {
  SimulatedMachine second(directory + "/second", directory + "/store", 99);
  volume::OpenOptions options;
  options.read_only = true;
  second.Open(options);
  Bytes block(Ext4Pattern::kBlock);
  for (const auto& [number, bytes] : pattern.metadata_on_disk()) {
    Must(second.volume().Read(number * Ext4Pattern::kBlock, block), "read");
    Require(block == bytes, "a metadata block reads back as it was written last");
  }
  std::printf("# %zu metadata blocks compared from the store alone\n",
              pattern.metadata_on_disk().size());
}

void Run(const std::string& directory, Ext4Pattern::Parts parts, std::uint64_t hours,
         std::uint64_t fill_mib, std::uint64_t first_hour, std::uint64_t seed) {
  Rig rig(directory, parts, seed);
  rig.Fill(fill_mib);
  rig.pattern.StartAt(first_hour);
  const Usage before = rig.Now();
  Usage last = before;
  std::printf("hour\twritten MB\tuploaded MB\tall but data\tcommits\trequests\n");
  for (std::uint64_t hour = first_hour; hour < first_hour + hours; ++hour) {
    for (int second = 0; second < 3600; ++second) {
      rig.pattern.Tick();
      rig.machine.scheduler.RunFor(std::chrono::seconds(1));
    }
    const Usage now = rig.Now();
    ShowHour(hour, last, now);
    last = now;
  }
  const volume::VolumeStatus status = rig.machine.volume().status();
  Require(status.trouble.message.empty(), "no trouble");
  Must(rig.machine.volume().Sync({}), "sync");
  const Usage now = rig.Now();
  rig.machine.Close();
  Verify(directory, rig.pattern);
  Show(before, now, static_cast<double>(hours));
}

}  // namespace
}  // namespace coffer::scale

int main(int argc, char** argv) {
  if (argc < 5 || argc > 7) {
    std::fprintf(stderr,
                 "usage: ext4_day DIRECTORY all|metadata HOURS FILL_MIB [FIRST_HOUR [SEED]]\n");
    return 2;
  }
  const auto number = [&](int i, std::uint64_t otherwise) {
    return i < argc ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  using Parts = coffer::scale::Ext4Pattern::Parts;
  coffer::scale::Run(argv[1],
                     std::strcmp(argv[2], "metadata") == 0 ? Parts::kMetadata : Parts::kAll,
                     number(3, 0), number(4, 0), number(5, 0), number(6, 1));
  return 0;
}
