#include "core/cache/frame_cache.h"

namespace coffer::cache {

std::shared_ptr<const Bytes> FrameCache::Find(const FrameKey& key) {
  MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->plain;
}

bool FrameCache::Contains(const FrameKey& key) const {
  MutexLock lock(mutex_);
  return by_key_.contains(key);
}

void FrameCache::Insert(const FrameKey& key, std::shared_ptr<const Bytes> plain) {
  MutexLock lock(mutex_);
  if (plain->size() > bytes_max_) return;
  if (by_key_.contains(key)) return;
  bytes_ += plain->size();
  by_use_.push_front(Entry{key, std::move(plain)});
  by_key_.emplace(key, by_use_.begin());
  ShrinkLocked();
}

void FrameCache::ShrinkLocked() {
  while (bytes_ > bytes_max_) {
    const Entry& oldest = by_use_.back();
    bytes_ -= oldest.plain->size();
    by_key_.erase(oldest.key);
    by_use_.pop_back();
  }
}

void FrameCache::SetBytesMax(std::size_t bytes_max) {
  MutexLock lock(mutex_);
  bytes_max_ = bytes_max;
  ShrinkLocked();
}

void FrameCache::Clear() {
  MutexLock lock(mutex_);
  by_use_.clear();
  by_key_.clear();
  bytes_ = 0;
}

std::size_t FrameCache::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

}  // namespace coffer::cache
