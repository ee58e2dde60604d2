// The journal's files, one segment each: 64 MiB, written front to back, recycled.
//
//   segment header, 4096 bytes:
//     prefix, clear, 56 bytes: magic "CofJrnl\0" | version u16 | suite u16 | host key epoch u32
//       | segment u64 | salt 32
//     sealed (number 0), 144 + 16 bytes: vault 16 | volume 16 | stream 16 | segment u64 | first seq
//       u64 | stream first seq u64 | chain tag 16 | base head seq u64, hash 32 | volume size u64
//       | created i64 | tag 16
//     zeros
//   groups, back to back, one pwrite each:
//     group header, clear, 80 bytes: magic "CGRP" | total length u32 | segment u64 | first seq u64
//       | record count u32 | not durable u32 | chain tag 16 (tag of the record before) | salt 32
//     records: sealed length u32 | sealed (number = place in group): record header 24 ‖ data
//       | tag 16
//     record header: kind u8 | flags u8 (1 continues) | written 6 | offset u64 | length u64
//
// One tag per record of at most 32 KiB of data, so that one block is read back cheaply. The group's
// key comes from its salt and the whole group header, the chain tag within; so a group decrypts
// only in its place after its predecessor, and stale bytes of a recycled segment never do. A
// record's associated data are stream, segment and sequence. The chain tag and first seq in a
// segment header cut the segment before it: what lies there beyond that point was never
// acknowledged as durable and has been written again.
//
// "Written" is the wall clock in seconds, 0 if unknown: it tells, after a crash, how old is what no
// head covers. Nothing else depends on it.
//
// "Not durable" says how many of the records before a group were not known to be durable when it
// was sealed. So a reader that finds a record missing can tell a write that a power cut lost, as it
// may, from damage: the record is missing although a later group vouches for it. "Stream first seq"
// does the same for segments that are missing at the front.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/limits.h"
#include "core/format/trust.h"

namespace coffer::format {

inline constexpr std::size_t kSegmentHeaderBytes = 4096;
inline constexpr std::size_t kGroupHeaderBytes = 80;
inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kRecordDataBytesMax = 32 * 1024;
inline constexpr std::size_t kRecordsPerGroupMax = 65536;
inline constexpr std::size_t kSegmentPrefixBytes = 8 + 2 + 2 + 4 + 8 + 32;

/// "CGRP" as a little-endian number.
inline constexpr std::uint32_t kGroupMagic = 0x50524743;
/// What a record takes besides its data: length field, header, tag.
inline constexpr std::size_t kRecordOverheadBytes = 4 + kRecordHeaderBytes + 16;

using ChainTag = std::array<std::byte, 16>;

struct SegmentPrefix {  // the clear part
  std::uint32_t key_epoch = 0;
  std::uint64_t segment = 0;
  std::array<std::byte, 32> salt{};
  bool operator==(const SegmentPrefix&) const = default;
};
[[nodiscard]] Bytes Encode(const SegmentPrefix& prefix);
/// Reads the first kSegmentPrefixBytes of `bytes`. kNotFound when they are all zeros: a file that
/// was made and never used.
[[nodiscard]] Result<SegmentPrefix> DecodeSegmentPrefix(ByteView bytes);

struct SegmentHeader {  // the sealed part
  VaultId vault;
  VolumeId volume;
  StreamId stream;
  std::uint64_t segment = 0;
  std::uint64_t first_seq = 0;
  std::uint64_t stream_first_seq = 0;  // of the stream's first segment
  ChainTag chain_tag{};
  ChainPoint base_head;  // the head that the stream builds on
  std::uint64_t volume_size = 0;
  std::int64_t created_unix = 0;
  bool operator==(const SegmentHeader&) const = default;
};
/// Fixed length.
inline constexpr std::size_t kSegmentHeaderPlainBytes = 16 * 3 + 8 * 3 + 16 + 8 + 32 + 8 + 8;
[[nodiscard]] Bytes Encode(const SegmentHeader& header);
[[nodiscard]] Result<SegmentHeader> DecodeSegmentHeader(ByteView bytes);

struct GroupHeader {
  std::uint32_t total_bytes = 0;  // with this header
  std::uint64_t segment = 0;
  std::uint64_t first_seq = 0;
  std::uint32_t record_count = 0;
  std::uint32_t not_durable = 0;  // records before this group, as known when it was sealed
  ChainTag chain_tag{};
  std::array<std::byte, 32> salt{};
  bool operator==(const GroupHeader&) const = default;
};
inline void EncodeTo(const GroupHeader& header, std::span<std::byte, kGroupHeaderBytes> out) {
  std::byte* to = out.data();
  StoreLe<std::uint32_t>(to, kGroupMagic);
  StoreLe(to + 4, header.total_bytes);
  StoreLe(to + 8, header.segment);
  StoreLe(to + 16, header.first_seq);
  StoreLe(to + 24, header.record_count);
  StoreLe(to + 28, header.not_durable);
  std::memcpy(to + 32, header.chain_tag.data(), header.chain_tag.size());
  std::memcpy(to + 48, header.salt.data(), header.salt.size());
}
/// Reads the first kGroupHeaderBytes of `bytes`. kNotFound when the magic is not there (the end of
/// what was written), kCorruption otherwise.
[[nodiscard]] Result<GroupHeader> DecodeGroupHeader(ByteView bytes);

enum class RecordKind : std::uint8_t {
  kWrite = 1,   // data follow, length = their size
  kZero = 2,    // offset, length: reads as zeros (TRIM and WRITE_ZEROES)
  kResize = 3,  // length = new size in bytes
};

struct RecordHeader {
  RecordKind kind = RecordKind::kWrite;
  bool continues = false;          // the request goes on in the next record
  std::uint64_t offset = 0;        // bytes, multiple of 4096
  std::uint64_t length = 0;        // bytes, multiple of 4096
  std::uint64_t written_unix = 0;  // below 2^48; 0: unknown
  bool operator==(const RecordHeader&) const = default;
};
inline void EncodeTo(const RecordHeader& header, std::span<std::byte, kRecordHeaderBytes> out) {
  std::byte* to = out.data();
  const unsigned first = static_cast<unsigned>(header.kind) | (header.continues ? 0x100u : 0u);
  StoreLe<std::uint64_t>(to, first | header.written_unix << 16);
  StoreLe(to + 8, header.offset);
  StoreLe(to + 16, header.length);
}
/// Exactly kRecordHeaderBytes; the caller holds `length` of a kWrite against the data that follow.
[[nodiscard]] Result<RecordHeader> DecodeRecordHeader(ByteView bytes);

}  // namespace coffer::format
