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

Result<FrameReader::Opened> FrameReader::Open(const format::FrameContext& context,
                                              Result<SealedFrame> sealed) {
  if (!sealed.has_value()) return Fail(std::move(sealed).error());
  bytes_.fetch_add(sealed->bytes.size(), std::memory_order_relaxed);
  ASSIGN_OR_RETURN(const vault::KeyChest::Epoch* epoch, keys_.Find(context.key_epoch));
  const crypto::Sealer sealer(epoch->pack, context.pack.view());
  ASSIGN_OR_RETURN(Bytes plain, OpenFrame(sealer, sealed->bytes, context));
  return Opened{std::move(plain), sealed->origin};
}

Result<FrameReader::Opened> FrameReader::Read(const format::FrameRef& frame, format::FrameType type,
                                              std::uint8_t level, std::uint64_t index) {
  const format::FrameContext context{.type = type,
                                     .codec = frame.codec,
                                     .vault = keys_.vault(),
                                     .key_epoch = frame.key_epoch,
                                     .pack = frame.pack,
                                     .frame = frame.frame,
                                     .plain_length = frame.plain_length,
                                     .stored_length = frame.stored_length,
                                     .level = level,
                                     .index = index};
  Result<Opened> opened = Open(context, frames_.Get(frame));
  if (!opened.has_value() && opened.error().code == ErrorCode::kCorruption)
    opened = Open(context, frames_.GetAgain(frame));
  if (opened.has_value()) return opened;
  if (opened.error().code == ErrorCode::kNotFound ||
      opened.error().code == ErrorCode::kCorruption) {
    NoteLost(frame.pack);
  }
  if (opened.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kCorruption,
                Concat("MISSING-PACKS: ", format::PackName(frame.pack), " is not in the store"),
                "have the provider bring back what is gone, and look for a life-cycle rule that "
                "deletes objects");
  }
  if (opened.error().code == ErrorCode::kCorruption)
    return Fail(opened.error().Within(Describe(frame)));
  return opened;
}

Result<Bytes> FrameReader::ReadData(const format::FrameRef& frame, const ContentId& content) {
  data_frames_.fetch_add(1, std::memory_order_relaxed);
  ASSIGN_OR_RETURN(Opened opened, Read(frame, format::FrameType::kData, 0, 0));
  if (opened.origin == SealedFrame::Origin::kDiskCache && !compare_all_.load())
    return std::move(opened.plain);
  ASSIGN_OR_RETURN(const vault::KeyChest::Epoch* epoch, keys_.Find(frame.key_epoch));
  const auto type = static_cast<std::uint8_t>(format::FrameType::kData);
  if (epoch->content->Id(type, opened.plain) == content) return std::move(opened.plain);
  compare_all_.store(true);
  NoteLost(frame.pack);
  return Fail(ErrorCode::kCorruption, Describe(frame) + " holds other content than the map says");
}

Result<format::Page> FrameReader::ReadPage(const format::PageRef& ref, std::uint8_t level,
                                           std::uint64_t index, std::uint32_t chunk_size) {
  pages_.fetch_add(1, std::memory_order_relaxed);
  ASSIGN_OR_RETURN(const Opened opened, Read(ref.frame, format::FrameType::kPage, level, index));
  auto page = format::DecodePage(opened.plain, ref.frame.pack, ref.frame.key_epoch);
  if (!page.has_value()) return Fail(page.error().Within(Describe(ref.frame)));
  if (page->level != level || page->index != index || page->chunk_size != chunk_size)
    return Fail(ErrorCode::kCorruption, Describe(ref.frame) + " is another page than asked for");
  return page;
}

Result<Bytes> FrameReader::ReadDelta(const format::FrameRef& frame) {
  deltas_.fetch_add(1, std::memory_order_relaxed);
  ASSIGN_OR_RETURN(Opened opened, Read(frame, format::FrameType::kDelta, 0, 0));
  return std::move(opened.plain);
}

void FrameReader::NoteLost(const PackId& pack) {
  MutexLock lock(mutex_);
  any_lost_ = true;
  if (lost_.size() < kLostMax) lost_.insert(pack);
}

bool FrameReader::HasLost(const PackId& pack) const {
  if (!any_lost_) return false;
  MutexLock lock(mutex_);
  return lost_.size() >= kLostMax || lost_.contains(pack);
}

FrameReads FrameReader::reads() const {
  return {.data_frames = data_frames_.load(),
          .pages = pages_.load(),
          .deltas = deltas_.load(),
          .bytes = bytes_.load()};
}

}  // namespace coffer::pack
