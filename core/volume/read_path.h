// The way of a read below the dirty generations: pieces -> decoded frames -> sealed frames, from
// wherever SealedWindows has them. Stateless but for the caches it is given; thread-safe.
#pragma once

#include <optional>
#include <span>

#include "core/block/block_device.h"
#include "core/volume/live_map.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

enum class ReadFrom {
  kMemory,   // fail with kNotFound rather than wait for disk or network
  kMachine,  // … rather than ask the store; pages from memory only
  kAnywhere,
};

/// A run of bytes that one piece shows, or zeros.
struct Stretch {
  std::uint64_t offset;  // in the volume
  std::uint64_t length;
  std::optional<format::Piece> piece;
  std::uint64_t skip;  // where it begins in the piece's frame
};

/// What `parts`, each in one chunk, are made of, in their order.
Result<std::vector<Stretch>> Resolve(VaultResources& resources, const map::Tree& tree,
                                     std::span<const CleanPart> parts, ReadFrom from);

/// Fills `out`, which begins at byte `offset` of the volume, with the bytes of `parts`. Frames that
/// are missing are fetched together.
Status ReadClean(VaultResources& resources, const map::Tree& tree, std::span<const CleanPart> parts,
                 ReadFrom from, std::uint64_t offset, MutableByteView out);

/// What the map holds of the chunk of `part`, if its pages are in memory.
[[nodiscard]] std::optional<format::Pieces> PiecesInMemory(VaultResources& resources,
                                                           const map::Tree& tree,
                                                           const CleanPart& part);

/// Begins to fetch what ReadClean of `parts` would have to, as a guess.
Status ReadAheadOf(VaultResources& resources, const map::Tree& tree,
                   std::span<const CleanPart> parts);

}  // namespace coffer::volume
