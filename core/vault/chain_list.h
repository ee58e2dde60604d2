// Which members of a chain LIST shows, among whatever else lies there. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/store/object_store.h"

namespace coffer::vault {

/// The sequences of the first `count` members of a chain that LIST shows behind the name `after`,
/// newest first if LIST keeps its order. Names that no member has are nobody's and are passed over,
/// however many come before: files of other programs, copies that a synchronizer makes of a
/// conflict. kCorruption where there are more than a million of those.
Result<std::vector<std::uint64_t>> ListChain(store::ObjectStore& store, const std::string& prefix,
                                             std::size_t count, std::string after = {});

}  // namespace coffer::vault
