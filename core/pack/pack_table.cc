#include "core/pack/pack_table.h"

#include "core/crypto/sealer.h"
#include "core/format/chain_name.h"
#include "core/format/pack.h"
#include "core/pack/frame_codec.h"

namespace coffer::pack {
namespace {

using format::FrameType;

/// What is asked of the store, aligned in the pack, as whoever reads does: it tells nothing of
/// frames and tables.
constexpr std::uint64_t kWindowBytes = 256 * 1024;

/// [offset, offset + length) of a pack, fetched in whole windows.
Result<Bytes> ReadWindows(store::ObjectStore& store, const PackId& pack, std::uint64_t offset,
                          std::uint64_t length) {
  const std::uint64_t first = offset / kWindowBytes * kWindowBytes;
  const std::uint64_t last = (offset + length + kWindowBytes - 1) / kWindowBytes * kWindowBytes;
  ASSIGN_OR_RETURN(const Bytes windows,
                   store.GetRange(Reading(), format::PackName(pack), first, last - first));
  if (windows.size() < offset - first + length)
    return Fail(ErrorCode::kCorruption, "the pack ends before its table does");
  return ToBytes(ByteView(windows).subspan(offset - first, length));
}

}  // namespace

Result<std::vector<PlacedFrame>> ReadPackTable(store::ObjectStore& store,
                                               const vault::KeyChest& keys, const PackId& pack) {
  ASSIGN_OR_RETURN(const Bytes start, ReadWindows(store, pack, 0, format::kPackFramesOffset));
  ASSIGN_OR_RETURN(const format::PackPrefix prefix, format::DecodePackPrefix(start));
  ASSIGN_OR_RETURN(const vault::KeyChest::Epoch* epoch, keys.Find(prefix.key_epoch));
  const crypto::Sealer sealer(epoch->pack, pack.view());
  const auto open = [&](FrameType type, std::uint32_t number, ByteView sealed) {
    const auto stored = static_cast<std::uint32_t>(sealed.size());
    return OpenFrame(sealer, sealed,
                     {.type = type,
                      .codec = 0,
                      .vault = keys.vault(),
                      .key_epoch = prefix.key_epoch,
                      .pack = pack,
                      .frame = number,
                      .plain_length = stored - static_cast<std::uint32_t>(format::kFrameTagBytes),
                      .stored_length = stored});
  };
  ASSIGN_OR_RETURN(
      const Bytes header_plain,
      open(FrameType::kPackHeader, 0, ByteView(start).subspan(format::kPackPrefixBytes)));
  const std::uint64_t claimed = LoadLe<std::uint32_t>(header_plain.data() + 12);
  ASSIGN_OR_RETURN(const format::PackHeader header,
                   format::DecodePackHeader(header_plain, claimed));
  ASSIGN_OR_RETURN(const Bytes sealed,
                   ReadWindows(store, pack, header.table_offset, header.table_length));
  ASSIGN_OR_RETURN(const Bytes table_plain,
                   open(FrameType::kPackTable, header.frame_count + 1, sealed));
  ASSIGN_OR_RETURN(const auto table, format::DecodePackTable(table_plain));
  std::vector<PlacedFrame> frames;
  std::uint32_t offset = format::kPackFramesOffset;
  for (const format::PackTableEntry& entry : table) {
    frames.push_back({.type = entry.type,
                      .level = entry.level,
                      .id = entry.id,
                      .ref = {.pack = pack,
                              .key_epoch = prefix.key_epoch,
                              .frame = static_cast<std::uint32_t>(frames.size() + 1),
                              .offset = offset,
                              .stored_length = entry.stored_length,
                              .plain_length = entry.plain_length,
                              .codec = entry.codec}});
    offset += entry.stored_length;
  }
  if (frames.size() != header.frame_count || offset != header.table_offset)
    return Fail(ErrorCode::kCorruption, "the pack's table is not that of its frames");
  return frames;
}

}  // namespace coffer::pack
