// The way of a read through an open volume.
#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/format/limits.h"
#include "core/volume/open_volume.h"
#include "core/volume/read_path.h"

namespace coffer::volume {
namespace {

/// Of readers that wait for the store: a second, doubling up to this.
constexpr Duration kAwayPauseMin = std::chrono::seconds(1);
constexpr Duration kAwayPauseMax = std::chrono::seconds(15);
/// Read-ahead is planned in steps, so that its first requests go out before the last are found.
constexpr std::uint64_t kAheadStepBytes = 4u << 20;
/// Extents ends early after this many chunks or holes: what one request may cost, pages to fetch
/// included.
constexpr int kExtentLooksMax = 16384;

}  // namespace

template <class Ask>
auto OpenVolume::WithStore(const Ask& ask) -> decltype(ask()) {
  std::optional<Duration> left = Tuned().store_away_wait;
  for (Duration pause = kAwayPauseMin;; pause = std::min<Duration>(pause * 2, kAwayPauseMax)) {
    auto answer = ask();
    if (answer.has_value() || answer.error().code != ErrorCode::kUnavailable) return answer;
    const Status waited = AwaitStore(pause, left, answer.error());
    if (!waited.has_value()) return Fail(waited.error());
  }
}

Status OpenVolume::AwaitStore(Duration pause, std::optional<Duration>& left, const Error& away) {
  if (left.has_value()) {
    if (*left <= Duration{}) return Fail(away);
    pause = std::min(pause, *left);
    *left -= pause;
  }
  MutexLock lock(away_mutex_);
  ++readers_waiting_;
  away_ = away;
  const bool closing = resources_.vault().env().sync_executor.AwaitFor(
      lock, away_changed_, pause, [this]() NO_THREAD_SAFETY_ANALYSIS { return refusing_; });
  --readers_waiting_;
  if (closing) return Fail(ErrorCode::kCancelled, "the volume is closing: " + away.message);
  return {};
}

Status OpenVolume::Read(std::uint64_t offset, MutableByteView out) {
  return WithStore([&] { return ReadOnce(offset, out); });
}

Result<std::vector<block::Extent>> OpenVolume::Extents(std::uint64_t offset, std::uint64_t length,
                                                       std::size_t count_max) {
  return WithStore([&] { return ExtentsOnce(offset, length, count_max); });
}

Status OpenVolume::ReadOnce(std::uint64_t offset, MutableByteView out) {
  RETURN_IF_ERROR(CheckRange(offset, out.size()));
  ahead_->NoteRead(offset, out.size(), size());
  NoteRequest(out.size());
  const Look look = live_->At(offset, out.size());
  // Cut off since: what lies there now is neither what was there nor an error.
  RETURN_IF_ERROR(CheckRangeOf(look.size, offset, out.size()));
  for (const DirtyPart& part : look.dirty) {
    auto status = ReadDirty(*journal_, part, out.subspan(part.offset - offset, part.length));
    if (status.has_value()) continue;
    // A journal segment may have been recycled since the look: then the bytes are in the map by
    // now.
    return ReadAgain(offset, out, std::move(status).error());
  }
  return ReadCommitted(look, offset, out);
}

Status OpenVolume::ReadCommitted(const Look& look, std::uint64_t offset, MutableByteView out) {
  Status status = ReadClean(resources_, look.tree, look.clean, ReadFrom::kAnywhere, offset, out);
  if (status.has_value()) {
    damage_->NoteRight(offset, out.size());
  } else if (status.error().code == ErrorCode::kCorruption) {
    damage_->NoteFailed(offset, out.size(), status.error());
  }
  return status;
}

/// For Damage: as a read would, but of no consequence.
Status OpenVolume::ReadCommittedAgain(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = size();
  if (offset >= end) return {};  // cut off
  Bytes out(std::min(length, end - offset));
  const Look look = live_->At(offset, out.size());
  return ReadClean(resources_, look.tree, look.clean, ReadFrom::kAnywhere, offset, out);
}

void OpenVolume::FetchAhead(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = std::min(offset + length, size());
  while (offset < end) {
    const std::uint64_t stop = std::min(end, offset + kAheadStepBytes);
    const Look look = live_->At(offset, stop - offset);
    // What it can't get, the read that asks for it will say.
    if (!ReadAheadOf(resources_, look.tree, look.clean).has_value()) return;
    offset = stop;
  }
}

Status OpenVolume::ReadAgain(std::uint64_t offset, MutableByteView out, Error first_error) {
  for (int attempt = 0; attempt < kWarmAttemptsMax; ++attempt) {
    const Look look = live_->At(offset, out.size());
    RETURN_IF_ERROR(CheckRangeOf(look.size, offset, out.size()));
    bool moved = false;
    for (const DirtyPart& part : look.dirty) {
      auto status = ReadDirty(*journal_, part, out.subspan(part.offset - offset, part.length));
      if (!status.has_value()) {
        first_error = std::move(status).error();
        moved = true;
        break;
      }
    }
    if (moved) continue;
    return ReadCommitted(look, offset, out);
  }
  return Fail(std::move(first_error));
}

std::optional<Status> OpenVolume::TryRead(std::uint64_t offset, MutableByteView out) {
  if (Status status = CheckRange(offset, out.size()); !status.has_value()) return status;
  NoteRequest(out.size());
  const Look look = live_->At(offset, out.size());
  if (!CheckRangeOf(look.size, offset, out.size()).has_value()) return std::nullopt;
  for (const DirtyPart& part : look.dirty) {
    if (part.record != nullptr && part.buffer == nullptr) return std::nullopt;
  }
  const Status clean = ReadClean(resources_, look.tree, look.clean, ReadFrom::kMemory, offset, out);
  if (!clean.has_value()) return std::nullopt;
  for (const DirtyPart& part : look.dirty) {
    if (Status status = ReadDirty(*journal_, part, out.subspan(part.offset - offset, part.length));
        !status.has_value())
      return status;
  }
  return Status{};
}

Result<std::vector<block::Extent>> OpenVolume::ExtentsOnce(std::uint64_t offset,
                                                           std::uint64_t length,
                                                           std::size_t count_max) {
  RETURN_IF_ERROR(CheckRange(offset, length));
  std::vector<block::Extent> extents;
  const std::uint64_t end = offset + length;
  const std::uint64_t chunk_size = chunk_size_;
  const auto add = [&extents](std::uint64_t bytes, bool hole) {
    if (!extents.empty() && extents.back().hole == hole) {
      extents.back().length += bytes;
    } else {
      extents.push_back({bytes, hole, hole});
    }
  };
  std::uint64_t at = offset;
  // One extent more than asked for ends the last one for sure.
  for (int looks = 0; at < end && extents.size() <= count_max && looks < kExtentLooksMax; ++looks) {
    const Ahead ahead = live_->LookAhead(at, end);
    std::uint64_t hole_until = ahead.hole_until;
    if (hole_until == at && ahead.next_change > at) {
      const auto mapped = map::NextMapped(resources_.pages(), ahead.tree, at / chunk_size,
                                          (end + chunk_size - 1) / chunk_size);
      // What is lost is no hole: whoever reads it gets its error.
      if (!mapped.has_value() && mapped.error().code != ErrorCode::kCorruption)
        return Fail(mapped.error());
      if (mapped.has_value())
        hole_until = std::min(std::max(at, *mapped * chunk_size), ahead.next_change);
    }
    if (hole_until > at) {
      add(std::min(hole_until, end) - at, true);
      at = std::min(hole_until, end);
      continue;
    }
    const std::uint64_t stop = std::min(end, (at / chunk_size + 1) * chunk_size);
    const Look look = live_->At(at, stop - at);
    std::vector<std::pair<std::uint64_t, block::Extent>> parts;
    for (const DirtyPart& part : look.dirty) {
      const bool hole = part.record == nullptr;
      parts.push_back({part.offset, {part.length, hole, hole}});
    }
    for (const CleanPart& part : look.clean) {
      const auto stretches =
          Resolve(resources_, look.tree, std::span(&part, 1), ReadFrom::kAnywhere);
      if (!stretches.has_value() && stretches.error().code != ErrorCode::kCorruption)
        return Fail(stretches.error());
      if (!stretches.has_value()) {
        parts.push_back({part.offset, {part.length, false, false}});
        continue;
      }
      for (const Stretch& stretch : *stretches) {
        const bool hole = !stretch.piece.has_value();
        parts.push_back({stretch.offset, {stretch.length, hole, hole}});
      }
    }
    std::sort(parts.begin(), parts.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& part : parts) add(part.second.length, part.second.hole);
    at = stop;
  }
  if (extents.size() > count_max) extents.resize(count_max);
  return extents;
}

}  // namespace coffer::volume
