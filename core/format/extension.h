// Room for growth inside sealed records: tagged byte strings at their end. A reader keeps the ones
// that it does not know and writes them back. What an old reader must not ignore gets a feature bit
// as well.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"

namespace coffer::format {

struct Extension {
  std::uint16_t tag;
  Bytes value;
  bool operator==(const Extension&) const = default;
};
using Extensions = std::vector<Extension>;

/// Features in use. Unknown bits of `incompatible`: refuse. Of `read_only_compatible`: read, don't
/// write. Of `compatible`: go on. This version knows none.
struct Features {
  std::uint64_t incompatible = 0;
  std::uint64_t read_only_compatible = 0;
  std::uint64_t compatible = 0;
  bool operator==(const Features&) const = default;
};

}  // namespace coffer::format
