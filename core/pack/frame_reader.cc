#include "core/pack/frame_reader.h"

#include "core/base/log.h"
#include "core/compress/decompressor.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "core/format/chain_name.h"
#include "core/pack/frame_codec.h"

namespace coffer::pack {
namespace {

std::string Describe(const format::FrameRef& frame) {
  return Concat("frame ", frame.frame, " of ", format::PackName(frame.pack));
}

}  // namespace

Result<Bytes> FrameReader::Read(const format::FrameRef& frame, format::FrameType type,
                                std::uint8_t level, std::uint64_t index) {
  ASSIGN_OR_RETURN(const vault::KeyChest::Epoch* epoch, keys_.Find(frame.key_epoch));
  auto sealed = store_.GetRange(format::PackName(frame.pack), frame.offset, frame.stored_length);
  if (!sealed.has_value()) {
    if (sealed.error().code == ErrorCode::kNotFound)
      return Fail(ErrorCode::kCorruption,
                  Concat("MISSING-PACKS: ", format::PackName(frame.pack), " is not in the store"),
                  "run coffer check; look for a life-cycle rule that deletes objects");
    return Fail(std::move(sealed).error());
  }
  bytes_.fetch_add(sealed->size(), std::memory_order_relaxed);
  const crypto::Sealer sealer(epoch->pack, frame.pack.view());
  auto plain = OpenFrame(sealer, *sealed,
                         {.type = type,
                          .codec = frame.codec,
                          .vault = keys_.vault(),
                          .key_epoch = frame.key_epoch,
                          .pack = frame.pack,
                          .frame = frame.frame,
                          .plain_length = frame.plain_length,
                          .stored_length = frame.stored_length,
                          .level = level,
                          .index = index});
  if (!plain.has_value()) return Fail(plain.error().Within(Describe(frame)));
  return plain;
}

Result<Bytes> FrameReader::ReadData(const format::FrameRef& frame, const ContentId& content) {
  data_frames_.fetch_add(1, std::memory_order_relaxed);
  ASSIGN_OR_RETURN(Bytes plain, Read(frame, format::FrameType::kData, 0, 0));
  ASSIGN_OR_RETURN(const vault::KeyChest::Epoch* epoch, keys_.Find(frame.key_epoch));
  if (epoch->content->Id(static_cast<std::uint8_t>(format::FrameType::kData), plain) != content)
    return Fail(ErrorCode::kCorruption, Describe(frame) + " holds other content than the map says");
  return plain;
}

Result<format::Page> FrameReader::ReadPage(const format::PageRef& ref, std::uint8_t level,
                                           std::uint64_t index, std::uint32_t chunk_size) {
  pages_.fetch_add(1, std::memory_order_relaxed);
  ASSIGN_OR_RETURN(Bytes plain, Read(ref.frame, format::FrameType::kPage, level, index));
  auto page = format::DecodePage(plain, ref.frame.pack, ref.frame.key_epoch);
  if (!page.has_value()) return Fail(page.error().Within(Describe(ref.frame)));
  if (page->level != level || page->index != index || page->chunk_size != chunk_size)
    return Fail(ErrorCode::kCorruption, Describe(ref.frame) + " is another page than asked for");
  return page;
}

Result<Bytes> FrameReader::ReadDelta(const format::FrameRef& frame) {
  deltas_.fetch_add(1, std::memory_order_relaxed);
  return Read(frame, format::FrameType::kDelta, 0, 0);
}

FrameReads FrameReader::reads() const {
  return {.data_frames = data_frames_.load(),
          .pages = pages_.load(),
          .deltas = deltas_.load(),
          .bytes = bytes_.load()};
}

}  // namespace coffer::pack
