#include "core/pack/dedup_index.h"

#include <bit>

#include "core/format/limits.h"

namespace coffer::pack {
namespace {

constexpr std::size_t kEntriesFirst = 1024;

}  // namespace

DedupIndex::DedupIndex(std::size_t entries_max)
    : entries_max_(std::bit_floor(std::max(entries_max, kBucket))),
      entries_(std::min(entries_max_, kEntriesFirst)) {}

std::size_t DedupIndex::BucketOf(const ContentId& content) const {
  const auto buckets = entries_.size() / kBucket;
  return (LoadLe<std::uint64_t>(content.bytes.data()) & (buckets - 1)) * kBucket;
}

std::optional<format::FrameRef> DedupIndex::Find(const ContentId& content) const {
  MutexLock lock(mutex_);
  const std::size_t bucket = BucketOf(content);
  for (std::size_t i = bucket; i < bucket + kBucket; ++i) {
    const Entry& entry = entries_[i];
    if (entry.content != content || entry.blocks == 0) continue;
    const Pack& pack = packs_[entry.pack];
    return format::FrameRef{.pack = pack.id,
                            .key_epoch = pack.key_epoch,
                            .frame = entry.frame,
                            .offset = entry.offset,
                            .stored_length = entry.stored_and_codec >> 8,
                            .plain_length = entry.blocks * format::kBlockBytes,
                            .codec = static_cast<std::uint8_t>(entry.stored_and_codec & 0xFF)};
  }
  return std::nullopt;
}

void DedupIndex::Insert(const ContentId& content, const format::FrameRef& frame) {
  MutexLock lock(mutex_);
  auto [number, fresh] =
      pack_numbers_.try_emplace(frame.pack, static_cast<std::uint32_t>(packs_.size()));
  if (fresh) packs_.push_back({frame.pack, frame.key_epoch});
  if (count_ * 2 > entries_.size() && entries_.size() < entries_max_) GrowLocked();
  PutLocked({.content = content,
             .pack = number->second,
             .offset = frame.offset,
             .stored_and_codec = frame.stored_length << 8 | frame.codec,
             .frame = static_cast<std::uint16_t>(frame.frame),
             .blocks = static_cast<std::uint16_t>(frame.plain_length / format::kBlockBytes)});
}

void DedupIndex::PutLocked(const Entry& entry) {
  const std::size_t bucket = BucketOf(entry.content);
  std::size_t place = bucket + (LoadLe<std::uint64_t>(entry.content.bytes.data() + 8) % kBucket);
  for (std::size_t i = bucket; i < bucket + kBucket; ++i) {
    if (entries_[i].blocks == 0 || entries_[i].content == entry.content) {
      place = i;
      break;
    }
  }
  if (entries_[place].blocks == 0) ++count_;
  entries_[place] = entry;
}

void DedupIndex::GrowLocked() {
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  count_ = 0;
  for (const Entry& entry : old) {
    if (entry.blocks != 0) PutLocked(entry);
  }
}

std::size_t DedupIndex::size() const {
  MutexLock lock(mutex_);
  return count_;
}

}  // namespace coffer::pack
