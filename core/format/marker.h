// The object "vault": says that a vault is here, which one, and of which format. Not secret and not
// authenticated: everything that matters is bound to the vault id again under keys.
//   magic "CofVault" | version u16 | suite u16 | vault id 16 | incompatible features u64
//   | CRC-32C of all before u32                                                    40 bytes
// The checksum tells a damaged marker from a foreign file, and from one of a newer version, in
// which these 40 bytes are laid out alike; it promises nothing against people, so it needs no
// cryptography (core/format has none).
#pragma once

#include "core/base/ids.h"
#include "core/base/result.h"

namespace coffer::format {

struct Marker {
  VaultId vault;
  std::uint64_t incompatible_features = 0;
  bool operator==(const Marker&) const = default;
};

[[nodiscard]] Bytes Encode(const Marker& marker);
/// kCorruption; kUnsupported for a newer format or suite or an unknown feature bit.
[[nodiscard]] Result<Marker> DecodeMarker(ByteView bytes);

}  // namespace coffer::format
