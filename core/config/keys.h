// The keys of config.toml (interfaces.md, "Config"): names, defaults, bounds, where each may stand
// and when a change of it takes effect. Flags and the file's values are read by the same code.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace coffer::config {

/// "60s", "5m", "2h", "1d"; nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> ParseSeconds(std::string_view text);

enum class Key {
  kSyncAge,
  kSyncBytes,
  kDurability,
  kJournalBytesMax,
  kJournalFull,
  kFlushWait,
  kStoreAway,
  kCodec,
  kDedup,
  kPackBytesTarget,
  kPackBytesMax,
  kTlsX509,
  kTlsPsk,
  kTlsVerifyPeer,
  kFuseCache,
  kChunkSize,
  kDiskCacheBytesMax,
  kMemoryCacheBytesMax,
  kUploadLimit,
  kDownloadLimit,
  kLogLevel,
};
inline constexpr std::size_t kKeyCount = 21;

/// Where a key may stand.
enum class Scope {
  kVolume,   // [defaults], [vaults.NAME], [volumes."VAULT/NAME"]
  kMachine,  // [defaults]: one for all volumes
  kDaemon,   // [daemon]
};

/// What reads the new value after a reload.
enum class Takes { kAtOnce, kAtOpen, kAtInit };

enum class Kind {
  kBytes,
  kSeconds,
  kChunkSize,
  kDurability,
  kJournalFull,
  kPatience,  // without limit, or error-after=SECONDS
  kCodec,
  kDedup,
  kLogLevel,
  kPath,  // absolute, or empty for none
  kYesNo,
  kFuseCache,
  kRates,  // "off", bytes a second, or a list of both by the time of the day
};

struct KeyInfo {
  Key key;
  const char* name;
  Kind kind;
  const char* preset;       // the default, as it would be written
  std::uint64_t least = 0;  // of kBytes and kSeconds
  std::uint64_t most = 0;
  Scope scope;
  Takes takes;
  const char* help;
};

/// A value that makes sense for its key.
struct Value {
  std::string text;          // as it would be written, in one form only: "64MiB", "60s", "zstd 1"
  std::uint64_t number = 0;  // bytes; seconds; level of the codec; seconds of enospc-after
  bool operator==(const Value&) const = default;
};

/// A step of a schedule: so many bytes a second (0: without limit) from this minute of the day on.
struct RateStep {
  int minute = 0;
  std::uint64_t bytes_per_second = 0;
  bool operator==(const RateStep&) const = default;
};
/// "off", "2MiB", "08:00 512KiB, 18:30 off": ascending by minute, each once; empty for "off";
/// nullopt for anything else.
[[nodiscard]] std::optional<std::vector<RateStep>> ParseRates(std::string_view text);

/// All, in the order of the enum.
[[nodiscard]] const std::vector<KeyInfo>& Keys();
[[nodiscard]] const KeyInfo& InfoOf(Key key);
/// Null for a name that no key has.
[[nodiscard]] const KeyInfo* FindKey(std::string_view name);
/// The key whose name looks most like `name`; null when none does.
[[nodiscard]] const KeyInfo* NearestKey(std::string_view name);

/// "a size from 64KiB to 512MiB, such as 64MiB": completes "expected …".
[[nodiscard]] std::string Expected(const KeyInfo& key);

/// kInvalidArgument: `key = "text": expected …`.
Result<Value> ParseValue(const KeyInfo& key, std::string_view text);
/// Of a whole number without a unit: bytes.
Result<Value> ParseNumber(const KeyInfo& key, std::int64_t number);

}  // namespace coffer::config
