#include "core/cache/journal_group.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/crypto/hash.h"
#include "core/format/associated_data.h"

namespace coffer::cache {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kBufferBytesKept = 1 << 20;

std::span<std::byte, format::kRecordHeaderBytes> HeaderPlace(MutableByteView record) {
  return record.first<format::kRecordHeaderBytes>();
}

}  // namespace

std::array<std::byte, 32> HedgedSalt(Random& random, const StreamId& stream, std::uint64_t segment,
                                     std::uint64_t first_seq, const format::ChainTag& chain_tag) {
  if (Planted("reuse-journal-salt")) return {};
  std::array<std::byte, 32 + 16 + 8 + 8 + 16> mixed;
  std::byte* to = mixed.data();
  random.Fill({to, 32});
  std::memcpy(to + 32, stream.bytes.data(), 16);
  StoreLe(to + 48, segment);
  StoreLe(to + 56, first_seq);
  std::memcpy(to + 64, chain_tag.data(), 16);
  return crypto::Sha256(mixed).bytes;
}

GroupSealer::Sealed GroupSealer::Seal(const GroupPlace& place, std::span<GroupItem> items) {
  std::size_t total = format::kGroupHeaderBytes;
  for (const GroupItem& item : items) total += GroupBytes(item.header);
  const std::size_t end = place.offset + total;
  const std::size_t padded = total + (kPageBytes - end % kPageBytes) % kPageBytes;
  buffer_.resize(padded);
  std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(total), buffer_.end(), std::byte{0});

  const format::GroupHeader header{
      .total_bytes = static_cast<std::uint32_t>(total),
      .segment = place.segment,
      .first_seq = place.first_seq,
      .record_count = static_cast<std::uint32_t>(items.size()),
      .not_durable = place.not_durable,
      .chain_tag = place.chain_tag,
      .salt = HedgedSalt(random_, place.stream, place.segment, place.first_seq, place.chain_tag)};
  const MutableByteView out(buffer_);
  const auto header_bytes = out.first<format::kGroupHeaderBytes>();
  EncodeTo(header, header_bytes);
  const crypto::Sealer sealer(journal_key_, header.salt, header_bytes);

  std::size_t at = format::kGroupHeaderBytes;
  for (std::uint32_t number = 0; number < items.size(); ++number) {
    GroupItem& item = items[number];
    CHECK(item.data.size() == DataBytes(item.header));
    const std::size_t plain_bytes = format::kRecordHeaderBytes + item.data.size();
    const std::size_t sealed_bytes = plain_bytes + crypto::kTagBytes;
    StoreLe(out.data() + at, static_cast<std::uint32_t>(sealed_bytes));
    at += 4;
    const MutableByteView sealed = out.subspan(at, sealed_bytes);
    EncodeTo(item.header, HeaderPlace(sealed));
    sealer.Seal(number, format::RecordAad(place.stream, place.segment, place.first_seq + number),
                sealed.first(format::kRecordHeaderBytes), item.data, sealed);
    item.location = {.segment = place.segment,
                     .group_offset = place.offset,
                     .record_offset = place.offset + static_cast<std::uint32_t>(at),
                     .number = number};
    at += sealed_bytes;
  }
  CHECK(at == total);
  Sealed result{.bytes = out, .total_bytes = header.total_bytes};
  std::memcpy(result.last_tag.data(), out.data() + total - crypto::kTagBytes, crypto::kTagBytes);
  return result;
}

void GroupSealer::Trim() {
  if (buffer_.capacity() > kBufferBytesKept) buffer_ = Bytes();
}

crypto::Sealer OpenerOf(const SecretBytes& journal_key, const format::GroupHeader& header,
                        ByteView header_bytes) {
  CHECK(header_bytes.size() == format::kGroupHeaderBytes);
  return crypto::Sealer(journal_key, header.salt, header_bytes);
}

Result<format::RecordHeader> OpenRecord(const crypto::Sealer& sealer, const StreamId& stream,
                                        std::uint64_t segment, std::uint64_t seq,
                                        std::uint32_t number, ByteView sealed, Bytes* plain) {
  if (sealed.size() < format::kRecordHeaderBytes + crypto::kTagBytes) {
    return Fail(ErrorCode::kCorruption, Concat("record ", seq, " is too short"));
  }
  plain->resize(sealed.size() - crypto::kTagBytes);
  return OpenRecord(sealer, stream, segment, seq, number, sealed, MutableByteView(*plain));
}

Result<format::RecordHeader> OpenRecord(const crypto::Sealer& sealer, const StreamId& stream,
                                        std::uint64_t segment, std::uint64_t seq,
                                        std::uint32_t number, ByteView sealed,
                                        MutableByteView plain) {
  const Status opened = sealer.Open(number, format::RecordAad(stream, segment, seq), sealed, plain);
  if (!opened.has_value()) return Fail(opened.error().Within(Concat("record ", seq)));
  const auto header = format::DecodeRecordHeader(ByteView(plain).first(format::kRecordHeaderBytes));
  if (!header.has_value()) {
    return Fail(ErrorCode::kUnsupported, Concat("record ", seq, ": ", header.error().message));
  }
  if (plain.size() != format::kRecordHeaderBytes + DataBytes(*header)) {
    return Fail(ErrorCode::kUnsupported,
                Concat("record ", seq, " has another length than it says"));
  }
  return *header;
}

}  // namespace coffer::cache
