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

[[nodiscard]] std::string HeadPrefix(const VolumeId& volume);  // "heads/<hex>/"
[[nodiscard]] std::string ChainName(std::string_view prefix, std::uint64_t seq);
/// The sequence in `name`; nullopt unless it is `prefix` followed by 16 hex digits.
[[nodiscard]] std::optional<std::uint64_t> ChainSequence(std::string_view prefix,
                                                         std::string_view name);
[[nodiscard]] std::string PackName(const PackId& pack);  // "packs/<2 hex>/<64 hex>"

}  // namespace coffer::format
