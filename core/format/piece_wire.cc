#include "core/format/piece_wire.h"

#include "core/format/fields.h"
#include "core/format/limits.h"

namespace coffer::format {
namespace {

constexpr std::size_t kSlotsAtFirst = 64;
constexpr unsigned kFrameKind = 0x10;

}  // namespace

std::uint32_t PackTableWriter::FindOrAdd(const OtherPack& pack) {
  if ((packs_.size() + 1) * 2 > slots_.size()) Rehash();
  std::uint32_t& slot = SlotOf(pack);
  if (slot == 0) {
    packs_.push_back(pack);
    slot = static_cast<std::uint32_t>(packs_.size());
  }
  return slot;
}

std::uint32_t& PackTableWriter::SlotOf(const OtherPack& pack) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = IdHash{}(pack.pack) & mask;
  while (slots_[at] != 0 && packs_[slots_[at] - 1] != pack) at = (at + 1) & mask;
  return slots_[at];
}

void PackTableWriter::Rehash() {
  const std::size_t slots = slots_.empty() ? kSlotsAtFirst : slots_.size() * 2;
  slots_.assign(slots, 0);
  for (std::size_t i = 0; i < packs_.size(); ++i)
    SlotOf(packs_[i]) = static_cast<std::uint32_t>(i + 1);
}

void PackTableWriter::Write(Writer& out) const {
  out.Varint(packs_.size());
  for (const OtherPack& other : packs_) {
    out.Id(other.pack);
    out.U32(other.key_epoch);
  }
}

PackTableReader::PackTableReader(Reader& in, const PackId& self, std::uint32_t self_epoch)
    : self_{self, self_epoch} {
  packs_.resize(in.Count(in.remaining(), kOtherPackBytes));
  for (OtherPack& other : packs_) {
    other.pack = in.Id<PackId>();
    other.key_epoch = in.U32();
    in.Require(!other.pack.IsNull() && other.pack != self && other.key_epoch != 0,
               "a listed pack has no id or key epoch, or is the pack itself");
  }
  in.Require(!HasDuplicates(packs_), "a pack is listed twice");
}

void PackTableReader::ReadPack(Reader& in, FrameRef* ref) {
  const std::uint64_t index = in.Varint();
  if (!in.Require(index <= packs_.size() && index <= used_ + 1, "a pack index is out of turn"))
    return;
  if (index > used_) used_ = index;
  const OtherPack& pack = index == 0 ? self_ : packs_[index - 1];
  ref->pack = pack.pack;
  ref->key_epoch = pack.key_epoch;
}

void WriteLocation(Writer& out, PackTableWriter& table, const FrameRef& ref) {
  out.Varint(table.IndexOf(ref));
  out.Varint(ref.frame);
  out.Varint(ref.offset);
  out.Varint(ref.stored_length);
}

void ReadLocation(Reader& in, PackTableReader& table, FrameRef* ref) {
  table.ReadPack(in, ref);
  ref->frame = in.VarintIn<std::uint32_t>(1, kFramesPerPackMax);
  ref->offset = in.VarintIn<std::uint32_t>(0, kPackBytesMax);
  ref->stored_length = in.VarintIn<std::uint32_t>(0, kPackBytesMax);
}

void WritePieces(Writer& out, PackTableWriter& table, const Pieces& pieces) {
  CHECK(!pieces.empty() && pieces.size() <= kPiecesPerChunkMax);
  out.Varint(pieces.size());
  for (const Piece& piece : pieces) {
    const bool is_frame = piece.kind == Piece::Kind::kFrame;
    CHECK(piece.block_count != 0 && piece.frame.codec <= kCodecMax);
    out.U8(static_cast<std::uint8_t>(is_frame ? kFrameKind | piece.frame.codec : 0));
    out.U8(piece.first_block);
    out.U8(static_cast<std::uint8_t>(piece.block_count - 1));
    if (!is_frame) continue;
    CHECK(piece.frame.plain_length == piece.block_count * kBlockBytes);
    out.Id(piece.content);
    WriteLocation(out, table, piece.frame);
  }
}

Pieces ReadPieces(Reader& in, PackTableReader& table, std::uint32_t chunk_size) {
  const std::uint32_t blocks = chunk_size / kBlockBytes;
  Pieces pieces(in.Count(kPiecesPerChunkMax, kPieceBytesMin));
  in.Require(!pieces.empty(), "a chunk without pieces");
  for (Piece& piece : pieces) {
    const std::uint8_t head = in.U8();
    piece.first_block = in.U8();
    const std::uint32_t count = in.U8() + 1u;
    if (!in.Require(piece.first_block + count <= blocks, "a piece goes beyond its chunk")) break;
    piece.block_count = static_cast<std::uint8_t>(count);
    if (head == 0) continue;
    if (!in.Require((head & ~0xfu) == kFrameKind, "a piece of an unknown kind")) break;
    piece.kind = Piece::Kind::kFrame;
    piece.content = in.Id<ContentId>();
    ReadLocation(in, table, &piece.frame);
    piece.frame.codec = head & 0xf;
    piece.frame.plain_length = count * kBlockBytes;
    if (!in.Require(IsPossibleLocation(piece.frame), "a piece's frame fits in no pack")) break;
  }
  return pieces;
}

void WritePieceIdentity(Writer& out, const Piece& piece) {
  const bool is_frame = piece.kind == Piece::Kind::kFrame;
  out.U8(static_cast<std::uint8_t>(is_frame ? kFrameKind : 0));
  out.U8(piece.first_block);
  out.U8(static_cast<std::uint8_t>(piece.block_count - 1));
  if (is_frame) out.Id(piece.content);
}

}  // namespace coffer::format
