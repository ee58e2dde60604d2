#include "core/daemon/live_config.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/control/http.h"
#include "core/control/names.h"

namespace coffer::daemon {
namespace {

using config::Key;

compress::CodecSetting CodecOf(const config::Value& value) {
  if (value.text == "stored") return {compress::CodecId::kStored, 0};
  if (value.text == "lz4") return {compress::CodecId::kLz4, 0};
  return {compress::CodecId::kZstd, static_cast<int>(value.number)};
}

format::Durability DurabilityOf(const config::Value& value) {
  return value.text == "cloud" ? format::Durability::kCloud : format::Durability::kLocal;
}

format::DedupScope DedupOf(const config::Value& value) {
  if (value.text == "off") return format::DedupScope::kOff;
  return value.text == "volume" ? format::DedupScope::kVolume : format::DedupScope::kVault;
}

/// The URL of a section with its options and what a command put behind its name.
std::string UrlText(const config::NamedStore& store, std::string_view prefix) {
  const std::size_t question = store.url.find('?');
  std::string text = store.url.substr(0, question);
  if (!prefix.empty()) {
    if (!text.ends_with('/') && !prefix.starts_with('/')) text.push_back('/');
    text.append(prefix);
  }
  std::string options = question == std::string::npos ? "" : store.url.substr(question + 1);
  for (const auto& [name, value] : store.options) {
    options.append(options.empty() ? "" : "&")
        .append(name)
        .append("=")
        .append(control::PercentEncode(value));
  }
  return options.empty() ? text : text + "?" + options;
}

}  // namespace

Result<store::StoreUrl> ParseKnownStore(const std::string& text) {
  if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "no store is named");
  const auto colon = text.find(':');
  const auto slash = text.find('/');
  if (slash != 0 && (colon == std::string::npos || slash < colon)) {
    return Fail(ErrorCode::kInvalidArgument,
                "store " + control::Quoted(text) + " is neither a URL nor an absolute path");
  }
  return store::ParseStoreUrl(text, "/");
}

Result<store::StoreUrl> LiveConfig::StoreOf(const std::string& text) const {
  const std::string name = text.substr(0, text.find(':'));
  std::optional<config::NamedStore> named;
  if (name.size() < text.size()) {
    MutexLock lock(mutex_);
    named = config_.StoreNamed(name);
  }
  if (!named) return ParseKnownStore(text);
  auto url = ParseKnownStore(UrlText(*named, text.substr(name.size() + 1)));
  if (!url.has_value()) {
    return Fail(url.error().Within(Concat("[stores.", name, "] of the config file")));
  }
  return url;
}

Result<config::Overrides> OverridesOf(const std::vector<control::SettingValue>& said) {
  std::vector<std::pair<std::string, std::string>> flags;
  for (const control::SettingValue& one : said) flags.emplace_back(one.key, one.value);
  return config::Overrides::Parse(flags);
}

std::vector<control::SettingInfo> SettingInfos(const config::Effective& config) {
  std::vector<control::SettingInfo> infos;
  for (const config::KeyInfo& key : config::Keys()) {
    const config::Setting& setting = config[key.key];
    infos.push_back({key.name, setting.value.text, setting.from});
  }
  return infos;
}

store::RateSchedule RatesOf(const std::string& text) {
  store::RateSchedule schedule;
  for (const config::RateStep& step :
       config::ParseRates(text).value_or(std::vector<config::RateStep>())) {
    schedule.push_back({step.minute, step.bytes_per_second == 0
                                         ? std::nullopt
                                         : std::optional(step.bytes_per_second)});
  }
  return schedule;
}

std::uint64_t RequestsPerDay(const volume::Settings& settings) {
  constexpr std::uint64_t kPerHead = 3;  // a pack, the head, a look whether it stands
  constexpr auto kDay = std::chrono::hours(24);
  const auto commits = static_cast<std::uint64_t>(
      kDay / std::max<Duration>(settings.sync_age, std::chrono::seconds(1)));
  return kPerHead * (commits + commits / settings.deltas_max);  // and a head for each fold
}

volume::Settings VolumeSettings(const config::Effective& config) {
  volume::Settings settings;
  settings.sync_age = config.seconds(Key::kSyncAge);
  settings.sync_bytes = config.number(Key::kSyncBytes);
  settings.journal_bytes_max = config.number(Key::kJournalBytesMax);
  if (config.text(Key::kJournalFull) != "wait") {
    settings.journal_full_wait = config.seconds(Key::kJournalFull);
  }
  if (config.text(Key::kFlushWait) != "wait") settings.flush_wait = config.seconds(Key::kFlushWait);
  if (config.text(Key::kStoreAway) != "wait")
    settings.store_away_wait = config.seconds(Key::kStoreAway);
  settings.codec = CodecOf(config[Key::kCodec].value);
  // What nobody has said does not change what a volume was made with.
  if (const config::Setting& durability = config[Key::kDurability]; !durability.is_default) {
    settings.durability = DurabilityOf(durability.value);
  }
  settings.dedup = DedupOf(config[Key::kDedup].value);
  settings.pack_bytes_max = config.number(Key::kPackBytesMax);
  settings.pack_bytes_target =
      std::min(config.number(Key::kPackBytesTarget), config.number(Key::kPackBytesMax));
  return settings;
}

std::string DurabilityName(format::Durability durability) {
  return durability == format::Durability::kCloud ? "cloud" : "local";
}

vault::VolumeSpec NewVolumeSpec(const config::Effective& config) {
  vault::VolumeSpec spec;
  spec.chunk_size = static_cast<std::uint32_t>(config.number(Key::kChunkSize));
  spec.durability = DurabilityOf(config[Key::kDurability].value);
  return spec;
}

}  // namespace coffer::daemon
