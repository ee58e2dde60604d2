#include "core/vault/new_volume.h"

#include "core/base/log.h"
#include "core/format/limits.h"

namespace coffer::vault {
namespace {

constexpr std::size_t kNameShownMax = 80;

}  // namespace

Status CheckVolumeName(const std::string& name) {
  if (format::IsValidVolumeName(name)) return {};
  return Fail(
      ErrorCode::kInvalidArgument,
      Concat("volume name '", EscapeForTerminal(name.substr(0, kNameShownMax)), "' is not allowed"),
      "a name has 1 to 63 letters, digits, '.', '_' and '-', and begins with a letter or digit");
}

Status CheckVolumeSpec(const VolumeSpec& spec) {
  RETURN_IF_ERROR(CheckVolumeName(spec.name));
  if (!format::IsValidVolumeSize(spec.size)) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("volume ", spec.name, ": a size of ", spec.size, " bytes is not possible"),
                "a size is a multiple of 4096 bytes, not 0 and at most 16 TiB");
  }
  if (!format::IsValidChunkSize(spec.chunk_size)) {
    return Fail(
        ErrorCode::kInvalidArgument,
        Concat("volume ", spec.name, ": chunks of ", spec.chunk_size, " bytes are not possible"),
        "a chunk size is 16, 32, 64, 128 or 256 KiB");
  }
  return {};
}

format::Head FirstHead(Environment& env, const VaultId& vault, const VolumeId& volume,
                       const HostKeys& host, const VolumeSpec& spec) {
  format::Head head;
  head.vault = vault;
  head.volume = volume;
  head.seq = 1;
  head.epoch = 1;
  head.released = true;
  head.durability = spec.durability;
  head.host = host.id;
  head.host_name = env.host_name.substr(0, format::kHostNameBytesMax);
  head.created_unix = env.clock.WallNow();
  head.chunk_size = spec.chunk_size;
  head.map.size = spec.size;
  return head;
}

format::CatalogVolume CatalogEntry(Environment& env, const VolumeId& volume,
                                   const VolumeSpec& spec) {
  format::CatalogVolume entry;
  entry.id = volume;
  entry.name = spec.name;
  entry.created_unix = env.clock.WallNow();
  return entry;
}

}  // namespace coffer::vault
