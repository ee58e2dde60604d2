// Names of objects in the store. A chain's revision is 16 hex digits of 2^64-1-sequence, so that
// the newest sorts first and LIST with limit 2 gives it and its parent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"

namespace coffer::format {

inline constexpr std::string_view kMarkerName = "vault";
inline constexpr std::string_view kKeysPrefix = "keys/";
inline constexpr std::string_view kCatalogPrefix = "catalog/";
inline constexpr std::string_view kHeadsPrefix = "heads/";
inline constexpr std::string_view kPacksPrefix = "packs/";

[[nodiscard]] std::string HeadPrefix(const VolumeId& volume);  // "heads/<hex>/"
[[nodiscard]] std::string ChainName(std::string_view prefix, std::uint64_t seq);
/// The sequence in `name`; nullopt unless it is `prefix` followed by 16 lower-case hex digits, and
/// for sequence 0, which no chain has.
[[nodiscard]] std::optional<std::uint64_t> ChainSequence(std::string_view prefix,
                                                         std::string_view name);
[[nodiscard]] std::string PackName(const PackId& pack);  // "packs/<2 hex>/<64 hex>"
/// The pack that PackName gives exactly this name.
[[nodiscard]] std::optional<PackId> PackIdFromName(std::string_view name);

}  // namespace coffer::format
