// A spooled head, the file `spool` of a volume's state directory: the exact stored bytes of a head
// whose create has no clear answer yet, and the sequence they are for. Repeating other bytes could
// meet the first ones, arrived late, and take its own head for another writer's.
//   magic "CofSpol\0" | version u16 | suite u16 | seq u64 | sealed head, to the end
// Nothing is sealed again: the head inside opens only as head `seq` of its volume.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/format/limits.h"

namespace coffer::format {

inline constexpr std::size_t kSpoolPrefixBytes = 8 + 2 + 2 + 8;
inline constexpr std::size_t kSpoolBytesMax = kHeadBytesMax + kSpoolPrefixBytes;

struct Spool {
  std::uint64_t seq = 0;
  Bytes sealed_head;
  bool operator==(const Spool&) const = default;
};

[[nodiscard]] Bytes Encode(const Spool& spool);
[[nodiscard]] Result<Spool> DecodeSpool(ByteView bytes);

}  // namespace coffer::format
