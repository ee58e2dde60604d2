// Names and sizes as people type them (interfaces.md, "Names and stores"): one place decides, for
// the client, which says no early, and the daemon, which must not trust it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace coffer::control {

inline constexpr std::size_t kNameLengthMax = 63;
inline constexpr std::uint64_t kVolumeBytesMax = std::uint64_t{16} << 40;
inline constexpr std::uint64_t kVolumeBytesUnit = 4096;

/// [A-Za-z0-9][A-Za-z0-9._-]{0,62}, for volumes and vault aliases. `thing` begins the message:
/// "volume name".
Status CheckName(std::string_view name, std::string_view thing);

/// VOLUME, VAULT/VOLUME, either with @SNAPSHOT.
struct VolumeReference {
  std::string vault;  // empty: not said
  std::string volume;
  std::string snapshot;
};
/// kInvalidArgument for a malformed part.
Result<VolumeReference> ParseVolumeReference(std::string_view text);

/// A number of bytes, or of K, M, G, T, P, small or capital, with optional "B" or "iB": powers of
/// 1024, as qemu-img has it. A fraction ("1.5G") is rounded down to whole bytes.
Result<std::uint64_t> ParseSize(std::string_view text);
/// > 0, a multiple of 4096, at most 16 TiB.
Status CheckVolumeSize(std::uint64_t size_bytes);

/// "1.5 GiB"; exact below 1 KiB.
[[nodiscard]] std::string FormatBytes(std::uint64_t bytes);

/// `text` in quotes for a message: cut to 80 bytes, what could harm a terminal escaped, since it
/// comes from anywhere and goes there.
[[nodiscard]] std::string Quoted(std::string_view text);

}  // namespace coffer::control
