#include "core/format/marker.h"

#include "core/format/envelope.h"
#include "core/format/limits.h"

namespace coffer::format {
namespace {

constexpr std::string_view kMagic = "CofVault";

/// CRC-32C (Castagnoli), reflected, as in RFC 3720 appendix B.4. Bit by bit: it covers 36 bytes.
std::uint32_t Crc32c(ByteView bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

}  // namespace

Bytes Encode(const Marker& marker) {
  Writer out(kEnvelopeBytes + 16 + 8 + 4);
  WriteEnvelope(out, kMagic);
  out.Id(marker.vault);
  out.U64(marker.incompatible_features);
  out.U32(Crc32c(out.written()));
  return out.Take();
}

Result<Marker> DecodeMarker(ByteView bytes) {
  Reader in(bytes, kMarkerBytesMax, "vault marker");
  ReadEnvelope(in, kMagic);
  Marker marker;
  marker.vault = in.Id<VaultId>();
  marker.incompatible_features = in.U64();
  const std::size_t covered = bytes.size() - in.remaining();
  const std::uint32_t crc = in.U32();
  in.Require(in.ok() && crc == Crc32c(bytes.first(covered)), "its checksum is wrong");
  in.Require(!marker.vault.IsNull(), "the vault id is missing");
  if ((marker.incompatible_features & ~kKnownIncompatibleFeatures) != 0)
    in.Newer("unknown feature");
  RETURN_IF_ERROR(in.End());
  return marker;
}

}  // namespace coffer::format
