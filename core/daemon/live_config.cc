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

}  // namespace

volume::Settings VolumeSettings(const config::Effective& config) {
  volume::Settings settings;
  settings.sync_age = config.seconds(Key::kSyncAge);
  settings.sync_bytes = config.number(Key::kSyncBytes);
  settings.journal_bytes_max = config.number(Key::kJournalBytesMax);
  if (config.text(Key::kJournalFull) != "wait") {
    settings.journal_full_wait = config.seconds(Key::kJournalFull);
  }
  settings.codec = CodecOf(config[Key::kCodec].value);
  settings.pack_bytes_target =
      std::min(config.number(Key::kPackBytesTarget), config.number(Key::kPackBytesMax));
  return settings;
}

vault::VolumeSpec NewVolumeSpec(const config::Effective& config) {
  vault::VolumeSpec spec;
  spec.chunk_size = static_cast<std::uint32_t>(config.number(Key::kChunkSize));
  spec.durability = DurabilityOf(config[Key::kDurability].value);
  return spec;
}

}  // namespace coffer::daemon
