// Pieces and references to frames as pages and deltas hold them: with an index into the page's own
// table of packs instead of pack ids. Only for this folder.
//
// The table comes first in the encoding but is known last, so encoders write their entries into a
// body of their own while the table grows, then table and body. A fold encodes tens of thousands of
// leaves: nothing here allocates per piece.
#pragma once

#include <vector>

#include "core/format/piece.h"
#include "core/format/wire.h"

namespace coffer::format {

/// A pack other than the one that holds the page.
struct OtherPack {
  PackId pack;
  std::uint32_t key_epoch;
  auto operator<=>(const OtherPack&) const = default;
};
inline constexpr std::size_t kOtherPackBytes = 32 + 4;

/// Numbers packs in the order in which they come up; 0 is `self`.
class PackTableWriter {
 public:
  explicit PackTableWriter(const PackId& self) : self_(self) {}
  [[nodiscard]] std::uint32_t IndexOf(const FrameRef& ref) {
    if (ref.pack == self_) return 0;
    if (last_ != 0 && packs_[last_ - 1] == OtherPack{ref.pack, ref.key_epoch}) return last_;
    return last_ = FindOrAdd({ref.pack, ref.key_epoch});
  }
  [[nodiscard]] std::size_t encoded_bytes_max() const {
    return kVarintBytesMax + packs_.size() * kOtherPackBytes;
  }
  void Write(Writer& out) const;

 private:
  [[nodiscard]] std::uint32_t FindOrAdd(const OtherPack& pack);
  [[nodiscard]] std::uint32_t& SlotOf(const OtherPack& pack);
  void Rehash();

  PackId self_;
  std::vector<OtherPack> packs_;
  std::vector<std::uint32_t> slots_;  // open addressing; index into packs_ + 1, 0 = free
  std::uint32_t last_ = 0;
};

/// The other way. Holds the reader to the canonical table: no pack twice, numbered by first use.
class PackTableReader {
 public:
  PackTableReader(Reader& in, const PackId& self, std::uint32_t self_epoch);
  /// Reads a pack index into `ref`.
  void ReadPack(Reader& in, FrameRef* ref);
  /// To be called at the end: every pack must have been used.
  void RequireAllUsed(Reader& in) const {
    in.Require(used_ == packs_.size(), "a pack is listed and not used");
  }

 private:
  OtherPack self_;
  std::vector<OtherPack> packs_;
  std::size_t used_ = 0;
};

/// Pack index, frame, offset, stored length.
void WriteLocation(Writer& out, PackTableWriter& table, const FrameRef& ref);
void ReadLocation(Reader& in, PackTableReader& table, FrameRef* ref);

inline constexpr std::size_t kPieceBytesMin = 3;
/// Count and pieces.
void WritePieces(Writer& out, PackTableWriter& table, const Pieces& pieces);
[[nodiscard]] Pieces ReadPieces(Reader& in, PackTableReader& table, std::uint32_t chunk_size);

/// Kind, blocks and content id, without codec and location: what a page's id covers.
void WritePieceIdentity(Writer& out, const Piece& piece);

}  // namespace coffer::format
