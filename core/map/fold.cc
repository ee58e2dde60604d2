// Folding: a depth-first walk over the pages that an overlay touches, children before parents, each
// new page appended to the current pack. Where a child lies in a pack that is still open, its
// reference carries the null pack id; when that pack is sealed with the parent in another one, the
// id is filled in.
//
// A page that cannot be read keeps its reference, and with it all that it leads to: when its pack
// comes back, so do its chunks. What has changed beneath it goes into the residual (residual.h).
#include <algorithm>
#include <set>

#include "core/base/check.h"
#include "core/map/block_map.h"
#include "core/map/pieces.h"

namespace coffer::map {
namespace {

using format::FrameType;
using format::Page;
using format::PageRef;

/// Behind the last chunk of any volume.
constexpr std::uint64_t kChunksMax = format::kVolumeBytesMax / format::kChunkBytesMin;

std::uint64_t Span(std::uint8_t level) { return std::uint64_t{1} << (8 * (level + 1)); }

/// Appends pages to packs and hands full packs to the uploader.
class PageWriter {
 public:
  PageWriter(const FoldOptions& options, store::ObjectStore& store, Executor& work,
             Executor& uploads, Random& random)
      : options_(options),
        random_(random),
        compressor_(options.codec),
        uploader_(store, work, uploads, options.window, options.uploads) {}

  /// A reference whose pack is known once the pack with that number is sealed.
  struct Written {
    PageRef ref;
    std::size_t pack;  // number in submission order
  };

  /// Where `leaf` is already, if a fold that failed has got so far. An interior page would name the
  /// places of children that may not be there.
  [[nodiscard]] std::optional<PageRef> Find(const Page& leaf) const {
    if (options_.find_leaf == nullptr) return std::nullopt;
    const PageId id = options_.keys.page->Id(format::PageIdentity(leaf));
    const auto frame = options_.find_leaf(id);
    if (!frame.has_value() || frame->key_epoch != options_.keys.epoch) return std::nullopt;
    return PageRef{.id = id, .frame = *frame};
  }

  /// `pending` are the children of `page`, in its order, that this writer wrote itself.
  Result<Written> Write(Page page, const std::vector<std::optional<std::size_t>>& child_packs) {
    if (builder_ != nullptr && builder_->IsFullFor(kPageRoom, options_.pack_bytes_target)) Flush();
    if (builder_ == nullptr) {
      builder_ = std::make_unique<pack::PackBuilder>(options_.vault, options_.keys, random_);
    }
    bool waited = false;
    for (std::size_t i = 0; i < child_packs.size(); ++i) {
      if (!child_packs[i].has_value() || *child_packs[i] == flushed_)
        continue;  // old, or this pack
      if (!waited) RETURN_IF_ERROR(uploader_.AwaitSealed());
      waited = true;
      page.children[i].child.frame.pack = uploader_.IdOf(*child_packs[i]);
    }
    const Bytes plain = Encode(page, PackId{});
    pack::CompressedFrame frame =
        pack::CompressFrame(compressor_, options_.keys, FrameType::kPage, plain);
    const PageId id = options_.keys.page->Id(format::PageIdentity(page));
    frame.id = ContentId::From(id.view());
    frame.level = page.level;
    frame.index = page.index;
    ++pages_;
    const Written written{{.id = id, .frame = builder_->AddMetadata(std::move(frame))}, flushed_};
    if (kept_bytes_ + plain.size() <= kKeptBytesMax) {
      kept_bytes_ += plain.size();
      kept_.push_back({written, std::move(page)});
    }
    return written;
  }

  void Flush() {
    if (builder_ == nullptr) return;
    uploader_.Submit(std::move(builder_));
    ++flushed_;
  }

  /// Each in a pack of its own, all in the store on return.
  Result<std::vector<ResidualDelta>> WriteDeltas(std::vector<format::Delta> deltas) {
    Flush();
    const std::size_t first = flushed_;
    std::vector<ResidualDelta> written;
    for (format::Delta& delta : deltas) {
      ASSIGN_OR_RETURN(const Bytes plain, Encode(delta, PackId{}));
      builder_ = std::make_unique<pack::PackBuilder>(options_.vault, options_.keys, random_);
      const format::FrameRef frame = builder_->AddMetadata(
          pack::CompressFrame(compressor_, options_.keys, FrameType::kDelta, plain));
      const auto count = static_cast<std::uint32_t>(delta.entries.size());
      written.push_back({std::move(delta), {.frame = frame, .entry_count = count}});
      Flush();
    }
    RETURN_IF_ERROR(uploader_.AwaitUploaded());
    for (std::size_t i = 0; i < written.size(); ++i)
      written[i].ref.frame.pack = uploader_.IdOf(first + i);
    return written;
  }

  /// Everything in the store; `root` gets its pack, and `pages` what was kept of what was written.
  Status Finish(Written* root, PageCache& pages) {
    Flush();
    RETURN_IF_ERROR(uploader_.AwaitUploaded());
    if (root != nullptr) root->ref.frame.pack = uploader_.IdOf(root->pack);
    for (Kept& kept : kept_) {
      PageRef& ref = kept.written.ref;
      ref.frame.pack = uploader_.IdOf(kept.written.pack);
      for (format::InteriorEntry& entry : kept.page.children)
        if (entry.child.frame.pack == PackId{}) entry.child.frame.pack = ref.frame.pack;
      pages.Insert(ref, std::make_shared<const Page>(std::move(kept.page)));
    }
    kept_.clear();
    return {};
  }

  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  [[nodiscard]] std::uint64_t uploaded_bytes() const { return uploader_.uploaded_bytes(); }

 private:
  static constexpr std::size_t kPageRoom = 64 * 1024;
  /// Encoded; a page takes about three times that in memory.
  static constexpr std::size_t kKeptBytesMax = 8u << 20;
  struct Kept {
    Written written;
    Page page;  // children in packs that were open have no pack yet
  };

  const FoldOptions& options_;
  Random& random_;
  compress::Compressor compressor_;
  pack::PackUploader uploader_;
  std::unique_ptr<pack::PackBuilder> builder_;
  std::size_t flushed_ = 0;  // packs submitted = number of the one being built
  std::uint64_t pages_ = 0;
  std::vector<Kept> kept_;
  std::size_t kept_bytes_ = 0;
};

class Folder {
 public:
  Folder(PageCache& pages, const Tree& tree, const Overlay& overlay, std::uint64_t size,
         PageWriter& writer, const FoldOptions& options)
      : pages_(pages),
        tree_(tree),
        overlay_(overlay),
        size_(size),
        writer_(writer),
        options_(options),
        residual_(tree.chunk_size) {}

  [[nodiscard]] std::vector<std::uint64_t> Fragmented() const {
    std::vector<std::uint64_t> chunks;
    for (const auto& [pieces, chunk] : fragmented_) chunks.push_back(chunk);
    std::sort(chunks.begin(), chunks.end());
    return chunks;
  }

  /// What stands for one subtree afterwards: nothing, the old page, or a new one.
  struct Node {
    std::optional<PageRef> ref;
    std::optional<std::size_t> pack;  // set if new
  };

  Result<Node> FoldNode(std::uint8_t level, std::uint64_t index, std::optional<PageRef> old) {
    const std::uint64_t first = index * Span(level);
    if (!overlay_.Touches(first, first + Span(level))) return Node{old, std::nullopt};
    if (overlay_.Clears(first, first + Span(level))) return Node{};
    PagePtr page;
    if (old.has_value() && !HidesInVolume(first, first + Span(level))) {
      auto got = pages_.Get(*old, level, index, tree_.chunk_size);
      if (!got.has_value() && got.error().code == ErrorCode::kCorruption) {
        Leave(first, first + Span(level), got.error().message);
        return Node{old, std::nullopt};
      }
      if (!got.has_value()) return Fail(std::move(got).error());
      page = std::move(*got);
    }
    return level == 0 ? FoldLeaf(index, page) : FoldInterior(level, index, page);
  }

  /// Whether nothing beneath the overlay shows in the chunks [first, end), as far as the volume
  /// has them: beyond its end the tree holds nothing.
  [[nodiscard]] bool HidesInVolume(std::uint64_t first, std::uint64_t end) const {
    const std::uint64_t whole = size_ / tree_.chunk_size;
    if (!overlay_.Hides(first, std::min(end, whole))) return false;
    const auto rest = static_cast<std::uint8_t>(size_ % tree_.chunk_size / format::kBlockBytes);
    if (rest == 0 || whole < first || whole >= end) return true;
    const auto change = overlay_.Find(whole);
    return change.has_value() && (change->replaces || Covers(change->pieces, 0, rest));
  }

  /// What the overlay has of the chunks [first, end) stays in deltas.
  void Leave(std::uint64_t first, std::uint64_t end, std::string_view why) {
    residual_.Leave(overlay_, first, end);
    const std::uint64_t in_volume =
        std::min(end, (size_ + tree_.chunk_size - 1) / tree_.chunk_size);
    lost_.push_back({first, in_volume - std::min(first, in_volume), std::string(why)});
  }

  Status FinishResidual(FoldResult* result) {
    ASSIGN_OR_RETURN(std::vector<format::Delta> deltas, residual_.Take());
    if (!deltas.empty()) {
      ASSIGN_OR_RETURN(result->residual, writer_.WriteDeltas(std::move(deltas)));
    }
    result->lost = std::move(lost_);
    return {};
  }

 private:
  Result<Node> FoldLeaf(std::uint64_t index, const PagePtr& old) {
    Page page{.level = 0, .index = index, .chunk_size = tree_.chunk_size};
    std::size_t next = 0;
    for (unsigned slot = 0; slot < format::kPageFanOut; ++slot) {
      const format::Pieces* below = nullptr;
      if (old != nullptr && next < old->chunks.size() && old->chunks[next].slot == slot)
        below = &old->chunks[next++].pieces;
      auto change = overlay_.Find(index * format::kPageFanOut + slot);
      format::Pieces pieces;
      if (below != nullptr && !(change.has_value() && change->replaces)) pieces = *below;
      if (change.has_value()) {
        pieces.insert(pieces.end(), change->pieces.begin(), change->pieces.end());
        pieces = Normalize(pieces);
        if (pieces.size() > options_.pieces_max) {
          fragmented_.emplace(pieces.size(), index * format::kPageFanOut + slot);
          if (fragmented_.size() > options_.fragmented_max) fragmented_.erase(fragmented_.begin());
        }
      }
      if (!pieces.empty())
        page.chunks.push_back({static_cast<std::uint8_t>(slot), std::move(pieces)});
    }
    if (page.chunks.empty()) return Node{};
    if (const auto there = writer_.Find(page); there.has_value()) return Node{there, std::nullopt};
    return Finish(std::move(page), {});
  }

  Result<Node> FoldInterior(std::uint8_t level, std::uint64_t index, const PagePtr& old) {
    Page page{.level = level, .index = index, .chunk_size = tree_.chunk_size};
    std::vector<std::optional<std::size_t>> packs;
    std::size_t next = 0;
    for (unsigned slot = 0; slot < format::kPageFanOut; ++slot) {
      std::optional<PageRef> below;
      if (old != nullptr && next < old->children.size() && old->children[next].slot == slot)
        below = old->children[next++].child;
      ASSIGN_OR_RETURN(Node node, FoldNode(static_cast<std::uint8_t>(level - 1),
                                           index * format::kPageFanOut + slot, below));
      if (!node.ref.has_value()) continue;
      page.children.push_back({static_cast<std::uint8_t>(slot), *node.ref});
      packs.push_back(node.pack);
    }
    if (page.children.empty()) return Node{};
    return Finish(std::move(page), packs);
  }

  Result<Node> Finish(Page page, const std::vector<std::optional<std::size_t>>& packs) {
    ASSIGN_OR_RETURN(PageWriter::Written written, writer_.Write(std::move(page), packs));
    return Node{written.ref, written.pack};
  }

  PageCache& pages_;
  const Tree& tree_;
  const Overlay& overlay_;
  const std::uint64_t size_;
  PageWriter& writer_;
  const FoldOptions& options_;
  ResidualBuilder residual_;
  std::vector<LostChunks> lost_;
  std::set<std::pair<std::size_t, std::uint64_t>> fragmented_;  // pieces, chunk: the most so far
};

/// Puts pages of a single child on top of the root until it has `level`, so that a grown volume's
/// chunks are within reach. The subtree keeps its pages.
Result<Folder::Node> Raise(PageWriter& writer, std::uint32_t chunk_size, Folder::Node node,
                           std::uint8_t from, std::uint8_t to) {
  while (node.ref.has_value() && from < to) {
    ++from;
    Page page{.level = from, .index = 0, .chunk_size = chunk_size};
    page.children.push_back({0, *node.ref});
    ASSIGN_OR_RETURN(PageWriter::Written written, writer.Write(std::move(page), {node.pack}));
    node = {written.ref, written.pack};
  }
  return node;
}

/// With a delta lost beneath the overlay no tree can be made, unless nothing of it shows any more.
Result<FoldResult> FoldAboveLost(Folder& folder, const Tree& tree, PageWriter& writer) {
  FoldResult result{.tree = tree};
  folder.Leave(0, kChunksMax, tree.lost->message);
  RETURN_IF_ERROR(folder.FinishResidual(&result));
  result.uploaded_bytes = writer.uploaded_bytes();
  return result;
}

}  // namespace

Result<FoldResult> Fold(PageCache& pages, const Tree& below, const Overlay& overlay,
                        std::uint64_t size, const FoldOptions& options, store::ObjectStore& store,
                        Executor& work, Executor& uploads, Random& random) {
  PageWriter writer(options, store, work, uploads, random);
  Tree tree = below;
  if (below.lost != nullptr) {
    Folder folder(pages, below, overlay, size, writer, options);
    if (!folder.HidesInVolume(0, kChunksMax)) return FoldAboveLost(folder, below, writer);
    tree = {.chunk_size = below.chunk_size};
  }
  // The old root may be lower than the volume's size wants by now: it becomes the first of its
  // raised parent's children. Changes beyond its reach belong to the siblings.
  const std::uint8_t level = std::max(tree.level, RootLevel(size, tree.chunk_size));
  Folder folder(pages, tree, overlay, size, writer, options);
  Folder::Node root;
  if (tree.root.has_value() && level > tree.level) {
    ASSIGN_OR_RETURN(root,
                     Raise(writer, tree.chunk_size, {tree.root, std::nullopt}, tree.level, level));
    // A raised page that lies in a pack not yet sealed cannot be read back: seal it first.
    PageWriter::Written raised{*root.ref, *root.pack};
    RETURN_IF_ERROR(writer.Finish(&raised, pages));
    root.ref = raised.ref;
    root.pack.reset();
  } else {
    root.ref = tree.root;
  }
  ASSIGN_OR_RETURN(root, folder.FoldNode(level, 0, root.ref));
  // A tree of nothing has no height: a head that told one could not be read (FORMAT.md).
  FoldResult result{.tree = {.chunk_size = tree.chunk_size,
                             .level = root.ref.has_value() ? level : std::uint8_t{0},
                             .root = root.ref}};
  if (root.pack.has_value()) {
    PageWriter::Written written{*root.ref, *root.pack};
    RETURN_IF_ERROR(writer.Finish(&written, pages));
    result.tree.root = written.ref;
  } else {
    RETURN_IF_ERROR(writer.Finish(nullptr, pages));
  }
  RETURN_IF_ERROR(folder.FinishResidual(&result));
  result.fragmented = folder.Fragmented();
  result.pages = writer.pages();
  result.uploaded_bytes = writer.uploaded_bytes();
  return result;
}

}  // namespace coffer::map
