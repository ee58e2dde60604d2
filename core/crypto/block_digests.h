// SHA-256 of each block of a message: the leaves of a content id. They do not depend on each other,
// so a processor with AVX-512 computes sixteen at once (IPSec_MB), three times as fast as one after
// the other with its SHA instructions. Inside this folder only; safe from any thread at once.
#pragma once

#include <array>
#include <span>

#include "core/base/bytes.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {

inline constexpr std::size_t kDigestBlockBytes = 4096;
using BlockDigest = std::array<std::byte, kMacBytes>;

/// out[i] = SHA-256 of bytes [i * 4096, i * 4096 + 4096) of `message`, of the rest for the last.
/// REQUIRES: out.size() == the number of such blocks.
void DigestBlocks(ByteView message, std::span<BlockDigest> out);
/// The same, one block after the other.
void DigestBlocksInTurn(ByteView message, std::span<BlockDigest> out);
/// Digests as many whole blocks from the beginning as pay off side by side, and says how many.
std::size_t DigestBlocksAtOnce(ByteView message, std::span<BlockDigest> out);

}  // namespace coffer::crypto
