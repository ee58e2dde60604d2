// A CacheIndex in memory that outlives its openings, fails when told, and can be set back to an
// older state, as a crash does to a real one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/cache/cache_index.h"

namespace coffer::cache {

struct MemoryIndexDisk {
  std::map<std::uint32_t, IndexRow> rows;
  std::optional<ErrorCode> open_fails;
  std::optional<ErrorCode> apply_fails;
  int applied = 0;
};

class MemoryIndex final : public CacheIndex {
 public:
  explicit MemoryIndex(MemoryIndexDisk& disk) : disk_(disk) {}

  Status Apply(std::span<const IndexRow> put, std::span<const std::uint32_t> removed) override {
    if (disk_.apply_fails.has_value()) return Fail(*disk_.apply_fails, "told to fail");
    for (const std::uint32_t slot : removed) disk_.rows.erase(slot);
    for (const IndexRow& row : put) disk_.rows[row.slot] = row;
    ++disk_.applied;
    return {};
  }
  [[nodiscard]] std::uint64_t BytesMax(std::uint64_t) const override { return 0; }

 private:
  MemoryIndexDisk& disk_;
};

inline OpenCacheIndex OpenMemoryIndex(MemoryIndexDisk& disk) {
  return [&disk](std::vector<IndexRow>* rows) -> Result<std::unique_ptr<CacheIndex>> {
    if (disk.open_fails.has_value()) return Fail(*disk.open_fails, "told to fail");
    for (const auto& [slot, row] : disk.rows) rows->push_back(row);
    return std::make_unique<MemoryIndex>(disk);
  };
}

}  // namespace coffer::cache
