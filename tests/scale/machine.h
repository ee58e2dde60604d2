// A machine for runs whose size matters: a vault in a directory store, one volume `disk` of it. The
// key derivation is cheap, everything else is what cofferd uses. What time and threads are, its
// kinds say: real_machine.h, simulated_machine.h.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "core/cache/sqlite_index.h"
#include "core/store/counting_store.h"
#include "core/store/directory_store.h"
#include "core/volume/volume.h"

namespace coffer::scale {

/// Ends the program with the error's text.
template <class T>
T Must(Result<T> result, const char* what) {
  if (!result.has_value()) {
    std::fprintf(stderr, "%s: %s\n", what, result.error().message.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::exit(1);
}

/// Peak resident set of this process, bytes.
inline std::uint64_t PeakMemory() {
  std::uint64_t kib = 0;
  if (std::FILE* status = std::fopen("/proc/self/status", "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, status) != nullptr)
      if (std::sscanf(line, "VmHWM: %lu", &kib) == 1) break;
    std::fclose(status);
  }
  return kib * 1024;
}

/// Bytes that look random and follow from `number`: what a chunk or block should hold.
inline void FillDistinct(std::uint64_t number, MutableByteView out) {
  std::uint64_t state = number * 0x9E3779B97F4A7C15u + 0x1234567;
  for (std::size_t i = 0; i + 8 <= out.size(); i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    StoreLe<std::uint64_t>(out.data() + i, state * 0x2545F4914F6CDD1Du);
  }
}

class Machine {
 public:
  /// Puts a layer between the directory and the counters.
  using Wrap =
      std::function<std::unique_ptr<store::ObjectStore>(std::unique_ptr<store::ObjectStore>)>;

  Machine(FileSystem& fs, Clock& clock, Random& random, Executor& sync, Executor& work,
          Executor& fetch, const std::string& state_directory, const std::string& store_directory,
          Wrap wrap)
      : env_{.fs = fs,
             .clock = clock,
             .random = random,
             .sync_executor = sync,
             .work_executor = work,
             .fetch_executor = fetch,
             .kdf_policy = {64, 1, 1},
             .kdf_bounds = {64, 256, 1, 2, 1},
             .state_directory = state_directory,
             .host_name = "scale"},
        store_directory_(store_directory),
        wrap_(std::move(wrap)) {
    Must(CreateDirectories(fs, state_directory), "state directory");
  }

  void Create(const vault::VolumeSpec& spec) {
    auto store =
        Must(store::DirectoryStore::OpenForInit(env_.fs, env_.random, store_directory_), "store");
    Must(vault::Vault::Create(env_, Layers(std::move(store)), Password(), spec), "init");
    vault_.reset();
  }
  void Open(const volume::OpenOptions& options, std::size_t frame_cache_bytes = 64u << 20) {
    auto store = Must(store::DirectoryStore::Open(env_.fs, env_.random, store_directory_), "store");
    vault_ = Must(vault::Vault::Unlock(env_, Layers(std::move(store)), Password(), {}), "unlock");
    frames_ = std::make_unique<cache::FrameCache>(frame_cache_bytes);
    resources_ = std::make_unique<volume::VaultResources>(*vault_, *frames_, disk_.get());
    const auto found = Must(vault_->FindVolume("disk"), "volume");
    volume_ = Must(volume::Volume::Open(*resources_, found.id, options), "open");
  }
  void Close() {
    Must(volume_->Close(volume::CloseMode::kUpload, {}), "close");
    Forget();
  }
  /// As after a kill: nothing is closed or released.
  void Forget() {
    volume_.reset();
    resources_.reset();
    vault_.reset();
    disk_.reset();
  }
  /// Before Open, and again after each Forget: without it there is no disk cache.
  void UseDiskCache(const std::string& directory, std::uint64_t bytes_max) {
    disk_ = std::make_unique<cache::DiskCache>(
        env_.fs, env_.clock,
        cache::DiskCache::Options{.directory = directory, .bytes_max = bytes_max},
        [this, directory](std::vector<cache::IndexRow>* rows) {
          return cache::SqliteIndex::Open(env_.fs, directory + "/index.sqlite", rows);
        });
    disk_->Start();
  }
  [[nodiscard]] cache::DiskCache& disk_cache() { return *disk_; }

  vault::Vault& vault() { return *vault_; }
  volume::Volume& volume() { return *volume_; }
  volume::VaultResources& resources() { return *resources_; }
  [[nodiscard]] store::StoreCounts counts() const { return counter_->counts(); }

 private:
  static SecretBytes Password() { return SecretBytes::CopyOf(AsBytes("scale")); }
  std::unique_ptr<store::ObjectStore> Layers(std::unique_ptr<store::ObjectStore> store) {
    if (wrap_) store = wrap_(std::move(store));
    auto counter = std::make_unique<store::CountingStore>(std::move(store));
    counter_ = counter.get();
    return counter;
  }

  vault::Environment env_;
  const std::string store_directory_;
  const Wrap wrap_;
  store::CountingStore* counter_ = nullptr;
  std::unique_ptr<cache::DiskCache> disk_;
  std::unique_ptr<vault::Vault> vault_;
  std::unique_ptr<cache::FrameCache> frames_;
  std::unique_ptr<volume::VaultResources> resources_;
  std::unique_ptr<volume::Volume> volume_;
};

}  // namespace coffer::scale
