#include "core/map/survey.h"

#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/format/pack.h"
#include "core/map/pieces.h"

namespace coffer::map {
namespace {

/// Leaves fetched side by side: at worst a window of 256 KiB each is in memory for them.
constexpr std::size_t kLeavesAtOnce = 64;

}  // namespace

Status Survey::Take(const format::MapRoot& root, std::uint32_t chunk_size,
                    const Progress& progress) {
  CHECK(chunk_count_ == 0);
  chunk_size_ = chunk_size;
  chunk_count_ = (root.size + chunk_size - 1) / chunk_size;
  progress_ = progress;
  RETURN_IF_ERROR(LoadDeltas(root));
  if (root.page.has_value()) {
    if (root.level == 0) {
      leaves_.push_back({*root.page, 0});
    } else {
      RETURN_IF_ERROR(WalkInterior(*root.page, root.level, 0));
    }
    RETURN_IF_ERROR(TakeLeaves());
  }
  TakeOverlayBetween(next_chunk_, chunk_count_);
  FinishPacks();
  Report(chunk_count_);
  return {};
}

Status Survey::LoadDeltas(const format::MapRoot& root) {
  std::vector<format::FrameRef> frames;
  for (const format::DeltaRef& delta : root.deltas) frames.push_back(delta.frame);
  frames_.Want(frames);
  for (const format::FrameRef& frame : frames) {
    const Result<format::Delta> delta = ReadDelta(frame);
    if (!delta.has_value()) {
      if (delta.error().code != ErrorCode::kCorruption) return Fail(delta.error());
      ++numbers_.lost_deltas;
      if (numbers_.lost_why.empty()) numbers_.lost_why = delta.error().message;
      continue;
    }
    overlay_.Apply(*delta);
    if (!SeeFrame(frame)) continue;
    ++numbers_.deltas;
    numbers_.delta_stored_bytes += frame.stored_length;
  }
  return {};
}

Result<format::Delta> Survey::ReadDelta(const format::FrameRef& frame) {
  ASSIGN_OR_RETURN(const Bytes plain, reader_.ReadDelta(frame));
  return format::DecodeDelta(plain, frame.pack, frame.key_epoch);
}

/// `why` itself unless it is damage. A page covers 256 times what one below it does.
Status Survey::LosePage(const Error& why, std::uint8_t level, std::uint64_t index) {
  if (why.code != ErrorCode::kCorruption) return Fail(why);
  std::uint64_t chunks = format::kPageFanOut;
  for (int above = 0; above < level; ++above) chunks *= format::kPageFanOut;
  const std::uint64_t first = std::min(index * chunks, chunk_count_);
  numbers_.lost_bytes_max += std::min(chunks, chunk_count_ - first) * chunk_size_;
  ++numbers_.lost_pages;
  if (numbers_.lost_why.empty()) numbers_.lost_why = why.message;
  return {};
}

Status Survey::WalkInterior(const format::PageRef& ref, std::uint8_t level, std::uint64_t index) {
  const Result<PagePtr> got = pages_.Get(ref, level, index, chunk_size_);
  if (!got.has_value()) return LosePage(got.error(), level, index);
  const PagePtr page = *got;
  TakePage(ref);
  for (const format::InteriorEntry& entry : page->children) {
    const std::uint64_t child = index * format::kPageFanOut + entry.slot;
    if (level > 1) {
      RETURN_IF_ERROR(WalkInterior(entry.child, static_cast<std::uint8_t>(level - 1), child));
      continue;
    }
    leaves_.push_back({entry.child, child});
    if (leaves_.size() == kLeavesAtOnce) RETURN_IF_ERROR(TakeLeaves());
  }
  return {};
}

Status Survey::TakeLeaves() {
  std::vector<format::FrameRef> frames;
  for (const Leaf& leaf : leaves_) {
    if (pages_.Find(leaf.ref) == nullptr) frames.push_back(leaf.ref.frame);
  }
  frames_.Want(frames);
  for (const Leaf& leaf : leaves_) {
    const Result<PagePtr> page = FetchLeaf(leaf);
    if (!page.has_value()) {
      RETURN_IF_ERROR(LosePage(page.error(), 0, leaf.index));
      continue;
    }
    TakePage(leaf.ref);
    TakeLeaf(**page);
  }
  leaves_.clear();
  Report(next_chunk_);
  return {};
}

/// Past the cache where it is not there yet: one look at everything must not drive out what is in
/// use.
Result<PagePtr> Survey::FetchLeaf(const Leaf& leaf) {
  if (PagePtr page = pages_.Find(leaf.ref); page != nullptr) return page;
  ASSIGN_OR_RETURN(format::Page page, reader_.ReadPage(leaf.ref, 0, leaf.index, chunk_size_));
  return std::make_shared<const format::Page>(std::move(page));
}

void Survey::Report(std::uint64_t chunk) const {
  if (progress_ != nullptr) progress_(std::min(chunk, chunk_count_), chunk_count_);
}

void Survey::TakeLeaf(const format::Page& page) {
  const std::uint64_t first = page.index * format::kPageFanOut;
  TakeOverlayBetween(next_chunk_, first);
  next_chunk_ = first;
  for (const format::LeafEntry& entry : page.chunks) {
    const std::uint64_t chunk = first + entry.slot;
    TakeOverlayBetween(next_chunk_, chunk);
    next_chunk_ = chunk + 1;
    const auto change = overlay_.Find(chunk);
    if (!change.has_value()) {
      TakeChunk(entry.pieces);
      continue;
    }
    format::Pieces pieces = change->replaces ? format::Pieces{} : entry.pieces;
    pieces.insert(pieces.end(), change->pieces.begin(), change->pieces.end());
    TakeChunk(pieces);
  }
}

/// Chunks that the tree has nothing of.
void Survey::TakeOverlayBetween(std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t chunk = overlay_.NextChanged(first, end); chunk < end;
       chunk = overlay_.NextChanged(chunk + 1, end)) {
    TakeChunk(overlay_.Find(chunk)->pieces);
  }
}

void Survey::TakeChunk(const format::Pieces& pieces) {
  std::size_t shown = 0;
  const format::Pieces visible = Normalize(pieces);
  for (const format::Piece& piece : visible) {
    if (piece.kind != format::Piece::Kind::kFrame) continue;
    ++shown;
    numbers_.piece_bytes += piece.frame.plain_length;
    if (!SeeFrame(piece.frame)) continue;
    ++numbers_.frames;
    numbers_.frame_plain_bytes += piece.frame.plain_length;
    numbers_.frame_stored_bytes += piece.frame.stored_length;
  }
  if (shown == 0) return;
  ++numbers_.chunks;
  if (shown > 1) ++numbers_.patched_chunks;
  const auto blocks = static_cast<std::uint8_t>(chunk_size_ / format::kBlockBytes);
  for (const VisibleRun& run : Resolve(visible, 0, blocks)) {
    if (run.piece != nullptr) {
      numbers_.data_bytes += std::uint64_t{run.block_count} * format::kBlockBytes;
    }
  }
}

void Survey::TakePage(const format::PageRef& ref) {
  if (!SeeFrame(ref.frame)) return;
  ++numbers_.pages;
  numbers_.page_stored_bytes += ref.frame.stored_length;
}

/// True the first time.
bool Survey::SeeFrame(const format::FrameRef& frame) {
  PackUse& use = packs_[frame.pack];
  use.end_offset =
      std::max(use.end_offset, std::uint64_t{frame.offset} + std::uint64_t{frame.stored_length});
  if (use.frames.size() <= frame.frame) use.frames.resize(frame.frame + 1);
  if (use.frames[frame.frame]) return false;
  use.frames[frame.frame] = true;
  return true;
}

void Survey::FinishPacks() {
  numbers_.packs = packs_.size();
  for (const auto& [id, use] : packs_) {
    numbers_.pack_bytes += format::PadmeLength(use.end_offset + format::kFrameTagBytes);
  }
}

}  // namespace coffer::map
