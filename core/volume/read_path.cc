#include "core/volume/read_path.h"

#include <algorithm>

#include "core/base/planted.h"
#include "core/format/limits.h"
#include "core/map/pieces.h"

namespace coffer::volume {
namespace {

using format::kBlockBytes;

/// A large read asks for its frames in groups of so many stretches, one group ahead of the one
/// being opened: about 4 MiB.
constexpr std::size_t kGroupStretches = 64;

struct Blocks {
  std::uint8_t first;  // in the chunk
  std::uint8_t count;
};

Blocks BlocksOf(const map::Tree& tree, const CleanPart& part) {
  const std::uint64_t begin = part.offset - part.chunk * tree.chunk_size;
  const std::uint64_t end = begin + part.length;
  const auto first = static_cast<std::uint8_t>(begin / kBlockBytes);
  return {first, static_cast<std::uint8_t>((end + kBlockBytes - 1) / kBlockBytes - first)};
}

/// Whether `part` shows what has changed alone, so that the tree need not be asked: a page that is
/// lost is no loss then.
bool HidesTree(const map::Tree& tree, const CleanPart& part) {
  if (!part.change.has_value()) return false;
  const Blocks blocks = BlocksOf(tree, part);
  return part.change->replaces || map::Covers(part.change->pieces, blocks.first, blocks.count);
}

/// Of the blocks of `part`; for the rest of its chunk they need not be right.
Result<format::Pieces> PiecesOf(VaultResources& resources, const map::Tree& tree,
                                const CleanPart& part, ReadFrom from) {
  format::Pieces pieces;
  if (!HidesTree(tree, part)) {
    if (from != ReadFrom::kAnywhere) {
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

cache::FrameKey KeyOf(const format::Piece& piece) { return {piece.frame.pack, piece.frame.frame}; }

Result<std::shared_ptr<const Bytes>> FrameOf(VaultResources& resources, const format::Piece& piece,
                                             ReadFrom from) {
  const cache::FrameKey key = KeyOf(piece);
  if (auto cached = resources.frames().Find(key);
      cached != nullptr && cached->size() == piece.frame.plain_length)
    return cached;
  if (from == ReadFrom::kMemory ||
      (from == ReadFrom::kMachine && !resources.windows().Has(piece.frame)))
    return Fail(ErrorCode::kNotFound, {});
  Result<Bytes> plain = resources.reader().ReadData(piece.frame, piece.content);
  if (!plain.has_value() && Planted("read-error-into-zeros"))
    plain = Bytes(piece.frame.plain_length);
  if (!plain.has_value()) return Fail(std::move(plain).error());
  auto shared = std::make_shared<const Bytes>(*std::move(plain));
  resources.frames().Insert(key, shared);
  return shared;
}

Status AppendStretches(VaultResources& resources, const map::Tree& tree, const CleanPart& part,
                       ReadFrom from, std::vector<Stretch>* stretches) {
  ASSIGN_OR_RETURN(const format::Pieces pieces, PiecesOf(resources, tree, part, from));
  const std::uint64_t start = part.chunk * tree.chunk_size;
  const std::uint64_t begin = part.offset - start;
  const std::uint64_t end = begin + part.length;
  const Blocks blocks = BlocksOf(tree, part);
  for (const map::VisibleRun& run : map::Resolve(pieces, blocks.first, blocks.count)) {
    const std::uint64_t run_begin = std::max(begin, std::uint64_t{run.first_block} * kBlockBytes);
    const std::uint64_t run_end =
        std::min(end, (std::uint64_t{run.first_block} + run.block_count) * kBlockBytes);
    Stretch stretch{start + run_begin, run_end - run_begin, std::nullopt, 0};
    if (run.piece != nullptr) {
      stretch.piece = *run.piece;
      stretch.skip = run_begin - std::uint64_t{run.piece->first_block} * kBlockBytes;
    }
    stretches->push_back(std::move(stretch));
  }
  return {};
}

/// The frames of `stretches` that are not in memory, each once.
std::vector<format::FrameRef> MissingFrames(VaultResources& resources,
                                            std::span<const Stretch> stretches) {
  std::vector<format::FrameRef> frames;
  for (const Stretch& stretch : stretches) {
    if (!stretch.piece.has_value() || resources.frames().Contains(KeyOf(*stretch.piece))) continue;
    if (frames.empty() || frames.back() != stretch.piece->frame)
      frames.push_back(stretch.piece->frame);
  }
  return frames;
}

Status Fill(VaultResources& resources, const Stretch& stretch, ReadFrom from, MutableByteView out) {
  if (!stretch.piece.has_value()) {
    std::fill(out.begin(), out.end(), std::byte{0});
    return {};
  }
  ASSIGN_OR_RETURN(const auto frame, FrameOf(resources, *stretch.piece, from));
  std::memcpy(out.data(), frame->data() + stretch.skip, out.size());
  return {};
}

}  // namespace

Result<std::vector<Stretch>> Resolve(VaultResources& resources, const map::Tree& tree,
                                     std::span<const CleanPart> parts, ReadFrom from) {
  std::vector<Stretch> stretches;
  stretches.reserve(parts.size());
  for (const CleanPart& part : parts)
    RETURN_IF_ERROR(AppendStretches(resources, tree, part, from, &stretches));
  return stretches;
}

Status ReadClean(VaultResources& resources, const map::Tree& tree, std::span<const CleanPart> parts,
                 ReadFrom from, std::uint64_t offset, MutableByteView out) {
  ASSIGN_OR_RETURN(const std::vector<Stretch> stretches, Resolve(resources, tree, parts, from));
  const auto want = [&](std::size_t first) {
    if (from != ReadFrom::kAnywhere || first >= stretches.size()) return;
    const auto group =
        std::span(stretches).subspan(first, std::min(kGroupStretches, stretches.size() - first));
    resources.windows().Want(MissingFrames(resources, group));
  };
  if (stretches.size() > 1) want(0);  // a single frame is fetched when it is read
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (i % kGroupStretches == 0) want(i + kGroupStretches);
    const Stretch& stretch = stretches[i];
    RETURN_IF_ERROR(
        Fill(resources, stretch, from, out.subspan(stretch.offset - offset, stretch.length)));
  }
  return {};
}

std::optional<format::Pieces> PiecesInMemory(VaultResources& resources, const map::Tree& tree,
                                             const CleanPart& part) {
  auto pieces = PiecesOf(resources, tree, part, ReadFrom::kMemory);
  if (!pieces.has_value()) return std::nullopt;
  return std::move(*pieces);
}

Status ReadAheadOf(VaultResources& resources, const map::Tree& tree,
                   std::span<const CleanPart> parts) {
  ASSIGN_OR_RETURN(const std::vector<Stretch> stretches,
                   Resolve(resources, tree, parts, ReadFrom::kAnywhere));
  resources.windows().WantSoon(MissingFrames(resources, stretches));
  return {};
}

}  // namespace coffer::volume
