// CommitBuilder: turns one generation into packs in the store and the delta that names them. Reads
// nothing from the store: what is dirty becomes pieces, whole chunks replace, parts of chunks lie
// on top.
//
// Consolidation: a chunk that would end up in many pieces is written whole instead, when the bytes
// that are not dirty are in memory or in the disk cache. A commit spends no more on that than its
// own data, or 1 MiB: it uploads at most twice of what was written.
//
// Frames are built in parallel, about 1 MiB of plaintext a task; packs are sealed, verified and
// uploaded while the next are being filled. Memory: a few runs of plaintext and the packs in
// flight, whatever the generation's size. Driven by one thread at a time.
#pragma once

#include <atomic>
#include <functional>
#include <span>

#include "core/cache/journal.h"
#include "core/compress/compressor.h"
#include "core/format/head.h"
#include "core/pack/dedup_index.h"
#include "core/pack/pack_uploader.h"
#include "core/volume/kept_work.h"
#include "core/volume/live_map.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

struct BuiltCommit {
  format::Delta delta;  // with every pack's id
  format::DeltaRef reference;
  std::uint64_t uploaded_bytes = 0;
  std::uint64_t data_frames = 0;
  std::uint64_t dedup_hits = 0;
  std::uint64_t consolidated_chunks = 0;
  /// Plaintexts of frames that are likely to be needed again: small pieces, of which the next may
  /// complete a chunk, and consolidated chunks. At most 16 MiB.
  struct Kept {
    cache::FrameKey key;
    std::shared_ptr<const Bytes> plain;
  };
  std::vector<Kept> kept;
};

class CommitBuilder {
 public:
  struct Context {
    VaultResources& resources;
    const vault::KeyChest::Epoch& keys;
    Executor& work;
    Random& random;
    const Settings& settings;
    std::uint32_t chunk_size;
    pack::DedupIndex* dedup;  // null: off
    KeptWork& kept;           // of attempts before
  };

  CommitBuilder(const Context& context, const LiveMap& live, cache::Journal& journal)
      : context_(context), live_(live), journal_(journal) {}

  /// Asked before each step of building. May wait; true: the next step shall be small and take one
  /// thread alone.
  using GiveWay = std::function<bool()>;

  /// `progress` gets the bytes of dirty data that are built, as they grow. `fragmented` are chunks,
  /// ascending, to consolidate though they may not be dirty, as far as at hand. On success
  /// everything that the delta refers to is in the store.
  Result<BuiltCommit> Build(const Generation& generation, std::span<const std::uint64_t> fragmented,
                            const std::function<void(std::uint64_t)>& progress,
                            const GiveWay& give_way);

 private:
  /// A chunk to build, or a range of whole chunks to clear.
  struct Item {
    std::uint64_t chunk;
    std::uint64_t clear_count;  // 0: build
  };
  struct Run {
    std::vector<Item> items;
    std::uint64_t data_bytes = 0;
  };
  /// One piece of a chunk on its way into a pack.
  struct BuiltPiece {
    format::Piece piece;          // complete if zero or already stored
    pack::CompressedFrame frame;  // empty if so
    bool is_new = false;
    std::shared_ptr<const Bytes> keep = nullptr;  // its plaintext, if the caches shall have it
  };
  struct BuiltChunk {
    format::DeltaEntry entry;  // pieces are filled in while packing
    std::vector<BuiltPiece> pieces;
  };
  struct BuiltRun {
    Status status;
    std::vector<BuiltChunk> chunks;
  };
  struct Pending;  // the packs being filled

  /// A byte range of the volume.
  struct Range {
    std::uint64_t offset, end;
  };

  [[nodiscard]] std::vector<Run> Plan(const Generation& generation,
                                      std::span<const std::uint64_t> fragmented) const;
  BuiltRun BuildRun(const Generation& generation, const Run& run);
  Result<BuiltChunk> BuildChunk(const Generation& generation, std::uint64_t chunk,
                                compress::Compressor& compressor);
  bool Consolidate(std::uint64_t chunk, std::span<const Range> dirty, std::uint64_t end,
                   MutableByteView plain);
  [[nodiscard]] std::optional<format::FrameRef> FindStored(const ContentId& content,
                                                           std::size_t plain_bytes) const;
  BuiltPiece MakePiece(ByteView plain, std::uint8_t first_block, compress::Compressor& compressor);

  const Context context_;
  const LiveMap& live_;
  cache::Journal& journal_;
  std::atomic<std::int64_t> consolidation_bytes_{0};  // that this commit may still spend
  std::atomic<std::uint64_t> consolidated_{0};
};

}  // namespace coffer::volume
