// CrashWorld: a machine with a volume that is crashed and started again, and the oracle that knows
// what must be there. Restoring its first state costs no key derivation and no writing, so that one
// script can be run thousands of times. What the volume's status claims is held against what is
// there: nothing that it calls durable may go, and a blank machine finds all it calls committed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cache/disk_cache.h"
#include "tests/cache/memory_index.h"
#include "tests/crash/prefix_oracle.h"
#include "tests/volume/volume_world.h"

namespace coffer::crash {

inline constexpr std::uint64_t kBlocks = 48;
inline constexpr std::uint32_t kChunkBytes = 16 * 1024;
inline constexpr std::uint64_t kChunkBlocks = kChunkBytes / block::kBlockSize;

enum class CrashMode {
  kKill,     // the process; the page cache stays
  kDropAll,  // the power; see CutMode
  kKeepAll,
  kRandomSubset,
  kPrefix,
};
inline constexpr CrashMode kCrashModes[] = {CrashMode::kKill, CrashMode::kDropAll,
                                            CrashMode::kKeepAll, CrashMode::kRandomSubset,
                                            CrashMode::kPrefix};
std::string_view NameOf(CrashMode mode);

/// Where a machine stops: before its nth change of the disk, or around its nth request, counted
/// from when it is set.
struct CrashPoint {
  enum class At { kNever, kDisk, kBeforeRequest, kAfterRequest };
  At at = At::kNever;
  std::uint64_t nth = 0;
};
std::string Describe(const CrashPoint& point);

enum class DiskCacheUse { kNone, kSmall };

class CrashWorld {
 public:
  CrashWorld(std::uint64_t seed, const volume::Settings& settings,
             DiskCacheUse disk_cache = DiskCacheUse::kNone);

  /// Back to how it was when the world was made: a volume with some of its blocks written,
  /// committed, closed. `seed` decides what follows.
  void Reset(std::uint64_t seed);

  /// The machine starts: unlocks, opens the volume. The error is the machine's.
  Status Open();
  /// As a user closes: uploads, releases.
  Status Close();
  void SetCrashPoint(const CrashPoint& point);
  /// Whether the crash point was met.
  [[nodiscard]] bool halted() const;
  /// Kills what runs, as if now, and leaves of the disk what `mode` says. Nothing is set any more.
  void Crash(CrashMode mode);

  /// Opens, checks against the oracle what is there, and that one password opens; empty if right.
  std::string Recover(CrashMode mode);
  /// The status as it is now against what was asked and when; empty if true. Only of a volume whose
  /// requests have all succeeded or been lost in a crash.
  [[nodiscard]] std::string CheckStatus();
  /// What a machine that has only the store and the password finds; empty if right (L4).
  [[nodiscard]] std::string CheckRemote(bool everything);
  /// The chain of heads at the provider (O6).
  [[nodiscard]] std::string CheckHeads();

  [[nodiscard]] volume::Volume& volume() { return **opened_; }
  [[nodiscard]] bool is_open() const { return opened_ != nullptr; }
  [[nodiscard]] volume::VaultResources& resources() { return opened_->resources(); }
  [[nodiscard]] cache::FrameCache& frames() { return opened_->resources().frames(); }
  [[nodiscard]] PrefixOracle& oracle() { return oracle_; }
  [[nodiscard]] vault::Machine& machine() { return *machine_; }
  [[nodiscard]] store::MemoryStore& provider() { return provider_; }

  /// Nothing that was read is at hand any more: memory, then the disk cache, if there is one.
  void EvictMemory();
  void EvictDisk();

  // Write-class requests, on the volume and in the oracle.
  Status Write(std::uint64_t first, std::uint64_t count, block::WriteFlag flag);
  Status Zero(std::uint64_t first, std::uint64_t count, bool trim);
  Status Resize(std::uint64_t blocks);
  Status Flush();
  Status Sync();
  /// To a password never used before. After an error, or a crash, either may hold.
  Status ChangePassword();

 private:
  /// A request that was acknowledged: the journal's sequence then, and when it was under way.
  struct Answer {
    std::uint64_t number;
    std::uint64_t seq;
    MonotonicTime begun;
    MonotonicTime ended;
  };

  /// Of a write-class request with its number in the oracle.
  Status Answered(std::uint64_t number, Status status);
  std::uint64_t Begin(const Change& change);
  /// Holds the oracle to what the status says.
  void BelieveStatus();
  /// With the one of the passwords that opens; kUnauthenticated if none does.
  Result<std::unique_ptr<vault::Vault>> Unlock(vault::Machine& machine) const;
  /// That no second password opens the vault.
  [[nodiscard]] std::string CheckPasswords();

  const volume::Settings settings_;
  const DiskCacheUse disk_cache_use_;
  cache::MemoryIndexDisk cache_index_;
  store::MemoryStore provider_;
  std::unique_ptr<vault::Machine> machine_;
  PrefixOracle oracle_{kBlocks};
  std::unique_ptr<cache::DiskCache> disk_cache_;
  std::unique_ptr<volume::OpenedVolume> opened_;
  std::deque<Answer> answers_;  // of requests that may not be committed, in order
  MonotonicTime last_begun_{};  // of the newest request
  /// Since when there may be a request that has failed, or that a crash has interrupted or taken,
  /// as far as anybody can see.
  std::optional<MonotonicTime> unsure_since_;
  std::vector<std::string> passwords_;      // that may hold, the newest last
  std::vector<std::string> old_passwords_;  // that must not
  int password_changes_ = 0;

  store::MemoryStore::Objects first_objects_;
  std::shared_ptr<const FaultyFileSystem::Image> first_disk_;
  PrefixOracle first_oracle_{kBlocks};
  std::deque<Answer> first_answers_;
};

}  // namespace coffer::crash
