#include "core/format/journal.h"

#include <algorithm>

#include "core/format/envelope.h"
#include "core/format/fields.h"

namespace coffer::format {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "CofJrnl\0"sv;
constexpr std::uint8_t kContinuesFlag = 1;

bool IsWholeBlocksWithin(const RecordHeader& header, std::uint64_t length_max) {
  return header.length != 0 && header.length <= length_max && header.length % kBlockBytes == 0 &&
         header.offset % kBlockBytes == 0 && header.offset <= kVolumeBytesMax - header.length;
}

bool IsPossible(const RecordHeader& header) {
  switch (header.kind) {
    case RecordKind::kWrite:
      return IsWholeBlocksWithin(header, kRecordDataBytesMax);
    case RecordKind::kZero:
      return IsWholeBlocksWithin(header, kVolumeBytesMax);
    case RecordKind::kResize:
      return header.offset == 0 && !header.continues && IsValidVolumeSize(header.length);
  }
  return false;
}

}  // namespace

Bytes Encode(const SegmentPrefix& prefix) {
  Writer out(kSegmentPrefixBytes);
  WriteEnvelope(out, kMagic);
  out.U32(prefix.key_epoch);
  out.U64(prefix.segment);
  out.Raw(prefix.salt);
  return out.Take();
}

Result<SegmentPrefix> DecodeSegmentPrefix(ByteView bytes) {
  const ByteView clear = bytes.first(std::min(bytes.size(), kSegmentPrefixBytes));
  if (clear.size() == kSegmentPrefixBytes && IsZero(clear))
    return Fail(ErrorCode::kNotFound, "journal segment: never used");
  Reader in(clear, "journal segment");
  ReadEnvelope(in, kMagic);
  SegmentPrefix prefix;
  prefix.key_epoch = in.U32();
  prefix.segment = in.U64();
  in.Array(&prefix.salt);
  RETURN_IF_ERROR(in.End());
  return prefix;
}

Bytes Encode(const SegmentHeader& header) {
  Writer out(kSegmentHeaderPlainBytes);
  out.Id(header.vault);
  out.Id(header.volume);
  out.Id(header.stream);
  out.U64(header.segment);
  out.U64(header.first_seq);
  out.U64(header.stream_first_seq);
  out.Raw(header.chain_tag);
  WriteChainPoint(out, header.base_head);
  out.U64(header.volume_size);
  out.I64(header.created_unix);
  return out.Take();
}

Result<SegmentHeader> DecodeSegmentHeader(ByteView bytes) {
  Reader in(bytes, "journal segment header");
  SegmentHeader header;
  header.vault = in.Id<VaultId>();
  header.volume = in.Id<VolumeId>();
  header.stream = in.Id<StreamId>();
  header.segment = in.U64();
  header.first_seq = in.U64();
  header.stream_first_seq = in.U64();
  in.Array(&header.chain_tag);
  header.base_head = ReadChainPoint(in);
  header.volume_size = in.U64();
  header.created_unix = in.I64();
  in.Require(!header.stream.IsNull() && header.stream_first_seq != 0,
             "it names no stream or record");
  in.Require(header.first_seq >= header.stream_first_seq, "it begins before its stream");
  in.Require(IsValidVolumeSize(header.volume_size), "a volume size that cannot be");
  RETURN_IF_ERROR(in.End());
  return header;
}

Result<GroupHeader> DecodeGroupHeader(ByteView bytes) {
  if (bytes.size() < 4 || LoadLe<std::uint32_t>(bytes.data()) != kGroupMagic)
    return Fail(ErrorCode::kNotFound, "journal group: none here");
  Reader in(bytes.first(std::min(bytes.size(), kGroupHeaderBytes)), "journal group");
  static_cast<void>(in.U32());  // the magic
  GroupHeader header;
  header.total_bytes = in.U32();
  header.segment = in.U64();
  header.first_seq = in.U64();
  header.record_count = in.U32();
  header.not_durable = in.U32();
  in.Array(&header.chain_tag);
  in.Array(&header.salt);
  const std::uint64_t count = header.record_count;
  in.Require(count >= 1 && count <= kRecordsPerGroupMax, "a number of records that cannot be");
  in.Require(header.first_seq != 0 && header.first_seq <= ~count,
             "sequence numbers that cannot be");
  in.Require(header.not_durable < header.first_seq, "more records before it than there are");
  const std::uint64_t least = kGroupHeaderBytes + count * kRecordOverheadBytes;
  const std::uint64_t most = least + count * kRecordDataBytesMax;
  in.Require(header.total_bytes >= least && header.total_bytes <= most &&
                 header.total_bytes <= kJournalSegmentBytesMax - kSegmentHeaderBytes,
             "a length that cannot be");
  RETURN_IF_ERROR(in.End());
  return header;
}

Result<RecordHeader> DecodeRecordHeader(ByteView bytes) {
  Reader in(bytes, "journal record");
  RecordHeader header;
  header.kind = static_cast<RecordKind>(in.U8());
  const std::uint8_t flags = in.U8();
  in.Require((flags & ~kContinuesFlag) == 0, "reserved bits are in use");
  header.written_unix = in.U16();
  header.written_unix |= std::uint64_t{in.U32()} << 16;
  header.continues = (flags & kContinuesFlag) != 0;
  header.offset = in.U64();
  header.length = in.U64();
  in.Require(IsPossible(header), "its kind, offset or length cannot be");
  RETURN_IF_ERROR(in.End());
  return header;
}

}  // namespace coffer::format
