#include "core/format/delta.h"

#include "core/format/fields.h"
#include "core/format/piece_wire.h"

namespace coffer::format {
namespace {

constexpr std::size_t kEntryBytesUsual = 34;
constexpr std::size_t kEntryBytesMin = 1 + 1 + 1;

/// Reads an entry that lies at or after chunk `from`, all of it before `chunks`.
DeltaEntry ReadEntry(Reader& in, PackTableReader& table, std::uint32_t chunk_size,
                     std::uint64_t from, std::uint64_t chunks) {
  DeltaEntry entry;
  entry.op = static_cast<DeltaEntry::Op>(in.U8());
  in.Require(entry.op <= DeltaEntry::Op::kClear, "an unknown operation");
  const std::uint64_t distance = in.Varint();
  if (!in.Require(from < chunks && distance < chunks - from, "a chunk is beyond any volume"))
    return entry;
  entry.chunk = from + distance;
  if (entry.op == DeltaEntry::Op::kClear)
    entry.chunk_count = in.VarintIn<std::uint64_t>(1, chunks - entry.chunk);
  else
    entry.pieces = ReadPieces(in, table, chunk_size);
  return entry;
}

}  // namespace

Result<Bytes> Encode(const Delta& delta, const PackId& self) {
  CHECK(!delta.entries.empty());
  const auto too_much = [] {
    return Fail(ErrorCode::kUnsupported, "one commit changes more of the map than a delta holds");
  };
  if (delta.entries.size() > kDeltaEntriesMax) return too_much();
  PackTableWriter table(self);
  Writer body(kVarintBytesMax + delta.entries.size() * kEntryBytesUsual);
  body.Varint(delta.entries.size());
  std::uint64_t from = 0;
  for (const DeltaEntry& entry : delta.entries) {
    CHECK(entry.chunk >= from);
    body.U8(static_cast<std::uint8_t>(entry.op));
    body.Varint(entry.chunk - from);
    if (entry.op == DeltaEntry::Op::kClear)
      body.Varint(entry.chunk_count);
    else
      WritePieces(body, table, entry.pieces);
    from = entry.chunk + entry.chunk_count;
  }

  Writer out(4 + table.encoded_bytes_max() + body.size());
  out.U32(delta.chunk_size);
  table.Write(out);
  out.Raw(body.written());
  if (out.size() > kDeltaBytesMax) return too_much();
  return out.Take();
}

Result<Delta> DecodeDelta(ByteView bytes, const PackId& self, std::uint32_t self_epoch) {
  Reader in(bytes, kDeltaBytesMax, "delta");
  Delta delta;
  delta.chunk_size = in.U32();
  if (!in.Require(IsValidChunkSize(delta.chunk_size), "a chunk size that does not exist"))
    return Fail(in.status().error());
  const std::uint64_t chunks = kVolumeBytesMax / delta.chunk_size;
  PackTableReader table(in, self, self_epoch);
  const std::size_t count = in.Count(kDeltaEntriesMax, kEntryBytesMin);
  in.Require(count != 0, "it has no entries");
  delta.entries.reserve(count);
  std::uint64_t from = 0;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    delta.entries.push_back(ReadEntry(in, table, delta.chunk_size, from, chunks));
    from = delta.entries.back().chunk + delta.entries.back().chunk_count;
  }
  table.RequireAllUsed(in);
  RETURN_IF_ERROR(in.End());
  return delta;
}

}  // namespace coffer::format
