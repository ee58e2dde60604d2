// The way of a read below the dirty generations: pieces -> decoded frames -> the store. Stateless
// but for the caches it is given; thread-safe.
#pragma once

#include "core/block/block_device.h"
#include "core/volume/live_map.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

enum class ReadFrom {
  kMemory,  // fail with kNotFound rather than wait for disk or network
  kAnywhere,
};

/// Fills `out` with the bytes of `part`, which lies in one chunk.
Status ReadClean(VaultResources& resources, const map::Tree& tree, const CleanPart& part,
                 ReadFrom from, MutableByteView out);

/// Appends the extents of `part`, each with its offset.
Status CleanExtents(VaultResources& resources, const map::Tree& tree, const CleanPart& part,
                    std::vector<std::pair<std::uint64_t, block::Extent>>* extents);

}  // namespace coffer::volume
