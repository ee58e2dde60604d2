// Seals and opens heads, and knows which heads are mere barriers.
#pragma once

#include "core/base/random.h"
#include "core/base/result.h"
#include "core/format/head.h"
#include "core/format/trust.h"
#include "core/vault/key_chest.h"

namespace coffer::vault {

/// The stored bytes of `head`, under the current key epoch and a fresh salt.
[[nodiscard]] Bytes SealHead(const KeyChest& keys, const format::Head& head, Random& random);

/// The head inside `stored`, which must be head `seq` of `volume`. kCorruption, kUnsupported.
[[nodiscard]] Result<format::Head> OpenHead(const KeyChest& keys, const VolumeId& volume,
                                            std::uint64_t seq, ByteView stored);

/// Whether `head` is a barrier over `below`: the next in its chain, and the same state of the
/// volume in everything but what GC puts there (its name, the time, gc_seen and the minima).
[[nodiscard]] bool IsBarrierOver(const format::Head& head, const format::Head& below,
                                 const format::ChainPoint& below_point);

}  // namespace coffer::vault
