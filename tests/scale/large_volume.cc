// large_volume write DIRECTORY VOLUME_GIB DATA_MIB close|kill
// large_volume read DIRECTORY OBJECTS_MAX
//
// write: fills a large volume at random offsets with distinct incompressible chunks through the
// ordinary write path, into a store that keeps only the sizes of packs that hold data alone, but
// those of 1,000 chosen chunks for real. `close` folds; `kill` stops at the moment when 32 deltas
// stand unfolded. read: opens from the store alone, counts what that reads, and verifies the chosen
// chunks.
#include <atomic>
#include <cinttypes>
#include <cstring>
#include <fstream>
#include <numeric>

#include "tests/scale/real_machine.h"

namespace coffer::scale {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kChunk = 64 * 1024;
constexpr int kWindows = 20;
constexpr std::uint64_t kChosenPerWindow = 50;

/// Keeps nothing of a data pack but its size, unless told otherwise; and can stop serving.
class SizesOnlyStore final : public store::ObjectStore {
 public:
  struct Control {
    std::atomic<bool> keep{true};
    std::atomic<bool> stop_after_head{false};
    std::atomic<bool> stopped{false};
    std::atomic<std::uint64_t> dropped_bytes{0};
    std::atomic<std::uint64_t> kept_bytes{0};
  };
  SizesOnlyStore(std::unique_ptr<store::ObjectStore> inner, Control& control)
      : inner_(std::move(inner)), control_(control) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override {
    if (control_.stopped) return Fail(ErrorCode::kUnavailable, "stopped");
    if (object_class == store::ObjectClass::kData && !control_.keep) {
      control_.dropped_bytes += data.size();
      return {};
    }
    control_.kept_bytes += data.size();
    if (object_class == store::ObjectClass::kHead && control_.stop_after_head)
      control_.stopped = true;
    return inner_->Create(context, name, data, object_class);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return inner_->Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    return inner_->GetRange(context, name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    return inner_->List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return inner_->Delete(context, name);
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_->capabilities();
  }
  [[nodiscard]] std::string identity() const override { return inner_->identity(); }
  [[nodiscard]] std::string description() const override { return inner_->description(); }

 private:
  const std::unique_ptr<store::ObjectStore> inner_;
  Control& control_;
};

/// The i-th of `count` chunks in a random order without repeats: a walk with a stride prime to the
/// count.
class ChunkOrder {
 public:
  explicit ChunkOrder(std::uint64_t count) : count_(count), stride_(count / 5 * 3 + 7919) {
    while (std::gcd(stride_, count_) != 1) ++stride_;
  }
  [[nodiscard]] std::uint64_t operator[](std::uint64_t i) const {
    return (i * stride_ + 12345) % count_;  // both below 2^28: no overflow
  }

 private:
  std::uint64_t count_;
  std::uint64_t stride_;
};

void Write(const std::string& directory, std::uint64_t gib, std::uint64_t mib, bool kill) {
  SizesOnlyStore::Control control;
  RealMachine machine(directory + "/first", directory + "/store",
                      [&](std::unique_ptr<store::ObjectStore> inner) {
                        return std::make_unique<SizesOnlyStore>(std::move(inner), control);
                      });
  machine.Create({.name = "disk", .size = gib << 30});
  machine.Open({});
  const ChunkOrder order((gib << 30) / kChunk);
  const std::uint64_t chunks = mib * kMiB / kChunk;
  const std::uint64_t window_every = chunks / kWindows;
  std::ofstream chosen(directory + "/chosen");
  Bytes data(kChunk);
  const auto write = [&](std::uint64_t i) {
    FillDistinct(order[i], data);
    Must(machine.volume().Write(order[i] * kChunk, data, block::WriteFlag::kNone), "write");
  };
  std::uint64_t next = 0;
  for (int window = 0; window < kWindows; ++window) {
    // A window of chunks whose packs are kept: nothing else may be under way meanwhile.
    Must(machine.volume().Sync({}), "sync");
    control.keep = true;
    for (std::uint64_t i = 0; i < kChosenPerWindow; ++i, ++next) {
      write(next);
      chosen << order[next] << "\n";
    }
    Must(machine.volume().Sync({}), "sync");
    control.keep = false;
    for (; next < static_cast<std::uint64_t>(window + 1) * window_every; ++next) write(next);
  }
  if (kill) {
    Must(machine.volume().Sync({}), "sync");
    control.keep = true;
    // Small commits until 32 deltas stand; the store stops with the 32nd, before they are folded.
    for (;;) {
      write(next++);
      const bool last = machine.volume().status().unfolded_deltas == 31;
      control.stop_after_head = last;
      Must(machine.volume().Sync({}), "sync");
      if (last) break;
    }
    machine.Forget();
  } else {
    machine.Close();
  }
  std::printf("wrote %" PRIu64 " chunks (%" PRIu64 " MiB); store kept %" PRIu64 " MiB, of %" PRIu64
              " MiB only the size; peak memory %" PRIu64 " MiB\n",
              next, next * kChunk / kMiB, control.kept_bytes / kMiB, control.dropped_bytes / kMiB,
              PeakMemory() / kMiB);
}

void Read(const std::string& directory, std::uint64_t objects_max) {
  RealMachine machine(directory + "/second", directory + "/store");
  volume::OpenOptions options;
  options.read_only = true;
  machine.Open(options, 16u << 20);
  const store::StoreCounts counts = machine.counts();
  const std::uint64_t reads = counts.Of(store::StoreOperation::kGet).requests +
                              counts.Of(store::StoreOperation::kGetRange).requests;
  const std::uint64_t lists = counts.Of(store::StoreOperation::kList).requests;
  std::ifstream chosen(directory + "/chosen");
  std::uint64_t chunk = 0;
  std::uint64_t verified = 0;
  Bytes data(kChunk);
  Bytes expected(kChunk);
  while (chosen >> chunk) {
    FillDistinct(chunk, expected);
    Must(machine.volume().Read(chunk * kChunk, data), "read");
    Require(data == expected, "a chosen chunk verifies");
    ++verified;
  }
  const std::uint64_t memory = PeakMemory();
  std::printf("opened with %" PRIu64 " reads and %" PRIu64 " LIST pages; %" PRIu64
              " chunks verified; peak memory %" PRIu64 " MiB\n",
              reads, lists, verified, memory / kMiB);
  Require(reads <= objects_max, "few enough objects read to open");
  Require(verified == kWindows * kChosenPerWindow, "all chosen chunks verified");
  Require(memory < 150 * kMiB, "peak memory < 150 MiB");
}

}  // namespace
}  // namespace coffer::scale

int main(int argc, char** argv) {
  using namespace coffer::scale;
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  if (argc == 6 && std::strcmp(argv[1], "write") == 0) {
    Write(argv[2], number(3), number(4), std::strcmp(argv[5], "kill") == 0);
  } else if (argc == 4 && std::strcmp(argv[1], "read") == 0) {
    Read(argv[2], number(3));
  } else {
    std::fprintf(stderr,
                 "usage: large_volume write DIRECTORY VOLUME_GIB DATA_MIB close|kill\n"
                 "       large_volume read DIRECTORY OBJECTS_MAX\n");
    return 2;
  }
  return 0;
}
