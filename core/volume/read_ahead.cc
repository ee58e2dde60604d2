#include "core/volume/read_ahead.h"

#include <algorithm>

namespace coffer::volume {
namespace {

constexpr std::uint64_t kSequentialBytesMin = 256 * 1024;
constexpr std::uint64_t kSequentialChunksMin = 4;
/// So many requests a client may have under way at once, out of order.
constexpr std::uint64_t kDisorderRequests = 16;
constexpr std::uint64_t kDisorderBytesMax = 8u << 20;
/// Ranges that wait for the plan before them; a reader so far ahead of it needs none.
constexpr std::size_t kPlannedMax = 8;

}  // namespace

StreamDetector::Stream* StreamDetector::Find(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t slack = std::min(kDisorderRequests * (end - begin), kDisorderBytesMax);
  Stream* nearest = nullptr;
  std::uint64_t least = slack + 1;
  for (Stream& stream : streams_) {
    if (stream.used_at == 0) continue;
    const std::uint64_t distance =
        begin > stream.front ? begin - stream.front : stream.front - begin;
    if (distance >= least) continue;
    least = distance;
    nearest = &stream;
  }
  return nearest;
}

StreamDetector::Stream& StreamDetector::Replace() {
  return *std::min_element(streams_.begin(), streams_.end(),
                           [](const Stream& a, const Stream& b) { return a.used_at < b.used_at; });
}

std::optional<StreamDetector::Range> StreamDetector::NoteRead(std::uint64_t offset,
                                                              std::uint64_t length,
                                                              std::uint64_t size) {
  if (length == 0) return std::nullopt;
  // Frames are fetched by chunks: reading a part of one brings all of it.
  const std::uint64_t begin = offset / chunk_size_ * chunk_size_;
  const std::uint64_t end = (offset + length + chunk_size_ - 1) / chunk_size_ * chunk_size_;
  Stream* stream = Find(begin, end);
  if (stream == nullptr) {
    stream = &Replace();
    *stream = {.begin = begin, .front = begin, .read = 0, .ahead = 0};
  }
  stream->used_at = ++clock_;
  const bool advances = end > stream->front;
  stream->begin = std::min(stream->begin, begin);
  stream->front = std::max(stream->front, end);
  stream->read = std::min(stream->read + (end - begin), stream->front - stream->begin);
  const std::uint64_t span = stream->front - stream->begin;
  if (stream->read * 2 < span) {
    *stream = {begin, end, end - begin, stream->ahead, clock_};  // not this one: begin again
    return std::nullopt;
  }
  if (!advances || stream->read < std::max(kSequentialBytesMin, kSequentialChunksMin * chunk_size_))
    return std::nullopt;
  const std::uint64_t distance = std::min(2 * stream->read, kAheadBytesMax);
  const std::uint64_t from = std::max(stream->ahead, stream->front);
  const std::uint64_t to = std::min(size, stream->front + distance);
  // In portions worth a request, but for the last.
  if (to <= from || (to - from < distance / 4 && to != size)) return std::nullopt;
  stream->ahead = to;
  return Range{from, to - from};
}

ReadAhead::~ReadAhead() {
  MutexLock lock(mutex_);
  planned_.clear();
  executor_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !running_; });
}

void ReadAhead::NoteRead(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  MutexLock lock(mutex_);
  const std::optional<StreamDetector::Range> range = detector_.NoteRead(offset, length, size);
  if (!range.has_value() || planned_.size() >= kPlannedMax) return;
  planned_.push_back(*range);
  if (running_) return;
  running_ = true;
  executor_.Post([this] { Run(); });
}

void ReadAhead::Run() {
  MutexLock lock(mutex_);
  while (!planned_.empty()) {
    const StreamDetector::Range range = planned_.front();
    planned_.pop_front();
    lock.Unlock();
    plan_(range.offset, range.length);
    lock.Lock();
  }
  running_ = false;
  changed_.notify_all();
}

}  // namespace coffer::volume
