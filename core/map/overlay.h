// Overlay: the changes of all unfolded deltas of a volume, merged in memory over its tree. Not
// thread-safe: the volume guards it. At most 131,072 entries and those of one commit more (deltas
// are folded then, at 32, or at 4 MiB), and what cannot be folded beside damage (residual.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/format/delta.h"

namespace coffer::map {

class Overlay {
 public:
  struct Change {
    /// The tree's pieces do not show through; also where patches have come to cover the chunk.
    bool replaces = false;
    format::Pieces pieces;  // on top of them; empty together with `replaces` = a hole
  };

  /// Applies a delta on top of what is there.
  void Apply(const format::Delta& delta);
  /// What has changed in `chunk`; nullopt = the tree as it is.
  [[nodiscard]] std::optional<Change> Find(std::uint64_t chunk) const;
  /// Whether any chunk of [first, end) has changed.
  [[nodiscard]] bool Touches(std::uint64_t first, std::uint64_t end) const;
  /// The first changed or cleared chunk of [first, end), or `end`.
  [[nodiscard]] std::uint64_t NextTouched(std::uint64_t first, std::uint64_t end) const;
  /// The first chunk of [first, end) with a change of its own, or `end`; one that was only cleared
  /// has none.
  [[nodiscard]] std::uint64_t NextChanged(std::uint64_t first, std::uint64_t end) const;
  /// Whether all of [first, end) is cleared and nothing was written there since.
  [[nodiscard]] bool Clears(std::uint64_t first, std::uint64_t end) const;
  /// Whether nothing that lies beneath shows through in [first, end).
  [[nodiscard]] bool Hides(std::uint64_t first, std::uint64_t end) const;
  /// What has changed in [first, end), ascending, as a delta would say it: behind `entries`.
  void AppendChanges(std::uint64_t first, std::uint64_t end,
                     std::vector<format::DeltaEntry>* entries) const;
  /// The first chunk from `first` on that is not cleared or was written since, or `end`.
  [[nodiscard]] std::uint64_t ClearedUntil(std::uint64_t first, std::uint64_t end) const;
  [[nodiscard]] bool empty() const { return changes_.empty() && cleared_.empty(); }

 private:
  void Clear(std::uint64_t first, std::uint64_t end);
  [[nodiscard]] bool IsCleared(std::uint64_t chunk) const;

  std::map<std::uint64_t, Change> changes_;
  std::map<std::uint64_t, std::uint64_t> cleared_;  // [first, end), disjoint, not touching
};

}  // namespace coffer::map
