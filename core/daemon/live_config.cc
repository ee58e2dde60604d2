#include "core/daemon/live_config.h"

#include <algorithm>

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

}  // namespace

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
