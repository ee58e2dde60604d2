#include "core/pack/pack_builder.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/crypto/digests.h"
#include "core/crypto/hash.h"
#include "core/crypto/suite.h"
#include "core/format/limits.h"

namespace coffer::pack {
namespace {

using format::FrameType;

/// Frames that one task opens again: a few MiB.
constexpr std::size_t kFramesPerPart = 32;

/// A number below `bound`, evenly: Fisher-Yates must not favour an order.
std::uint64_t UniformBelow(Random& random, std::uint64_t bound) {
  const std::uint64_t limit = bound * (~std::uint64_t{0} / bound);
  for (;;) {
    std::array<std::byte, 8> bytes;
    random.Fill(bytes);
    const auto value = LoadLe<std::uint64_t>(bytes.data());
    if (value < limit) return value % bound;
  }
}

}  // namespace

std::size_t PackBuilder::AddData(CompressedFrame frame, std::uint64_t run) {
  CHECK(!arranged_);
  bytes_ += frame.stored.size() + crypto::kTagBytes;
  frames_.push_back(std::make_unique<Slot>(Slot{.frame = std::move(frame), .run = run}));
  return frames_.size() - 1;
}

void PackBuilder::Place(Slot& slot) {
  slot.number = static_cast<std::uint32_t>(order_.size() + 1);
  slot.offset = next_offset_;
  next_offset_ += static_cast<std::uint32_t>(slot.frame.stored.size() + crypto::kTagBytes);
  order_.push_back(&slot);
}

void PackBuilder::Arrange() {
  CHECK(!arranged_);
  arranged_ = true;
  std::vector<std::pair<std::size_t, std::size_t>> runs;  // [first, last) tickets
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    if (i == 0 || frames_[i]->run != frames_[i - 1]->run) runs.push_back({i, i});
    runs.back().second = i + 1;
  }
  for (std::size_t i = runs.size(); i > 1; --i)
    std::swap(runs[i - 1], runs[UniformBelow(random_, i)]);
  for (const auto& [first, last] : runs)
    for (std::size_t i = first; i < last; ++i) Place(*frames_[i]);
}

format::FrameRef PackBuilder::AddMetadata(CompressedFrame frame) {
  if (!arranged_) Arrange();
  bytes_ += frame.stored.size() + crypto::kTagBytes;
  frames_.push_back(std::make_unique<Slot>(Slot{.frame = std::move(frame)}));
  Place(*frames_.back());
  return RefOf(*frames_.back());
}

format::FrameRef PackBuilder::RefOf(const Slot& slot) const {
  return {.pack = {},
          .key_epoch = keys_.epoch,
          .frame = slot.number,
          .offset = slot.offset,
          .stored_length = static_cast<std::uint32_t>(slot.frame.stored.size() + crypto::kTagBytes),
          .plain_length = slot.frame.plain_length,
          .codec = slot.frame.codec};
}

format::FrameRef PackBuilder::Ref(std::size_t ticket) const {
  CHECK(arranged_);
  return RefOf(*frames_[ticket]);
}

bool PackBuilder::IsFullFor(std::size_t stored_bytes, std::size_t target_bytes) const {
  if (frames_.empty()) return false;
  return bytes_ + stored_bytes + crypto::kTagBytes > target_bytes ||
         frames_.size() >= format::kFramesPerPackMax;
}

PackId PackBuilder::MakeId() const {
  std::vector<ByteView> stored;
  stored.reserve(order_.size());
  for (const Slot* slot : order_) stored.emplace_back(slot->frame.stored);
  std::vector<crypto::Digest> digests(stored.size());
  crypto::DigestEach(stored, digests);
  const ObjectHash content = crypto::Sha256(std::as_bytes(std::span(digests)));
  std::array<std::byte, 32> fresh;
  random_.Fill(fresh);
  return PackId::From(crypto::HmacSha256(keys_.pack_id_hedge, {fresh, content.view()}));
}

format::FrameContext PackBuilder::ContextOf(const Slot& slot, const PackId& id) const {
  const format::FrameRef ref = RefOf(slot);
  return {.type = slot.frame.type,
          .codec = slot.frame.codec,
          .vault = vault_,
          .key_epoch = keys_.epoch,
          .pack = id,
          .frame = ref.frame,
          .plain_length = ref.plain_length,
          .stored_length = ref.stored_length,
          .level = slot.frame.level,
          .index = slot.frame.index};
}

Result<SealedPack> PackBuilder::Seal(Executor& work) {
  CHECK(!frames_.empty());
  if (!arranged_) Arrange();
  SealedPack pack{.id = MakeId(), .key_epoch = keys_.epoch, .object = {}};
  const crypto::Sealer sealer(keys_.pack, pack.id.view());

  std::vector<format::PackTableEntry> table;
  table.reserve(order_.size());
  for (const Slot* slot : order_) {
    const CompressedFrame& frame = slot->frame;
    (frame.type == FrameType::kData ? pack.has_data : pack.has_metadata) = true;
    format::FrameRef ref = RefOf(*slot);
    ref.pack = pack.id;
    pack.frames.push_back({.type = frame.type, .level = frame.level, .id = frame.id, .ref = ref});
    table.push_back(
        {.type = frame.type,
         .codec = frame.codec,
         .stored_length = static_cast<std::uint32_t>(frame.stored.size() + crypto::kTagBytes),
         .plain_length = frame.plain_length,
         .id = frame.id,
         .level = frame.level,
         .index = frame.index});
  }
  const Bytes table_plain = Encode(table);
  const auto table_length = static_cast<std::uint32_t>(table_plain.size() + crypto::kTagBytes);
  const auto count = static_cast<std::uint32_t>(order_.size());
  // Padding has a tag of its own, so the padded length leaves room for at least that.
  const std::uint64_t used = std::uint64_t{next_offset_} + table_length;
  const std::uint64_t total = format::PadmeLength(used + crypto::kTagBytes);
  pack.object.resize(total);
  const MutableByteView object(pack.object);

  const auto seal = [&](FrameType type, std::uint32_t number, ByteView plain, std::size_t offset) {
    const format::FrameContext context{
        .type = type,
        .codec = 0,
        .vault = vault_,
        .key_epoch = keys_.epoch,
        .pack = pack.id,
        .frame = number,
        .plain_length = static_cast<std::uint32_t>(plain.size()),
        .stored_length = static_cast<std::uint32_t>(plain.size() + crypto::kTagBytes)};
    sealer.Seal(number, format::FrameAad(context), plain,
                object.subspan(offset, plain.size() + crypto::kTagBytes));
  };

  const Bytes prefix = Encode(format::PackPrefix{.key_epoch = keys_.epoch});
  std::copy(prefix.begin(), prefix.end(), pack.object.begin());
  seal(FrameType::kPackHeader, 0,
       Encode(format::PackHeader{.frame_count = count,
                                 .table_offset = next_offset_,
                                 .table_length = table_length,
                                 .pack_length = static_cast<std::uint32_t>(total)}),
       format::kPackPrefixBytes);
  for (const Slot* slot : order_) {
    sealer.Seal(slot->number, format::FrameAad(ContextOf(*slot, pack.id)), slot->frame.stored,
                object.subspan(slot->offset, slot->frame.stored.size() + crypto::kTagBytes));
  }
  seal(FrameType::kPackTable, count + 1, table_plain, next_offset_);
  seal(FrameType::kPadding, count + 2, Bytes(total - used - crypto::kTagBytes, std::byte{0}), used);

  if (!Planted("upload-unverified")) RETURN_IF_ERROR(Verify(pack, work));
  return pack;
}

Status PackBuilder::Verify(const SealedPack& pack, Executor& work) const {
  const std::size_t parts = (order_.size() + kFramesPerPart - 1) / kFramesPerPart;
  std::vector<Status> found(parts);
  ParallelFor(work, parts, [&](std::size_t part) {
    const std::size_t first = part * kFramesPerPart;
    found[part] = Verify(
        pack, std::span(order_).subspan(first, std::min(kFramesPerPart, order_.size() - first)));
  });
  for (Status& status : found) RETURN_IF_ERROR(std::move(status));
  return {};
}

Status PackBuilder::Verify(const SealedPack& pack, std::span<Slot* const> slots) const {
  const crypto::Sealer sealer(keys_.pack, pack.id.view());
  for (const Slot* slot : slots) {
    const ByteView sealed =
        ByteView(pack.object).subspan(slot->offset, slot->frame.stored.size() + crypto::kTagBytes);
    auto plain = OpenFrame(sealer, sealed, ContextOf(*slot, pack.id));
    if (!plain.has_value() || keys_.content->Id(static_cast<std::uint8_t>(slot->frame.type),
                                                *plain) != slot->frame.check) {
      return Fail(
          ErrorCode::kCorruption,
          Concat("frame ", slot->number, " does not open to what was sealed; not uploaded: ",
                 "faulty memory or processor?"),
          "test this machine's memory; the data are still in the journal");
    }
  }
  return {};
}

}  // namespace coffer::pack
