#include "core/format/page.h"

#include "core/format/fields.h"
#include "core/format/piece_wire.h"

namespace coffer::format {
namespace {

constexpr std::size_t kPieceBytesUsual = 30;
constexpr std::size_t kLeafEntryBytesMin = 1 + 1 + kPieceBytesMin;
constexpr std::size_t kInteriorEntryBytesMin = 1 + 16 + 1 + 5;

void WriteHead(Writer& out, const Page& page) {
  out.U8(page.level);
  out.Varint(page.index);
  out.U32(page.chunk_size);
}

std::size_t EntryCount(const Page& page) {
  return page.level == 0 ? page.chunks.size() : page.children.size();
}

void CheckEncodable(const Page& page) {
  CHECK(page.level == 0 ? page.children.empty() : page.chunks.empty());
  CHECK(EntryCount(page) != 0 && EntryCount(page) <= kPageFanOut);
}

void WriteChild(Writer& out, PackTableWriter& table, const InteriorEntry& entry) {
  CHECK(entry.child.frame.codec <= kCodecMax);
  out.U8(entry.slot);
  out.Id(entry.child.id);
  out.U8(entry.child.frame.codec);
  WriteLocation(out, table, entry.child.frame);
  out.Varint(entry.child.frame.plain_length);
}

PageRef ReadChild(Reader& in, PackTableReader& table) {
  PageRef child;
  child.id = in.Id<PageId>();
  child.frame.codec = in.U8();
  ReadLocation(in, table, &child.frame);
  child.frame.plain_length = in.VarintIn<std::uint32_t>(1, kPageBytesMax);
  in.Require(IsPossibleLocation(child.frame), "a child page's frame fits in no pack");
  return child;
}

/// What the entries of a page may be, by its place in the tree.
struct Bounds {
  std::uint64_t places;  // chunks, or pages of the level below, that a volume can have
  std::uint64_t first;   // the one that slot 0 stands for
};

Bounds BoundsOf(Reader& in, const Page& page) {
  const std::uint64_t chunks = kVolumeBytesMax / page.chunk_size;
  const unsigned shift = 8u * page.level;
  const std::uint64_t places = ((chunks - 1) >> shift) + 1;
  if (!in.Require(page.index <= (places - 1) / kPageFanOut, "its index is beyond any volume"))
    return {0, 0};
  return {places, page.index * kPageFanOut};
}

/// The slot of the next entry: above the last one, and within the largest volume.
std::uint8_t ReadSlot(Reader& in, const Bounds& bounds, int last_slot) {
  const std::uint8_t slot = in.U8();
  in.Require(slot > last_slot, "slots do not ascend");
  in.Require(bounds.first + slot < bounds.places, "a slot is beyond any volume");
  return slot;
}

}  // namespace

Bytes Encode(const Page& page, const PackId& self) {
  CheckEncodable(page);
  PackTableWriter table(self);
  Writer body(kVarintBytesMax + EntryCount(page) * (2 + kPieceBytesUsual));
  body.Varint(EntryCount(page));
  for (const LeafEntry& entry : page.chunks) {
    body.U8(entry.slot);
    WritePieces(body, table, entry.pieces);
  }
  for (const InteriorEntry& entry : page.children) WriteChild(body, table, entry);

  Writer out(1 + kVarintBytesMax + 4 + table.encoded_bytes_max() + body.size());
  WriteHead(out, page);
  table.Write(out);
  out.Raw(body.written());
  return out.Take();
}

Result<Page> DecodePage(ByteView bytes, const PackId& self, std::uint32_t self_epoch) {
  Reader in(bytes, kPageBytesMax, "page");
  Page page;
  page.level = in.U8();
  in.Require(page.level <= kPageLevelMax, "its level is too high");
  page.index = in.Varint();
  page.chunk_size = in.U32();
  if (!in.Require(IsValidChunkSize(page.chunk_size), "a chunk size that does not exist"))
    return Fail(in.status().error());
  const Bounds bounds = BoundsOf(in, page);
  PackTableReader table(in, self, self_epoch);
  const bool is_leaf = page.level == 0;
  const std::size_t count =
      in.Count(kPageFanOut, is_leaf ? kLeafEntryBytesMin : kInteriorEntryBytesMin);
  in.Require(count != 0, "it has no entries");
  int last_slot = -1;
  if (is_leaf) page.chunks.reserve(count);
  if (!is_leaf) page.children.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint8_t slot = ReadSlot(in, bounds, last_slot);
    last_slot = slot;
    if (is_leaf)
      page.chunks.push_back({slot, ReadPieces(in, table, page.chunk_size)});
    else
      page.children.push_back({slot, ReadChild(in, table)});
  }
  table.RequireAllUsed(in);
  RETURN_IF_ERROR(in.End());
  return page;
}

Bytes PageIdentity(const Page& page) {
  CheckEncodable(page);
  Writer out(1 + kVarintBytesMax + 4 + kVarintBytesMax + EntryCount(page) * (2 + 19));
  WriteHead(out, page);
  out.Varint(EntryCount(page));
  for (const LeafEntry& entry : page.chunks) {
    out.U8(entry.slot);
    out.Varint(entry.pieces.size());
    for (const Piece& piece : entry.pieces) WritePieceIdentity(out, piece);
  }
  for (const InteriorEntry& entry : page.children) {
    out.U8(entry.slot);
    out.Id(entry.child.id);
  }
  return out.Take();
}

}  // namespace coffer::format
