// Reads the sealed table of a pack that is in the store: which frames it holds, and where. Two or
// three requests. Thread-safe.
#pragma once

#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pack/pack_builder.h"
#include "core/store/object_store.h"
#include "core/vault/key_chest.h"

namespace coffer::pack {

/// kNotFound without the pack; kCorruption where it does not open, or is not what its table says.
Result<std::vector<PlacedFrame>> ReadPackTable(store::ObjectStore& store,
                                               const vault::KeyChest& keys, const PackId& pack);

}  // namespace coffer::pack
