#include "core/volume/live_map.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/planted.h"

namespace coffer::volume {
namespace {

using cache::DirtyMap;
using cache::RecordPtr;

/// Units of upload in a full journal, at least: each is one more map that a read looks into.
constexpr std::uint64_t kUnitsInJournal = 64;

/// What is replayed or merged is uploaded in units as they are cut live, so that a slow line gets
/// ahead head by head. They are larger only where they would be too many.
std::uint64_t UnitBytes(const Settings& settings) {
  return std::min(settings.generation_bytes_max,
                  std::max(settings.sync_bytes, settings.journal_bytes_max / kUnitsInJournal));
}

}  // namespace

Status ReadDirty(cache::Journal& journal, const DirtyPart& part, MutableByteView out) {
  if (part.record == nullptr) {
    std::fill(out.begin(), out.end(), std::byte{0});
    return {};
  }
  if (part.buffer != nullptr) {
    std::memcpy(out.data(), part.buffer->data() + part.buffer_offset, out.size());
    return {};
  }
  return journal.ReadRecord(*part.record, part.location, part.offset - part.record->header.offset,
                            out);
}

LiveMap::LiveMap(Clock& clock, const Settings& settings, map::Tree tree, std::uint64_t size)
    : clock_(clock), settings_(settings), size_(size), tree_(std::move(tree)) {
  generations_.push_back(std::make_unique<Generation>(tree_.chunk_size));
}

std::uint64_t LiveMap::size() const {
  MutexLock lock(mutex_);
  return size_;
}

DirtyPart LiveMap::PartOf(const DirtyMap::Extent& extent) {
  DirtyPart part{.offset = extent.offset,
                 .length = extent.end - extent.offset,
                 .record = extent.record,
                 .location = {},
                 .buffer = nullptr,
                 .buffer_offset = 0};
  if (extent.record != nullptr) {
    part.location = extent.record->location;
    part.buffer = extent.record->buffer;
    part.buffer_offset =
        extent.record->buffer_offset + (extent.offset - extent.record->header.offset);
  }
  return part;
}

Look LiveMap::At(std::uint64_t offset, std::uint64_t length) const {
  struct Range {
    std::uint64_t offset, end;
  };
  MutexLock lock(mutex_);
  Look look{.size = size_, .dirty = {}, .clean = {}, .tree = tree_};
  std::vector<Range> gaps{{offset, offset + length}};
  std::vector<Range> rest;
  for (auto generation = generations_.rbegin(); generation != generations_.rend() && !gaps.empty();
       ++generation) {
    if ((*generation)->dirty.empty()) continue;
    rest.clear();
    for (const Range& gap : gaps) {
      std::uint64_t at = gap.offset;
      (*generation)->dirty.ForEach(gap.offset, gap.end, [&](const DirtyMap::Extent& extent) {
        if (at < extent.offset) rest.push_back({at, extent.offset});
        look.dirty.push_back(PartOf(extent));
        at = extent.end;
      });
      if (at < gap.end) rest.push_back({at, gap.end});
    }
    gaps.swap(rest);
  }
  for (const Range& gap : gaps) {
    for (std::uint64_t at = gap.offset; at < gap.end;) {
      const std::uint64_t chunk = at / tree_.chunk_size;
      const std::uint64_t end = std::min(gap.end, (chunk + 1) * tree_.chunk_size);
      look.clean.push_back({at, end - at, chunk, overlay_.Find(chunk)});
      at = end;
    }
  }
  return look;
}

Ahead LiveMap::LookAhead(std::uint64_t offset, std::uint64_t end) const {
  MutexLock lock(mutex_);
  Ahead ahead{tree_, HoleUntilLocked(offset, end), end};
  for (const auto& generation : generations_)
    ahead.next_change = std::min(ahead.next_change, generation->dirty.NextHeld(offset, end));
  const std::uint64_t chunk = offset / tree_.chunk_size;
  const std::uint64_t changed = overlay_.NextTouched(chunk, end / tree_.chunk_size + 1);
  ahead.next_change = std::min(ahead.next_change, std::max(offset, changed * tree_.chunk_size));
  return ahead;
}

/// The youngest that holds `offset` decides; what lies above it ends the range.
std::uint64_t LiveMap::HoleUntilLocked(std::uint64_t offset, std::uint64_t end) const {
  for (auto generation = generations_.rbegin(); generation != generations_.rend(); ++generation) {
    const DirtyMap& dirty = (*generation)->dirty;
    const std::uint64_t held = dirty.NextHeld(offset, end);
    if (held == offset) return std::min(end, dirty.ZeroesUntil(offset));
    end = std::min(end, held);
  }
  const std::uint64_t chunk = offset / tree_.chunk_size;
  const std::uint64_t cleared = overlay_.ClearedUntil(chunk, end / tree_.chunk_size + 1);
  return cleared == chunk ? offset : std::min(end, cleared * tree_.chunk_size);
}

void LiveMap::ApplyLocked(const RecordPtr& record) {
  Generation& open = *generations_.back();
  const format::RecordHeader& header = record->header;
  switch (header.kind) {
    case format::RecordKind::kWrite:
      open.dirty.Insert(header.offset, header.offset + header.length, record);
      in_memory_.push_back(record);
      in_memory_bytes_ += header.length;
      break;
    case format::RecordKind::kZero:
      open.dirty.Insert(header.offset, header.offset + header.length, nullptr);
      break;
    case format::RecordKind::kResize:
      // What is cut off must never be seen again, also after growing back.
      if (header.length < size_ && !Planted("shrink-keeps-tail")) {
        open.dirty.Insert(header.length, size_, nullptr);
      }
      size_ = header.length;
      break;
  }
  open.size = size_;
  open.last_seq = record->seq;
  open.stream = stream_;
}

void LiveMap::Publish(std::span<const RecordPtr> records) {
  MutexLock lock(mutex_);
  while (!records.empty()) {
    const auto last = std::find_if(records.begin(), records.end(), [](const RecordPtr& record) {
      return !record->header.continues;
    });
    CHECK(last != records.end());
    const auto count = static_cast<std::size_t>(last - records.begin()) + 1;
    PublishLocked(records.first(count), Duration::zero());
    records = records.subspan(count);
  }
}

void LiveMap::PublishReplayed(std::span<const RecordPtr> request) {
  // A clock that was set in between may make it look younger than nothing, or very old.
  constexpr std::uint64_t kAgeMax = std::uint64_t{10} * 365 * 24 * 3600;
  const auto now = static_cast<std::uint64_t>(std::max<UnixSeconds>(clock_.WallNow(), 0));
  const std::uint64_t written = request.front()->header.written_unix;
  const std::uint64_t age = written == 0 || written > now ? 0 : std::min(now - written, kAgeMax);
  MutexLock lock(mutex_);
  if (generations_.back()->dirty.data_bytes() >= UnitBytes(settings_)) CutLocked();
  PublishLocked(request, std::chrono::seconds(age));
}

void LiveMap::PublishLocked(std::span<const RecordPtr> request, Duration age) {
  if (!HasRoomForLocked(request)) CutLocked();
  Generation& open = *generations_.back();
  if (!open.changed) open.first_write = clock_.Now() - age;
  open.changed = true;
  const std::uint64_t zeros_before = open.dirty.zero_ranges();
  for (const RecordPtr& record : request) ApplyLocked(record);
  published_seq_ = request.back()->seq;
  zero_ranges_ += open.dirty.zero_ranges() - zeros_before;
  DropBuffersLocked();
}

bool LiveMap::FitsOneCommit(std::uint64_t data_bytes, std::uint64_t parts) const {
  if (Planted("generation-beyond-a-delta")) return data_bytes <= settings_.generation_bytes_max;
  return data_bytes <= settings_.generation_bytes_max && parts <= settings_.generation_parts_max;
}

/// Whether the open generation, with `request` too, will fit into one commit. One request does.
bool LiveMap::HasRoomForLocked(std::span<const RecordPtr> request) const {
  const DirtyMap& dirty = generations_.back()->dirty;
  std::uint64_t bytes = dirty.data_bytes();
  std::uint64_t parts = dirty.parts();
  for (const RecordPtr& record : request) {
    if (record->header.kind == format::RecordKind::kWrite) bytes += record->header.length;
    parts += dirty.PartsOf(record->header);
  }
  return FitsOneCommit(bytes, parts);
}

void LiveMap::CountZerosLocked() {
  std::uint64_t ranges = 0;
  for (const auto& generation : generations_) ranges += generation->dirty.zero_ranges();
  zero_ranges_ = ranges;
}

void LiveMap::DropBuffersLocked() {
  while (in_memory_bytes_ > settings_.dirty_memory_bytes_max && !in_memory_.empty()) {
    const RecordPtr record = std::move(in_memory_.front());
    in_memory_.pop_front();
    in_memory_bytes_ -= record->header.length;
    record->buffer.reset();
  }
}

void LiveMap::Relocate(std::span<const std::pair<RecordPtr, cache::RecordLocation>> moves) {
  MutexLock lock(mutex_);
  for (const auto& [record, location] : moves) record->location = location;
}

void LiveMap::BeginStream(const StreamId& replayed, const StreamId& stream) {
  MutexLock lock(mutex_);
  for (const auto& generation : generations_) generation->stream = replayed;
  CutLocked();
  stream_ = stream;
}

std::uint64_t LiveMap::Cut() {
  MutexLock lock(mutex_);
  CutLocked();
  return published_seq_;
}

void LiveMap::CutLocked() {
  if (!generations_.back()->changed) return;
  generations_.push_back(std::make_unique<Generation>(tree_.chunk_size));
  MergeWaitingLocked();
}

void LiveMap::MergeWaitingLocked() {
  // The last is open; the first may be building: neither merges.
  while (generations_.size() - 1 > settings_.generations_max) {
    std::optional<std::size_t> best;
    std::uint64_t best_bytes = 0;
    for (std::size_t i = generations_.front()->building ? 1 : 0; i + 2 < generations_.size(); ++i) {
      const DirtyMap& older = generations_[i]->dirty;
      const DirtyMap& newer = generations_[i + 1]->dirty;
      const std::uint64_t bytes = older.data_bytes() + newer.data_bytes();
      if (bytes > UnitBytes(settings_) || !FitsOneCommit(bytes, older.PartsWith(newer))) continue;
      if (best.has_value() && bytes >= best_bytes) continue;
      best = i;
      best_bytes = bytes;
    }
    if (!best.has_value()) break;
    Generation& older = *generations_[*best];
    const Generation& newer = *generations_[*best + 1];
    older.dirty.Merge(newer.dirty);
    older.stream = newer.stream;
    older.last_seq = newer.last_seq;
    older.size = newer.size;
    generations_.erase(generations_.begin() + static_cast<std::ptrdiff_t>(*best) + 1);
    CountZerosLocked();
  }
}

const Generation* LiveMap::BeginBuild() {
  MutexLock lock(mutex_);
  if (generations_.size() < 2) return nullptr;
  generations_.front()->building = true;
  return generations_.front().get();
}

std::vector<DirtyPart> LiveMap::Gather(const Generation& generation, std::uint64_t offset,
                                       std::uint64_t end) const {
  std::vector<DirtyPart> parts;
  MutexLock lock(mutex_);
  generation.dirty.ForEach(
      offset, end, [&](const DirtyMap::Extent& extent) { parts.push_back(PartOf(extent)); });
  return parts;
}

CleanPart LiveMap::Committed(std::uint64_t chunk) const {
  MutexLock lock(mutex_);
  return {chunk * tree_.chunk_size, tree_.chunk_size, chunk, overlay_.Find(chunk)};
}

void LiveMap::Commit(const format::Delta& delta) {
  std::unique_ptr<Generation> done;  // freed outside the lock
  MutexLock lock(mutex_);
  CHECK(generations_.size() >= 2 && generations_.front()->building);
  done = std::move(generations_.front());
  generations_.pop_front();
  CountZerosLocked();
  overlay_.Apply(delta);
  while (!in_memory_.empty() && in_memory_.front()->seq <= done->last_seq) {
    in_memory_bytes_ -= in_memory_.front()->header.length;
    in_memory_.pop_front();
  }
}

void LiveMap::Folded(const map::Tree& tree, std::span<const map::ResidualDelta> residual) {
  map::Overlay overlay;  // built, and the old one freed, outside the lock
  for (const map::ResidualDelta& left : residual) overlay.Apply(left.delta);
  MutexLock lock(mutex_);
  std::swap(overlay, overlay_);
  tree_ = tree;
}

void LiveMap::LoadDelta(const format::Delta& delta) {
  MutexLock lock(mutex_);
  overlay_.Apply(delta);
}

void LiveMap::LoadLostDelta(const Error& why) {
  MutexLock lock(mutex_);
  overlay_ = {};  // it may have changed what those before it say, too
  tree_.lost = std::make_shared<const Error>(why);
}

map::Tree LiveMap::tree() const {
  MutexLock lock(mutex_);
  return tree_;
}

LiveMap::Numbers LiveMap::numbers() const {
  MutexLock lock(mutex_);
  Numbers numbers{};
  for (const auto& generation : generations_) {
    if (!generation->changed) continue;
    numbers.dirty_bytes += generation->dirty.data_bytes();
    ++numbers.generations;
    if (!numbers.oldest_write.has_value()) numbers.oldest_write = generation->first_write;
  }
  numbers.open_bytes = generations_.back()->dirty.data_bytes();
  numbers.waiting = generations_.size() - 1 - (generations_.front()->building ? 1 : 0);
  return numbers;
}

bool LiveMap::has_waiting() const {
  MutexLock lock(mutex_);
  return generations_.size() > 1;
}

}  // namespace coffer::volume
