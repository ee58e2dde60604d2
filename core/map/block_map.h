// BlockMap: reading and folding the tree of pages (docs/FORMAT.md, "Block map"). A tree is
// immutable: a fold makes a new one that shares the untouched pages, so lookups in the old go on
// beside it.
#pragma once

#include <functional>
#include <memory>

#include "core/compress/codec.h"
#include "core/format/head.h"
#include "core/map/overlay.h"
#include "core/map/page_cache.h"
#include "core/map/residual.h"
#include "core/pack/pack_uploader.h"

namespace coffer::map {

/// The tree part of a MapRoot.
struct Tree {
  std::uint32_t chunk_size = 0;
  std::uint8_t level = 0;
  std::optional<format::PageRef> root;
  /// Set where a delta between the tree and the overlay cannot be read: it may have changed any
  /// chunk, so for all that the overlay does not hide this error is the answer, not the tree's.
  std::shared_ptr<const Error> lost = nullptr;
};

/// Level of a root page that reaches every chunk of a volume of `size` bytes.
[[nodiscard]] std::uint8_t RootLevel(std::uint64_t size, std::uint32_t chunk_size);

/// What the tree holds of `chunk`; empty = hole. Fetches at most one page per level. Thread-safe.
Result<format::Pieces> Lookup(PageCache& pages, const Tree& tree, std::uint64_t chunk);
/// As Lookup from memory only; nullopt when a page is missing there.
[[nodiscard]] std::optional<format::Pieces> LookupCached(PageCache& pages, const Tree& tree,
                                                         std::uint64_t chunk);

/// The first chunk at or after `chunk` that may hold anything (a subtree that is absent is skipped
/// whole), or `end`.
Result<std::uint64_t> NextMapped(PageCache& pages, const Tree& tree, std::uint64_t chunk,
                                 std::uint64_t end);

struct FoldOptions {
  VaultId vault;
  const vault::KeyChest::Epoch& keys;
  compress::CodecSetting codec;
  std::size_t pack_bytes_target;
  pack::UploadWindow& window;
  /// Is told of the packs; null: nobody.
  pack::UploadListener* uploads = nullptr;
  /// Where a leaf is that an earlier fold has put into the store; null: nowhere.
  std::function<std::optional<format::FrameRef>(const PageId&)> find_leaf = nullptr;
  /// Of the changed chunks of more pieces, so many with the most are reported.
  std::size_t pieces_max = format::kPiecesPerChunkMax;
  std::size_t fragmented_max = 0;
};

struct FoldResult {
  Tree tree;
  /// What stays on top of it: changes beneath pages that cannot be read. Usually nothing.
  std::vector<ResidualDelta> residual;
  std::vector<LostChunks> lost;  // what those pages map
  std::uint64_t pages = 0;       // written
  std::uint64_t uploaded_bytes = 0;
  std::vector<std::uint64_t> fragmented;  // changed chunks of the most pieces, ascending
};

/// Writes the tree that shows `overlay` over `tree`, for a volume of `size` bytes; all its pages
/// are in the store on return, and the first of them in `pages`. Reads the pages it changes,
/// nothing else, and none of which nothing shows through the overlay. One that is lost or damaged
/// stays as it is, the changes beneath it in a residual: damage stops nothing beside it. A store
/// that is away fails the whole. Memory: one page per level, 8 MiB of pages and the packs in
/// flight; the residual.
Result<FoldResult> Fold(PageCache& pages, const Tree& tree, const Overlay& overlay,
                        std::uint64_t size, const FoldOptions& options, store::ObjectStore& store,
                        Executor& work, Executor& uploads, Random& random);

}  // namespace coffer::map
