#include "core/config/keys.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <utility>

#include "core/base/log.h"
#include "core/control/names.h"

namespace coffer::config {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kTiB = kMiB * kMiB;
constexpr std::uint64_t kDay = 24 * 60 * 60;
constexpr std::uint64_t kChunkLeast = 16 * kKiB;
constexpr std::uint64_t kChunkMost = 256 * kKiB;
constexpr std::uint64_t kZstdLevelMost = 19;

/// "64MiB": the largest unit that the number is a multiple of.
std::string BytesText(std::uint64_t bytes) {
  static constexpr std::pair<std::uint64_t, const char*> kUnits[] = {
      {kTiB, "TiB"}, {1024 * kMiB, "GiB"}, {kMiB, "MiB"}, {kKiB, "KiB"}};
  for (const auto& [size, unit] : kUnits) {
    if (bytes != 0 && bytes % size == 0) return Concat(bytes / size, unit);
  }
  return std::to_string(bytes);
}

std::string SecondsText(std::uint64_t seconds) { return Concat(seconds, "s"); }

std::optional<std::uint64_t> Digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Value> Within(const KeyInfo& key, std::uint64_t number, std::string text) {
  if (number < key.least || number > key.most) return std::nullopt;
  return Value{std::move(text), number};
}

std::optional<Value> Bytes(const KeyInfo& key, std::uint64_t number) {
  const bool power_of_two = (number & (number - 1)) == 0;
  if (key.kind == Kind::kChunkSize && !power_of_two) return std::nullopt;
  return Within(key, number, BytesText(number));
}

std::optional<Value> OneOf(std::string_view text, std::initializer_list<const char*> all) {
  for (const char* one : all) {
    if (text == one) return Value{one, 0};
  }
  return std::nullopt;
}

/// "wait", or `kAfter` and a time.
std::optional<Value> WaitOr(std::string_view after, std::string_view text) {
  if (text.substr(0, after.size()) != after) return OneOf(text, {"wait"});
  const std::string_view rest = text.substr(after.size());
  auto seconds = Digits(rest);
  if (!seconds) seconds = ParseSeconds(rest);
  if (!seconds || *seconds > kDay) return std::nullopt;
  return Value{Concat(after, SecondsText(*seconds)), *seconds};
}

std::optional<Value> Codec(std::string_view text) {
  if (const auto plain = OneOf(text, {"stored", "lz4"})) return plain;
  constexpr std::string_view kZstd = "zstd";
  if (text == kZstd) return Value{"zstd 1", 1};
  if (text.substr(0, kZstd.size() + 1) != "zstd ") return std::nullopt;
  const auto level = Digits(text.substr(kZstd.size() + 1));
  if (!level || *level < 1 || *level > kZstdLevelMost) return std::nullopt;
  return Value{Concat("zstd ", *level), *level};
}

constexpr std::uint64_t kRateLeast = 1024;
constexpr std::size_t kRateStepsMost = 48;

/// "08:30"
std::optional<int> Minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = Digits(text.substr(0, 2));
  const auto minutes = Digits(text.substr(3));
  if (!hours || !minutes || *hours >= 24 || *minutes >= 60) return std::nullopt;
  return static_cast<int>(*hours * 60 + *minutes);
}

/// Bytes a second; 0 for "off".
std::optional<std::uint64_t> RateOf(std::string_view text) {
  if (text == "off") return 0;
  const auto bytes = control::ParseSize(text);
  if (!bytes.has_value() || *bytes < kRateLeast) return std::nullopt;
  return *bytes;
}

std::string_view Trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::string RateText(std::uint64_t rate) { return rate == 0 ? "off" : BytesText(rate); }

std::string RatesText(const std::vector<RateStep>& steps) {
  if (steps.empty()) return "off";
  if (steps.size() == 1 && steps[0].minute == 0) return RateText(steps[0].bytes_per_second);
  std::string text;
  for (const RateStep& step : steps) {
    const auto two = [](int number) { return Concat(number < 10 ? "0" : "", number); };
    text.append(text.empty() ? "" : ", ")
        .append(Concat(two(step.minute / 60), ":", two(step.minute % 60), " ",
                       RateText(step.bytes_per_second)));
  }
  return text;
}

std::optional<Value> Path(std::string_view text) {
  constexpr std::size_t kPathBytesMax = 4095;
  const bool bad = text.size() > kPathBytesMax || (!text.empty() && text.front() != '/') ||
                   text.find_first_of(std::string_view("\0\n", 2)) != std::string_view::npos;
  if (bad) return std::nullopt;
  return Value{std::string(text), 0};
}

std::optional<Value> Parse(const KeyInfo& key, std::string_view text) {
  switch (key.kind) {
    case Kind::kBytes:
    case Kind::kChunkSize: {
      const auto bytes = control::ParseSize(text);
      return bytes.has_value() ? Bytes(key, *bytes) : std::nullopt;
    }
    case Kind::kSeconds: {
      const auto seconds = ParseSeconds(text);
      return seconds ? Within(key, *seconds, SecondsText(*seconds)) : std::nullopt;
    }
    case Kind::kDurability:
      return OneOf(text, {"local", "cloud"});
    case Kind::kJournalFull:
      return WaitOr("enospc-after=", text);
    case Kind::kPatience:
      return WaitOr("error-after=", text);
    case Kind::kCodec:
      return Codec(text);
    case Kind::kDedup:
      return OneOf(text, {"off", "volume", "vault"});
    case Kind::kLogLevel:
      return OneOf(text, {"debug", "info", "warning", "error"});
    case Kind::kPath:
      return Path(text);
    case Kind::kYesNo:
      return OneOf(text, {"yes", "no"});
    case Kind::kFuseCache:
      return OneOf(text, {"auto", "writeback", "direct"});
    case Kind::kRates: {
      const auto rates = ParseRates(text);
      return rates ? std::optional(Value{RatesText(*rates), 0}) : std::nullopt;
    }
  }
  return std::nullopt;
}

Error Refusal(const KeyInfo& key, const std::string& shown) {
  return {ErrorCode::kInvalidArgument, Concat(key.name, " = ", shown, ": expected ", Expected(key)),
          ""};
}

/// Letters to insert, drop or change between the two.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::uint64_t> ParseSeconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::pair<char, std::uint64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3600}, {'d', kDay}};
  const auto number = Digits(text.substr(0, text.size() - 1));
  for (const auto& [unit, factor] : kUnits) {
    if (text.back() == unit && number && *number <= ~std::uint64_t{0} / factor) {
      return *number * factor;
    }
  }
  return std::nullopt;
}

std::optional<std::vector<RateStep>> ParseRates(std::string_view text) {
  std::vector<RateStep> steps;
  if (text.find(':') == std::string_view::npos) {
    const auto rate = RateOf(Trimmed(text));
    if (!rate) return std::nullopt;
    if (*rate != 0) steps.push_back({0, *rate});
    return steps;
  }
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view step = Trimmed(text.substr(0, comma));
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
    const auto minute = Minute(step.substr(0, step.find(' ')));
    const auto rate =
        step.find(' ') == std::string_view::npos ? std::nullopt : RateOf(Trimmed(step.substr(5)));
    const bool ascends = minute && (steps.empty() || *minute > steps.back().minute);
    if (!rate || !ascends || steps.size() == kRateStepsMost) return std::nullopt;
    steps.push_back({*minute, *rate});
  }
  return steps;
}

const std::vector<KeyInfo>& Keys() {
  static const std::vector<KeyInfo> keys = {
      {Key::kSyncAge, "sync_age", Kind::kSeconds, "60s", 1, 30 * kDay, Scope::kVolume,
       Takes::kAtOnce, "Upload what is this old"},
      {Key::kSyncBytes, "sync_bytes", Kind::kBytes, "64MiB", 64 * kKiB, 512 * kMiB, Scope::kVolume,
       Takes::kAtOnce, "Upload when this much is new"},
      {Key::kDurability, "durability", Kind::kDurability, "local", 0, 0, Scope::kVolume,
       Takes::kAtOnce, "What a FLUSH waits for: the journal here, or the store"},
      {Key::kJournalBytesMax, "journal_bytes_max", Kind::kBytes, "4GiB", 16 * kMiB, 16 * kTiB,
       Scope::kVolume, Takes::kAtOnce, "Then writers wait; at most a fifth of the free disk"},
      {Key::kJournalFull, "journal_full", Kind::kJournalFull, "wait", 0, 0, Scope::kVolume,
       Takes::kAtOnce, "What writers do when the journal is full"},
      {Key::kFlushWait, "flush_wait", Kind::kPatience, "wait", 0, 0, Scope::kVolume, Takes::kAtOnce,
       "How long a FLUSH waits for the store, with durability cloud"},
      {Key::kStoreAway, "store_away", Kind::kPatience, "wait", 0, 0, Scope::kVolume, Takes::kAtOnce,
       "What readers do when the store is away"},
      {Key::kCodec, "codec", Kind::kCodec, "zstd 1", 0, 0, Scope::kVolume, Takes::kAtOnce,
       "How new data is compressed"},
      {Key::kDedup, "dedup", Kind::kDedup, "vault", 0, 0, Scope::kVolume, Takes::kAtOpen,
       "Where data that is stored already is looked for before it is uploaded"},
      {Key::kPackBytesTarget, "pack_bytes_target", Kind::kBytes, "8MiB", 64 * kKiB, 16 * kMiB,
       Scope::kVolume, Takes::kAtOnce, "How large packs become"},
      {Key::kPackBytesMax, "pack_bytes_max", Kind::kBytes, "16MiB", 64 * kKiB, 16 * kMiB,
       Scope::kVolume, Takes::kAtOnce, "How large a pack may become, pages and all"},
      {Key::kTlsX509, "tls_x509", Kind::kPath, "", 0, 0, Scope::kVolume, Takes::kAtOpen,
       "NBD listeners of its own speak TLS, with the certificates of this directory"},
      {Key::kTlsPsk, "tls_psk", Kind::kPath, "", 0, 0, Scope::kVolume, Takes::kAtOpen,
       "NBD listeners of its own speak TLS, with the pre-shared keys of this file"},
      {Key::kTlsVerifyPeer, "tls_verify_peer", Kind::kYesNo, "yes", 0, 0, Scope::kVolume,
       Takes::kAtOpen, "Clients need a certificate of the same authority"},
      {Key::kFuseCache, "fuse_cache", Kind::kFuseCache, "auto", 0, 0, Scope::kVolume,
       Takes::kAtOpen, "What the kernel keeps of a volume served through FUSE"},
      {Key::kChunkSize, "chunk_size", Kind::kChunkSize, "64KiB", kChunkLeast, kChunkMost,
       Scope::kVolume, Takes::kAtInit, "Unit of compression and dedup of a new volume"},
      {Key::kDiskCacheBytesMax, "disk_cache_bytes_max", Kind::kBytes, "10GiB", 0, 16 * kTiB,
       Scope::kMachine, Takes::kAtOnce,
       "Of frames on disk, for all volumes; at most a tenth of the free disk"},
      {Key::kMemoryCacheBytesMax, "memory_cache_bytes_max", Kind::kBytes, "256MiB", 0, 16 * kTiB,
       Scope::kMachine, Takes::kAtOnce, "Of frames in memory, for all volumes"},
      {Key::kUploadLimit, "upload_limit", Kind::kRates, "off", 0, 0, Scope::kMachine,
       Takes::kAtOnce, "Bytes a second that all uploads together may take, by the time of the day"},
      {Key::kDownloadLimit, "download_limit", Kind::kRates, "off", 0, 0, Scope::kMachine,
       Takes::kAtOnce, "The same of what is fetched from stores"},
      {Key::kLogLevel, "log_level", Kind::kLogLevel, "info", 0, 0, Scope::kDaemon, Takes::kAtOnce,
       "debug, info, warning or error"},
  };
  return keys;
}

const KeyInfo& InfoOf(Key key) { return Keys()[static_cast<std::size_t>(key)]; }

const KeyInfo* FindKey(std::string_view name) {
  const auto found = std::find_if(Keys().begin(), Keys().end(),
                                  [name](const KeyInfo& key) { return key.name == name; });
  return found == Keys().end() ? nullptr : &*found;
}

const KeyInfo* NearestKey(std::string_view name) {
  constexpr std::size_t kNearEnough = 4;
  constexpr std::size_t kLongest = 64;
  if (name.size() > kLongest) return nullptr;
  const auto nearest =
      std::min_element(Keys().begin(), Keys().end(), [name](const KeyInfo& a, const KeyInfo& b) {
        return Distance(name, a.name) < Distance(name, b.name);
      });
  return Distance(name, nearest->name) < kNearEnough ? &*nearest : nullptr;
}

std::string Expected(const KeyInfo& key) {
  switch (key.kind) {
    case Kind::kBytes:
      return Concat("a size from ", BytesText(key.least), " to ", BytesText(key.most),
                    ", such as \"", key.preset, "\"");
    case Kind::kSeconds:
      return Concat("a time from ", SecondsText(key.least), " to ", key.most / kDay,
                    "d, such as \"", key.preset, "\"");
    case Kind::kChunkSize:
      return "\"16KiB\", \"32KiB\", \"64KiB\", \"128KiB\" or \"256KiB\"";
    case Kind::kDurability:
      return "\"local\" or \"cloud\"";
    case Kind::kJournalFull:
      return "\"wait\", or \"enospc-after=SECONDS\" of at most a day";
    case Kind::kPatience:
      return "\"wait\", or \"error-after=SECONDS\" of at most a day";
    case Kind::kCodec:
      return "\"stored\", \"lz4\", or \"zstd 1\" to \"zstd 19\"";
    case Kind::kDedup:
      return "\"off\", \"volume\" or \"vault\"";
    case Kind::kLogLevel:
      return "\"debug\", \"info\", \"warning\" or \"error\"";
    case Kind::kPath:
      return "an absolute path, or \"\" for none";
    case Kind::kYesNo:
      return "\"yes\" or \"no\"";
    case Kind::kFuseCache:
      return "\"auto\", \"writeback\" or \"direct\"";
    case Kind::kRates:
      return "\"off\", bytes a second such as \"2MiB\" (1KiB at least), or such by the time of the "
             "day: \"08:00 512KiB, 18:30 off\"";
  }
  return "another value";
}

Result<Value> ParseValue(const KeyInfo& key, std::string_view text) {
  auto value = Parse(key, text);
  if (!value) return Fail(Refusal(key, control::Quoted(text)));
  return *std::move(value);
}

Result<Value> ParseNumber(const KeyInfo& key, std::int64_t number) {
  const bool bytes = key.kind == Kind::kBytes || key.kind == Kind::kChunkSize;
  std::optional<Value> value;
  if (bytes && number >= 0) value = Bytes(key, static_cast<std::uint64_t>(number));
  if (!value) return Fail(Refusal(key, std::to_string(number)));
  return *std::move(value);
}

}  // namespace coffer::config
