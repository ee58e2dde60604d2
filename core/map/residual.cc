#include "core/map/residual.h"

#include <utility>

#include "core/base/log.h"

namespace coffer::map {
namespace {

constexpr std::size_t kDeltaBytes = 4u << 20;
/// Generous: a pack of its own for each piece doubles this, still far below a delta's limit.
constexpr std::size_t kEntryBytes = 16;
constexpr std::size_t kPieceBytes = 34;

std::size_t BytesOf(const format::DeltaEntry& entry) {
  return kEntryBytes + entry.pieces.size() * kPieceBytes;
}

}  // namespace

void ResidualBuilder::Leave(const Overlay& overlay, std::uint64_t first, std::uint64_t end) {
  overlay.AppendChanges(first, end, &entries_);
}

Result<std::vector<format::Delta>> ResidualBuilder::Take() {
  std::vector<format::Delta> deltas;
  std::size_t bytes = kDeltaBytes;
  for (format::DeltaEntry& entry : std::exchange(entries_, {})) {
    bytes += BytesOf(entry);
    if (bytes > kDeltaBytes) {
      if (deltas.size() == kResidualDeltasMax) {
        return Fail(ErrorCode::kCorruption,
                    "more has changed beside what is lost of the map than can be kept there");
      }
      deltas.push_back({.chunk_size = chunk_size_, .entries = {}});
      bytes = BytesOf(entry);
    }
    deltas.back().entries.push_back(std::move(entry));
  }
  return deltas;
}

}  // namespace coffer::map
