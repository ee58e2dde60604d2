#include "core/format/trust.h"

#include "core/format/fields.h"

namespace coffer::format {
namespace {

constexpr std::size_t kHostKeyBytes = 32;
constexpr std::size_t kPointBytes = 8 + 32;
constexpr std::size_t kVolumeBytes = 16 + 2 * kPointBytes + 8;

TrustedVolume ReadVolume(Reader& in) {
  TrustedVolume volume;
  volume.volume = in.Id<VolumeId>();
  volume.seen = ReadChainPoint(in);
  volume.own = ReadChainPoint(in);
  volume.epoch = in.U64();
  return volume;
}

bool NamesAVolumeTwice(const std::vector<TrustedVolume>& volumes) {
  std::vector<VolumeId> ids;
  ids.reserve(volumes.size());
  for (const TrustedVolume& volume : volumes) ids.push_back(volume.volume);
  return HasDuplicates(std::move(ids));
}

}  // namespace

Bytes Encode(const Trust& trust) {
  CHECK(trust.volumes.size() <= kVolumesMax);
  Writer out(256 + trust.volumes.size() * kVolumeBytes);
  out.Id(trust.vault);
  out.Id(trust.host);
  out.U64(trust.revision);
  WriteChainPoint(out, trust.key_header);
  WriteChainPoint(out, trust.catalog);
  out.Varint(trust.volumes.size());
  for (const TrustedVolume& volume : trust.volumes) {
    out.Id(volume.volume);
    WriteChainPoint(out, volume.seen);
    WriteChainPoint(out, volume.own);
    out.U64(volume.epoch);
  }
  WriteExtensions(out, trust.extensions);
  return out.Take();
}

Result<Trust> DecodeTrust(ByteView bytes) {
  Reader in(bytes, kTrustBytesMax, "trust file");
  Trust trust;
  trust.vault = in.Id<VaultId>();
  trust.host = in.Id<HostId>();
  trust.revision = in.U64();
  trust.key_header = ReadChainPoint(in);
  trust.catalog = ReadChainPoint(in);
  trust.volumes.resize(in.Count(kVolumesMax, kVolumeBytes));
  for (TrustedVolume& volume : trust.volumes) volume = ReadVolume(in);
  in.Require(!NamesAVolumeTwice(trust.volumes), "a volume is named twice");
  trust.extensions = ReadExtensions(in);
  RETURN_IF_ERROR(in.End());
  return trust;
}

SecretBytes Encode(const HostKeyRecord& record) {
  CHECK(record.key.size() == kHostKeyBytes);
  SecretBytes encoded(16 + 16 + kHostKeyBytes);
  Writer out(encoded.mutable_view());
  out.Id(record.vault);
  out.Id(record.host);
  out.Raw(record.key.view());
  CHECK(out.size() == encoded.size());
  return encoded;
}

Result<HostKeyRecord> DecodeHostKeyRecord(ByteView bytes) {
  Reader in(bytes, "host key");
  HostKeyRecord record;
  record.vault = in.Id<VaultId>();
  record.host = in.Id<HostId>();
  record.key = SecretBytes::CopyOf(in.Take(kHostKeyBytes));
  RETURN_IF_ERROR(in.End());
  return record;
}

}  // namespace coffer::format
