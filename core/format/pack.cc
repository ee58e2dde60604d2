#include "core/format/pack.h"

#include <bit>

#include "core/format/envelope.h"
#include "core/format/fields.h"

namespace coffer::format {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "CofPack\0"sv;
constexpr std::size_t kTableEntryBytesMin = 1 + 1 + 1 + 1;

/// The longest plaintext of a frame of this type; 0 for those that no table lists.
std::uint32_t PlainBytesMax(FrameType type) {
  switch (type) {
    case FrameType::kData:
      return kChunkBytesMax;
    case FrameType::kPage:
      return kPageBytesMax;
    case FrameType::kDelta:
      return kDeltaBytesMax;
    case FrameType::kPackHeader:
    case FrameType::kPackTable:
    case FrameType::kPadding:
      break;
  }
  return 0;
}

PackTableEntry ReadTableEntry(Reader& in) {
  PackTableEntry entry{};
  entry.type = static_cast<FrameType>(in.U8());
  const std::uint32_t plain_max = PlainBytesMax(entry.type);
  if (!in.Require(plain_max != 0, "a frame of an unknown type")) return entry;
  entry.codec = in.U8();
  entry.stored_length = in.VarintIn<std::uint32_t>(kFrameTagBytes + 1, kPackBytesMax);
  entry.plain_length = in.VarintIn<std::uint32_t>(1, plain_max);
  in.Require(entry.codec <= kCodecMax && entry.stored_length <= entry.plain_length + kFrameTagBytes,
             "a frame's codec or lengths cannot be");
  if (entry.type == FrameType::kData)
    in.Require(entry.plain_length % kBlockBytes == 0, "a data frame of half a block");
  if (entry.type != FrameType::kDelta) entry.id = in.Id<ContentId>();
  if (entry.type == FrameType::kPage) {
    entry.level = in.U8();
    in.Require(entry.level <= kPageLevelMax, "a page's level is too high");
    entry.index = in.Varint();
  }
  return entry;
}

}  // namespace

Bytes Encode(const PackPrefix& prefix) {
  Writer out(kPackPrefixBytes);
  WriteEnvelope(out, kMagic);
  out.U32(prefix.key_epoch);
  return out.Take();
}

Result<PackPrefix> DecodePackPrefix(ByteView bytes) {
  Reader in(bytes.first(std::min(bytes.size(), kPackPrefixBytes)), "pack");
  ReadEnvelope(in, kMagic);
  const PackPrefix prefix{in.U32()};
  in.Require(prefix.key_epoch != 0, "key epoch 0");
  RETURN_IF_ERROR(in.End());
  return prefix;
}

Bytes Encode(const PackHeader& header) {
  Writer out(kPackHeaderPlainBytes);
  out.U32(header.frame_count);
  out.U32(header.table_offset);
  out.U32(header.table_length);
  out.U32(header.pack_length);
  return out.Take();
}

Result<PackHeader> DecodePackHeader(ByteView bytes, std::uint64_t pack_bytes) {
  Reader in(bytes, "pack header");
  PackHeader header{};
  header.frame_count = in.U32();
  header.table_offset = in.U32();
  header.table_length = in.U32();
  header.pack_length = in.U32();
  in.Require(header.frame_count >= 1 && header.frame_count <= kFramesPerPackMax,
             "a number of frames that cannot be");
  in.Require(header.pack_length <= kPackBytesMax && header.table_offset <= header.pack_length &&
                 header.table_length <= header.pack_length,
             "its table lies outside");
  const std::uint64_t frames_end_min =
      kPackFramesOffset + std::uint64_t{header.frame_count} * (kFrameTagBytes + 1);
  in.Require(header.table_offset >= frames_end_min && header.table_length > kFrameTagBytes,
             "its table lies among the frames");
  const std::uint64_t table_end = std::uint64_t{header.table_offset} + header.table_length;
  in.Require(header.pack_length == PadmeLength(table_end + kFrameTagBytes),
             "its length is not the padded one");
  in.Require(header.pack_length == pack_bytes, "the object has another length");
  RETURN_IF_ERROR(in.End());
  return header;
}

Bytes Encode(const std::vector<PackTableEntry>& table) {
  CHECK(!table.empty() && table.size() <= kFramesPerPackMax);
  Writer out(kVarintBytesMax + table.size() * 28);
  out.Varint(table.size());
  for (const PackTableEntry& entry : table) {
    CHECK(PlainBytesMax(entry.type) != 0 && entry.codec <= kCodecMax);
    out.U8(static_cast<std::uint8_t>(entry.type));
    out.U8(entry.codec);
    out.Varint(entry.stored_length);
    out.Varint(entry.plain_length);
    if (entry.type != FrameType::kDelta) out.Id(entry.id);
    if (entry.type == FrameType::kPage) {
      out.U8(entry.level);
      out.Varint(entry.index);
    }
  }
  return out.Take();
}

Result<std::vector<PackTableEntry>> DecodePackTable(ByteView bytes) {
  Reader in(bytes, kPackBytesMax, "pack table");
  const std::size_t count = in.Count(kFramesPerPackMax, kTableEntryBytesMin);
  in.Require(count != 0, "it lists no frame");
  std::vector<PackTableEntry> table;
  table.reserve(count);
  std::uint64_t end = kPackFramesOffset;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    table.push_back(ReadTableEntry(in));
    end += table.back().stored_length;
    in.Require(end <= kPackBytesMax, "its frames fit in no pack");
  }
  RETURN_IF_ERROR(in.End());
  return table;
}

std::uint64_t PadmeLength(std::uint64_t length) {
  if (length < 2) return length;
  const int exponent = static_cast<int>(std::bit_width(length)) - 1;
  const int mantissa_bits = static_cast<int>(std::bit_width(static_cast<unsigned>(exponent)));
  const std::uint64_t mask = (std::uint64_t{1} << (exponent - mantissa_bits)) - 1;
  return (length + mask) & ~mask;
}

}  // namespace coffer::format
