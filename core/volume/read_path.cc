#include "core/volume/read_path.h"

#include <algorithm>

#include "core/format/limits.h"
#include "core/map/pieces.h"

namespace coffer::volume {
namespace {

using format::kBlockBytes;

Result<format::Pieces> PiecesOf(VaultResources& resources, const map::Tree& tree,
                                const CleanPart& part, ReadFrom from) {
  format::Pieces pieces;
  if (!part.change.has_value() || !part.change->replaces) {
    if (from == ReadFrom::kMemory) {
      auto cached = map::LookupCached(resources.pages(), tree, part.chunk);
      if (!cached.has_value()) return Fail(ErrorCode::kNotFound, {});
      pieces = std::move(*cached);
    } else {
      ASSIGN_OR_RETURN(pieces, map::Lookup(resources.pages(), tree, part.chunk));
    }
  }
  if (part.change.has_value())
    pieces.insert(pieces.end(), part.change->pieces.begin(), part.change->pieces.end());
  return pieces;
}

Result<std::shared_ptr<const Bytes>> FrameOf(VaultResources& resources, const format::Piece& piece,
                                             ReadFrom from) {
  const cache::FrameKey key{piece.frame.pack, piece.frame.frame};
  if (auto cached = resources.frames().Find(key);
      cached != nullptr && cached->size() == piece.frame.plain_length)
    return cached;
  if (from == ReadFrom::kMemory) return Fail(ErrorCode::kNotFound, {});
  ASSIGN_OR_RETURN(Bytes plain, resources.reader().ReadData(piece.frame, piece.content));
  auto shared = std::make_shared<const Bytes>(std::move(plain));
  resources.frames().Insert(key, shared);
  return shared;
}

/// A run of bytes of one chunk that shows one piece, or zeros.
struct ByteRun {
  std::uint64_t begin, end;  // in the chunk
  const format::Piece* piece;
};

std::vector<ByteRun> RunsOf(const format::Pieces& pieces, std::uint64_t begin, std::uint64_t end) {
  const auto first_block = static_cast<std::uint8_t>(begin / kBlockBytes);
  const auto block_count =
      static_cast<std::uint8_t>((end + kBlockBytes - 1) / kBlockBytes - first_block);
  std::vector<ByteRun> runs;
  for (const map::VisibleRun& run : map::Resolve(pieces, first_block, block_count)) {
    const std::uint64_t run_begin = std::uint64_t{run.first_block} * kBlockBytes;
    const std::uint64_t run_end = run_begin + std::uint64_t{run.block_count} * kBlockBytes;
    runs.push_back({std::max(begin, run_begin), std::min(end, run_end), run.piece});
  }
  return runs;
}

}  // namespace

Status ReadClean(VaultResources& resources, const map::Tree& tree, const CleanPart& part,
                 ReadFrom from, MutableByteView out) {
  ASSIGN_OR_RETURN(const format::Pieces pieces, PiecesOf(resources, tree, part, from));
  const std::uint64_t begin = part.offset - part.chunk * tree.chunk_size;
  for (const ByteRun& run : RunsOf(pieces, begin, begin + part.length)) {
    const MutableByteView place = out.subspan(run.begin - begin, run.end - run.begin);
    if (run.piece == nullptr) {
      std::fill(place.begin(), place.end(), std::byte{0});
      continue;
    }
    ASSIGN_OR_RETURN(const auto frame, FrameOf(resources, *run.piece, from));
    const std::uint64_t skip = run.begin - std::uint64_t{run.piece->first_block} * kBlockBytes;
    std::memcpy(place.data(), frame->data() + skip, place.size());
  }
  return {};
}

Status CleanExtents(VaultResources& resources, const map::Tree& tree, const CleanPart& part,
                    std::vector<std::pair<std::uint64_t, block::Extent>>* extents) {
  ASSIGN_OR_RETURN(const format::Pieces pieces,
                   PiecesOf(resources, tree, part, ReadFrom::kAnywhere));
  const std::uint64_t start = part.chunk * tree.chunk_size;
  const std::uint64_t begin = part.offset - start;
  for (const ByteRun& run : RunsOf(pieces, begin, begin + part.length)) {
    const bool hole = run.piece == nullptr;
    extents->push_back({start + run.begin, {run.end - run.begin, hole, hole}});
  }
  return {};
}

}  // namespace coffer::volume
