#include "core/volume/commit_builder.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/format/limits.h"
#include "core/map/pieces.h"
#include "core/volume/read_path.h"

namespace coffer::volume {
namespace {

using format::DeltaEntry;
using format::FrameType;
using format::kBlockBytes;
using format::Piece;

constexpr std::uint64_t kRunBytes = 1u << 20;
constexpr std::size_t kItemsPerRunMax = 1024;
/// Runs built at once: the fewer for each thread, the more they wait for each other; each may hold
/// kRunBytes.
constexpr std::size_t kRunsAtOnce = 16;
constexpr std::size_t kRunsPerThread = 2;
constexpr std::uint64_t kConsolidationBytesMin = 1u << 20;
constexpr std::size_t kKeptBytesMax = 16u << 20;
// What LiveMap cuts fits, whatever is consolidated beside it.
static_assert(Settings{}.generation_parts_max + Settings{}.background_chunks_max <=
              format::kDeltaPartsMax);

}  // namespace

/// The packs of one commit as they are filled in order.
struct CommitBuilder::Pending {
  struct Place {
    std::size_t entry, piece;  // in the delta
    std::size_t ticket;        // in the pack
  };
  struct Known {
    std::size_t pack;
    std::size_t ticket;
  };

  explicit Pending(const Context& commit)
      : context(commit),
        uploader(commit.resources.vault().store(), commit.work,
                 commit.resources.vault().env().fetch_executor, commit.resources.uploads(),
                 &commit.kept) {}

  const Context& context;
  format::Delta delta;
  pack::PackUploader uploader;
  std::unique_ptr<pack::PackBuilder> builder;
  std::vector<std::vector<Place>> places;             // by pack number; the last is `builder`'s
  std::unordered_map<ContentId, Known, IdHash> seen;  // content new in this commit
  std::uint64_t frames = 0;
  std::uint64_t hits = 0;
  struct Kept {
    std::size_t entry, piece;
    std::shared_ptr<const Bytes> plain;
  };
  std::vector<Kept> kept;
  std::size_t kept_bytes = 0;

  void OpenPack() {
    if (builder != nullptr) return;
    builder = std::make_unique<pack::PackBuilder>(context.resources.vault().id(), context.keys,
                                                  context.random);
    places.emplace_back();
  }

  /// Gives every data frame of the open pack its place in it; the pack's id is still to come.
  void ArrangePack() {
    builder->Arrange();
    for (const Place& place : places.back())
      delta.entries[place.entry].pieces[place.piece].frame = builder->Ref(place.ticket);
  }

  void SubmitPack() { uploader.Submit(std::move(builder)); }

  void FillIds(std::size_t pack) {
    const PackId id = uploader.IdOf(pack);
    for (const Place& place : places[pack])
      delta.entries[place.entry].pieces[place.piece].frame.pack = id;
  }

  void Add(BuiltChunk chunk, std::uint64_t run) {
    const std::size_t entry = delta.entries.size();
    delta.entries.push_back(std::move(chunk.entry));
    for (BuiltPiece& built : chunk.pieces) {
      auto& pieces = delta.entries[entry].pieces;
      pieces.push_back(built.piece);
      if (built.piece.kind == Piece::Kind::kZero) continue;
      if (!built.is_new) {
        ++hits;
        continue;
      }
      const std::size_t piece = pieces.size() - 1;
      if (context.dedup != nullptr) {
        const auto known = seen.find(built.piece.content);
        if (known != seen.end()) {
          ++hits;
          places[known->second.pack].push_back({entry, piece, known->second.ticket});
          // A pack that has gone has fixed its places: take this one from its twin.
          if (known->second.pack + 1 < places.size() || builder == nullptr)
            CopyRef(known->second, entry, piece);
          continue;
        }
      }
      if (builder != nullptr &&
          builder->IsFullFor(built.frame.stored.size(), context.settings.pack_bytes_target)) {
        ArrangePack();
        SubmitPack();
      }
      OpenPack();
      ++frames;
      if (built.keep != nullptr && kept_bytes + built.keep->size() <= kKeptBytesMax) {
        kept_bytes += built.keep->size();
        kept.push_back({entry, piece, std::move(built.keep)});
      }
      const std::size_t ticket = builder->AddData(std::move(built.frame), run);
      places.back().push_back({entry, piece, ticket});
      if (context.dedup != nullptr) seen[built.piece.content] = {places.size() - 1, ticket};
    }
  }

  void CopyRef(const Known& known, std::size_t entry, std::size_t piece) {
    for (const Place& twin : places[known.pack]) {
      if (twin.ticket != known.ticket) continue;
      delta.entries[entry].pieces[piece].frame = delta.entries[twin.entry].pieces[twin.piece].frame;
      return;
    }
  }
};

std::vector<CommitBuilder::Run> CommitBuilder::Plan(
    const Generation& generation, std::span<const std::uint64_t> fragmented) const {
  std::vector<Run> runs;
  const std::uint64_t chunk_size = context_.chunk_size;
  std::uint64_t next_chunk = 0;  // first not planned yet
  const auto append = [&](const Item& item, std::uint64_t bytes) {
    if (runs.empty() || runs.back().data_bytes + bytes > kRunBytes ||
        runs.back().items.size() >= kItemsPerRunMax)
      runs.emplace_back();
    runs.back().items.push_back(item);
    runs.back().data_bytes += bytes;
  };
  auto extra = fragmented.begin();
  const auto add = [&](const Item& item, std::uint64_t bytes) {
    for (; extra != fragmented.end() && *extra < item.chunk; ++extra)
      append({*extra, 0}, chunk_size);
    const std::uint64_t end = item.chunk + std::max<std::uint64_t>(item.clear_count, 1);
    while (extra != fragmented.end() && *extra < end) ++extra;  // dirty, and planned as that
    append(item, bytes);
  };
  generation.dirty.ForEach(
      0, generation.dirty.end_offset(), [&](const cache::DirtyMap::Extent& extent) {
        std::uint64_t chunk = std::max(next_chunk, extent.offset / chunk_size);
        const std::uint64_t end_chunk = (extent.end + chunk_size - 1) / chunk_size;
        if (extent.record == nullptr) {
          // Whole chunks of zeros are one entry, however many.
          const std::uint64_t first = (extent.offset + chunk_size - 1) / chunk_size;
          const std::uint64_t end = extent.end / chunk_size;
          const std::uint64_t first_clear = std::max(first, chunk);
          if (first_clear < end) {
            if (chunk < first_clear) add({chunk, 0}, chunk_size);
            add({first_clear, end - first_clear}, 0);
            chunk = end;
          }
        }
        for (; chunk < end_chunk; ++chunk) {
          std::uint64_t bytes = 0;
          generation.dirty.ForEach(chunk * chunk_size, (chunk + 1) * chunk_size,
                                   [&bytes](const cache::DirtyMap::Extent& part) {
                                     if (part.record != nullptr) bytes += part.end - part.offset;
                                   });
          add({chunk, 0}, bytes);
        }
        next_chunk = std::max(next_chunk, chunk);
      });
  for (; extra != fragmented.end(); ++extra) append({*extra, 0}, chunk_size);
  return runs;
}

/// Where the store has the content already: by dedup, or from an attempt that failed later.
std::optional<format::FrameRef> CommitBuilder::FindStored(const ContentId& content,
                                                          std::size_t plain_bytes) const {
  const auto usable = [&](const std::optional<format::FrameRef>& known) {
    return known.has_value() && known->plain_length == plain_bytes &&
           known->key_epoch == context_.keys.epoch &&
           !context_.resources.reader().HasLost(known->pack);
  };
  if (context_.dedup != nullptr) {
    if (auto known = context_.dedup->Find(content); usable(known)) return known;
  }
  auto kept = context_.kept.FindData(content);
  return usable(kept) ? kept : std::nullopt;
}

CommitBuilder::BuiltPiece CommitBuilder::MakePiece(ByteView plain, std::uint8_t first_block,
                                                   compress::Compressor& compressor) {
  BuiltPiece built;
  built.piece.first_block = first_block;
  built.piece.block_count = static_cast<std::uint8_t>(plain.size() / kBlockBytes);
  if (IsZero(plain)) {
    built.piece.kind = Piece::Kind::kZero;
    return built;
  }
  built.piece.kind = Piece::Kind::kFrame;
  built.piece.content =
      context_.keys.content->Id(static_cast<std::uint8_t>(FrameType::kData), plain);
  if (const auto known = FindStored(built.piece.content, plain.size()); known.has_value()) {
    built.piece.frame = *known;
    return built;
  }
  built.frame = pack::CompressDataFrame(compressor, built.piece.content, plain);
  built.is_new = true;
  return built;
}

Result<CommitBuilder::BuiltChunk> CommitBuilder::BuildChunk(const Generation& generation,
                                                            std::uint64_t chunk,
                                                            compress::Compressor& compressor) {
  const std::uint64_t start = chunk * context_.chunk_size;
  const std::uint64_t end = std::max(start, std::min(start + context_.chunk_size, generation.size));
  // Beyond the volume's end only zeros are dirty (a cut-off tail); a chunk wholly there is a hole.
  const std::vector<DirtyPart> parts = live_.Gather(generation, start, start + context_.chunk_size);
  std::vector<Range> runs;  // dirty, joined where they touch
  Bytes plain(context_.chunk_size);
  for (const DirtyPart& part : parts) {
    if (runs.empty() || runs.back().end != part.offset) runs.push_back({part.offset, part.offset});
    runs.back().end = part.offset + part.length;
    RETURN_IF_ERROR(ReadDirty(journal_, part,
                              MutableByteView(plain).subspan(part.offset - start, part.length)));
  }
  BuiltChunk built{.entry = {.op = DeltaEntry::Op::kOverlay, .chunk = chunk, .pieces = {}},
                   .pieces = {}};
  bool whole = runs.size() == 1 && runs[0].offset == start && runs[0].end >= end;
  const bool keep = !whole;
  if (!whole && Consolidate(chunk, runs, end, plain)) {
    whole = true;
    runs.assign(1, {start, end});
  }
  if (whole) built.entry.op = DeltaEntry::Op::kReplace;
  for (const Range& run : runs) {
    const ByteView bytes = ByteView(plain).subspan(run.offset - start, run.end - run.offset);
    built.pieces.push_back(MakePiece(
        bytes, static_cast<std::uint8_t>((run.offset - start) / kBlockBytes), compressor));
    if (keep && built.pieces.back().is_new)
      built.pieces.back().keep = std::make_shared<const Bytes>(ToBytes(bytes));
  }
  if (whole && built.pieces[0].piece.kind == Piece::Kind::kZero) {
    built.entry.op = DeltaEntry::Op::kClear;
    built.pieces.clear();
  }
  return built;
}

/// Fills the places of `plain` that are not dirty, if the chunk should be written whole. What goes
/// wrong with the bytes at hand is no error: the dirty ranges go on top, and a reader will see it.
bool CommitBuilder::Consolidate(std::uint64_t chunk, std::span<const Range> dirty,
                                std::uint64_t end, MutableByteView plain) {
  const CleanPart committed = live_.Committed(chunk);
  if (end <= committed.offset) return false;
  const map::Tree tree = live_.tree();
  auto pieces = PiecesInMemory(context_.resources, tree, committed);
  if (!pieces.has_value()) return false;
  std::vector<CleanPart> gaps;
  std::uint64_t at = committed.offset;
  const auto add_gap = [&](std::uint64_t to) {
    if (at >= to) return;
    gaps.push_back(committed);
    gaps.back().offset = at;
    gaps.back().length = to - at;
  };
  for (const Range& range : dirty) {
    add_gap(std::min(range.offset, end));
    at = range.end;
    pieces->push_back(
        {.kind = Piece::Kind::kZero,
         .first_block = static_cast<std::uint8_t>((range.offset - committed.offset) / kBlockBytes),
         .block_count = static_cast<std::uint8_t>((range.end - range.offset) / kBlockBytes)});
  }
  add_gap(end);
  if (map::DropShadowed(*pieces).size() <= context_.settings.pieces_at_hand_max) return false;
  const auto bytes = static_cast<std::int64_t>(end - committed.offset);
  if (consolidation_bytes_.fetch_sub(bytes) < bytes) return false;
  const Status status = ReadClean(context_.resources, tree, gaps, ReadFrom::kMachine,
                                  committed.offset, plain.first(end - committed.offset));
  if (!status.has_value()) {
    consolidation_bytes_.fetch_add(bytes);
    return false;
  }
  COFFER_FAILPOINT("commit-consolidated");
  ++consolidated_;
  return true;
}

CommitBuilder::BuiltRun CommitBuilder::BuildRun(const Generation& generation, const Run& run) {
  BuiltRun result;
  compress::Compressor compressor(context_.settings.codec);
  for (const Item& item : run.items) {
    if (item.clear_count > 0) {
      result.chunks.push_back({.entry = {.op = DeltaEntry::Op::kClear,
                                         .chunk = item.chunk,
                                         .chunk_count = item.clear_count,
                                         .pieces = {}},
                               .pieces = {}});
      continue;
    }
    auto chunk = BuildChunk(generation, item.chunk, compressor);
    if (!chunk.has_value()) {
      result.status = Fail(std::move(chunk).error());
      return result;
    }
    // Of a chunk that is not dirty and not at hand there is nothing to say.
    if (chunk->pieces.empty() && chunk->entry.op == DeltaEntry::Op::kOverlay) continue;
    result.chunks.push_back(std::move(*chunk));
  }
  return result;
}

Result<BuiltCommit> CommitBuilder::Build(const Generation& generation,
                                         std::span<const std::uint64_t> fragmented,
                                         const std::function<void(std::uint64_t)>& progress,
                                         const GiveWay& give_way) {
  // Before anything is uploaded.
  const std::uint64_t parts = generation.dirty.parts() + fragmented.size();
  if (parts > format::kDeltaPartsMax)
    return Fail(ErrorCode::kUnsupported,
                Concat("one commit changes ", parts, " parts of the map, more than a delta holds"));
  Pending pending(context_);
  pending.delta.chunk_size = context_.chunk_size;
  consolidation_bytes_ =
      static_cast<std::int64_t>(std::max(generation.dirty.data_bytes(), kConsolidationBytesMin));
  const std::vector<Run> runs = Plan(generation, fragmented);
  const std::size_t window =
      std::max(kRunsAtOnce, static_cast<std::size_t>(context_.work.parallelism()) * kRunsPerThread);
  std::uint64_t done_bytes = 0;
  for (std::size_t first = 0; first < runs.size();) {
    const std::size_t step = give_way() ? 1 : window;
    std::vector<BuiltRun> built(std::min(step, runs.size() - first));
    ParallelFor(context_.work, built.size(),
                [&](std::size_t i) { built[i] = BuildRun(generation, runs[first + i]); });
    for (std::size_t i = 0; i < built.size(); ++i) {
      RETURN_IF_ERROR(std::move(built[i].status));
      for (BuiltChunk& chunk : built[i].chunks) pending.Add(std::move(chunk), first + i);
      done_bytes += runs[first + i].data_bytes;
    }
    first += built.size();
    progress(done_bytes);
  }

  if (pending.builder != nullptr) {
    pending.ArrangePack();
    const std::size_t delta_bytes = parts * format::kDeltaPartBytesMax;
    if (pending.builder->IsFullFor(delta_bytes, context_.settings.pack_bytes_max))
      pending.SubmitPack();
  }
  const std::size_t full_packs = pending.places.size() - (pending.builder != nullptr ? 1 : 0);
  pending.OpenPack();
  RETURN_IF_ERROR(pending.uploader.AwaitSealed());
  for (std::size_t pack = 0; pack < full_packs; ++pack) pending.FillIds(pack);

  ASSIGN_OR_RETURN(const Bytes plain, Encode(pending.delta, PackId{}));
  compress::Compressor compressor(context_.settings.codec);
  BuiltCommit commit;
  commit.reference.frame = pending.builder->AddMetadata(
      pack::CompressFrame(compressor, context_.keys, FrameType::kDelta, plain));
  commit.reference.entry_count = static_cast<std::uint32_t>(pending.delta.entries.size());
  pending.SubmitPack();
  const Status uploaded = pending.uploader.AwaitUploaded();
  if (!Planted("head-without-packs")) RETURN_IF_ERROR(uploaded);
  const std::size_t last = pending.places.size() - 1;
  pending.FillIds(last);
  commit.reference.frame.pack = pending.uploader.IdOf(last);
  for (Pending::Kept& kept : pending.kept) {
    const format::FrameRef& frame = pending.delta.entries[kept.entry].pieces[kept.piece].frame;
    commit.kept.push_back({{frame.pack, frame.frame}, std::move(kept.plain)});
  }
  commit.delta = std::move(pending.delta);
  commit.uploaded_bytes = pending.uploader.uploaded_bytes();
  commit.data_frames = pending.frames;
  commit.dedup_hits = pending.hits;
  commit.consolidated_chunks = consolidated_.load();
  return commit;
}

}  // namespace coffer::volume
