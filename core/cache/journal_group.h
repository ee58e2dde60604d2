// Groups, the bytes that one write call puts into a segment: made of records here, and taken apart.
// Pure but for the salt. A GroupSealer is for one thread at a time.
#pragma once

#include <span>

#include "core/base/random.h"
#include "core/base/secret_bytes.h"
#include "core/cache/journal.h"
#include "core/crypto/sealer.h"

namespace coffer::cache {

/// Where a group goes and what it follows.
struct GroupPlace {
  StreamId stream;
  std::uint64_t segment = 0;
  std::uint32_t offset = 0;
  std::uint64_t first_seq = 0;
  std::uint32_t not_durable = 0;
  format::ChainTag chain_tag{};
};

struct GroupItem {
  format::RecordHeader header;
  ByteView data;
  RecordLocation location;  // set by Seal
};

/// Bytes of data behind a record's header.
[[nodiscard]] inline std::size_t DataBytes(const format::RecordHeader& header) {
  return header.kind == format::RecordKind::kWrite ? static_cast<std::size_t>(header.length) : 0;
}

/// Bytes that a record takes in its group.
[[nodiscard]] inline std::size_t GroupBytes(const format::RecordHeader& header) {
  return format::kRecordOverheadBytes + DataBytes(header);
}

class GroupSealer {
 public:
  GroupSealer(Random& random, const SecretBytes& journal_key)
      : random_(random), journal_key_(journal_key) {}

  struct Sealed {
    ByteView bytes;  // until the next call
    std::uint32_t total_bytes = 0;
    format::ChainTag last_tag{};
  };
  /// `bytes` is the group and zeros up to the next page of the file: whole pages are overwritten
  /// without being read first, and what a recycled file held right behind the group is gone.
  Sealed Seal(const GroupPlace& place, std::span<GroupItem> items);
  /// Gives back a buffer that is larger than usual.
  void Trim();

 private:
  Random& random_;
  const SecretBytes& journal_key_;
  Bytes buffer_;
};

/// 32 fresh bytes, mixed with where they are used, so that a Random that repeats itself (a cloned
/// machine) still gives every place a salt of its own.
[[nodiscard]] std::array<std::byte, 32> HedgedSalt(Random& random, const StreamId& stream,
                                                   std::uint64_t segment, std::uint64_t first_seq,
                                                   const format::ChainTag& chain_tag);

/// The sealer of the group whose encoded header is `header_bytes`.
[[nodiscard]] crypto::Sealer OpenerOf(const SecretBytes& journal_key,
                                      const format::GroupHeader& header, ByteView header_bytes);

/// Opens record `number`, which must be `seq`. `plain` becomes header ‖ data; it may start where
/// `sealed` does. kCorruption if it does not authenticate there, kUnsupported if it does but says
/// what this version does not know. REQUIRES: plain.size() + kTagBytes == sealed.size().
Result<format::RecordHeader> OpenRecord(const crypto::Sealer& sealer, const StreamId& stream,
                                        std::uint64_t segment, std::uint64_t seq,
                                        std::uint32_t number, ByteView sealed,
                                        MutableByteView plain);
/// The same into new memory, for bytes of any length.
Result<format::RecordHeader> OpenRecord(const crypto::Sealer& sealer, const StreamId& stream,
                                        std::uint64_t segment, std::uint64_t seq,
                                        std::uint32_t number, ByteView sealed, Bytes* plain);

}  // namespace coffer::cache
