#include "core/format/marker.h"

#include <algorithm>

#include "core/format/envelope.h"
#include "core/format/limits.h"

namespace coffer::format {
namespace {

constexpr std::string_view kMagic = "CofVault";
constexpr std::size_t kCoveredBytes = kEnvelopeBytes + 16 + 8;
constexpr std::size_t kMarkerBytes = kCoveredBytes + 4;

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
  Writer out(kMarkerBytes);
  WriteEnvelope(out, kMagic);
  out.Id(marker.vault);
  out.U64(marker.incompatible_features);
  out.U32(Crc32c(out.written()));
  return out.Take();
}

Result<Marker> DecodeMarker(ByteView bytes) {
  Reader in(bytes, kMarkerBytesMax, "vault marker");
  // Before the version: a flipped bit in that is damage and no newer format. So the checksum stands
  // at this place in every version.
  const bool begins = AsText(bytes.first(std::min(bytes.size(), kMagic.size()))) == kMagic;
  const bool whole =
      bytes.size() >= kMarkerBytes &&
      LoadLe<std::uint32_t>(bytes.data() + kCoveredBytes) == Crc32c(bytes.first(kCoveredBytes));
  in.Require(!begins || whole, "its checksum is wrong");
  ReadEnvelope(in, kMagic);
  Marker marker;
  marker.vault = in.Id<VaultId>();
  marker.incompatible_features = in.U64();
  (void)in.U32();  // the checksum
  in.Require(!marker.vault.IsNull(), "the vault id is missing");
  if ((marker.incompatible_features & ~kKnownIncompatibleFeatures) != 0)
    in.Newer("unknown feature");
  RETURN_IF_ERROR(in.End());
  return marker;
}

}  // namespace coffer::format
