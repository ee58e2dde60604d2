#include "tests/scale/inspecting_store.h"

#include "core/format/associated_data.h"
#include "core/format/chain_name.h"
#include "core/format/pack.h"
#include "core/pack/frame_codec.h"

namespace coffer::scale {
namespace {

using format::FrameType;

/// A frame of a pack's own: never compressed, plain length follows from the stored one.
Result<Bytes> OpenOwn(const crypto::Sealer& sealer, ByteView sealed, FrameType type,
                      const VaultId& vault, std::uint32_t epoch, const PackId& pack,
                      std::uint32_t number) {
  return pack::OpenFrame(
      sealer, sealed,
      {.type = type,
       .codec = 0,
       .vault = vault,
       .key_epoch = epoch,
       .pack = pack,
       .frame = number,
       .plain_length = static_cast<std::uint32_t>(sealed.size() - format::kFrameTagBytes),
       .stored_length = static_cast<std::uint32_t>(sealed.size())});
}

}  // namespace

StoredBytes StoredBytes::Since(const StoredBytes& earlier) const {
  return {.data = data - earlier.data,
          .deltas = deltas - earlier.deltas,
          .pages = pages - earlier.pages,
          .tables = tables - earlier.tables,
          .padding = padding - earlier.padding,
          .heads = heads - earlier.heads,
          .others = others - earlier.others,
          .data_frames = data_frames - earlier.data_frames,
          .page_frames = page_frames - earlier.page_frames,
          .packs = packs - earlier.packs};
}

Status InspectingStore::Create(const RequestContext& context, const std::string& name,
                               ByteView data, store::ObjectClass object_class) {
  RETURN_IF_ERROR(inner_->Create(context, name, data, object_class));
  if (name.starts_with("heads/")) {
    sight_.stored.heads += data.size();
  } else if (name.starts_with("packs/") && sight_.keys != nullptr) {
    RETURN_IF_ERROR(TakeApart(name, data));
  } else {
    sight_.stored.others += data.size();
  }
  return {};
}

Status InspectingStore::TakeApart(const std::string& name, ByteView pack) {
  ASSIGN_OR_RETURN(const format::PackPrefix prefix, format::DecodePackPrefix(pack));
  ASSIGN_OR_RETURN(const auto* keys, sight_.keys->Find(prefix.key_epoch));
  const std::optional<PackId> id = format::PackIdFromName(name);
  if (!id.has_value()) return Fail(ErrorCode::kCorruption, name + " is no pack's name");
  const crypto::Sealer sealer(keys->pack, id->view());
  const auto open = [&](FrameType type, std::size_t offset, std::size_t length,
                        std::uint32_t number) {
    return OpenOwn(sealer, pack.subspan(offset, length), type, sight_.keys->vault(),
                   prefix.key_epoch, *id, number);
  };
  ASSIGN_OR_RETURN(const Bytes header_plain,
                   open(FrameType::kPackHeader, format::kPackPrefixBytes,
                        format::kPackHeaderPlainBytes + format::kFrameTagBytes, 0));
  ASSIGN_OR_RETURN(const format::PackHeader header,
                   format::DecodePackHeader(header_plain, pack.size()));
  ASSIGN_OR_RETURN(const Bytes table_plain, open(FrameType::kPackTable, header.table_offset,
                                                 header.table_length, header.frame_count + 1));
  ASSIGN_OR_RETURN(const auto table, format::DecodePackTable(table_plain));
  StoredBytes& stored = sight_.stored;
  ++stored.packs;
  stored.tables += format::kPackFramesOffset + header.table_length;
  stored.padding += pack.size() - header.table_offset - header.table_length;
  for (const format::PackTableEntry& entry : table) {
    if (entry.type == FrameType::kData) {
      stored.data += entry.stored_length;
      ++stored.data_frames;
    } else if (entry.type == FrameType::kPage) {
      stored.pages += entry.stored_length;
      ++stored.page_frames;
    } else {
      stored.deltas += entry.stored_length;
    }
  }
  return {};
}

}  // namespace coffer::scale
