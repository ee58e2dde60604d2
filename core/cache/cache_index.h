// CacheIndex: which window of which pack lies where in the disk cache's file, as it survives the
// process. It is a memory aid: DiskCache holds the whole of it in memory, writes changes behind,
// and goes on without it. What it says wrongly, the authentication tags of the frames find out.
//
// An interface, since the real one (sqlite_index.h) reaches the disk past the FileSystem seam; the
// simulation uses one in memory. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"

namespace coffer::cache {

/// Names a window of a pack under a key that only the unlocked vault yields: who finds the index
/// learns no pack's id.
using WindowKey = Id<struct WindowKeyTag, 16>;

struct IndexRow {
  std::uint32_t slot = 0;  // place in the file, in windows
  WindowKey key;
  std::uint32_t length = 0;  // bytes
  bool in_main = false;      // of the two queues of eviction (s3_fifo.h)
  std::uint64_t order = 0;   // ascending as they came into their queue
  bool operator==(const IndexRow&) const = default;
};

class CacheIndex {
 public:
  virtual ~CacheIndex() = default;
  /// Puts rows, each in place of the one of its slot, and removes those of `removed` slots; all or
  /// nothing.
  virtual Status Apply(std::span<const IndexRow> put, std::span<const std::uint32_t> removed) = 0;
  /// At most so many bytes on disk for `rows` rows.
  [[nodiscard]] virtual std::uint64_t BytesMax(std::uint64_t rows) const = 0;
};

/// Opens the index and fills in its rows, in any order. One that is missing, damaged or of a newer
/// version is made anew, empty; an error means that there can be none here.
using OpenCacheIndex = std::function<Result<std::unique_ptr<CacheIndex>>(std::vector<IndexRow>*)>;

}  // namespace coffer::cache
