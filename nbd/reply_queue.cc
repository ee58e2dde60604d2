#include "nbd/reply_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace coffer::nbd {
namespace {

constexpr std::size_t kSegmentBytes = 128 * 1024;

}  // namespace

void ReplyQueue::Push(Buffer buffer, std::size_t end) {
  held_bytes_ += buffer.size();
  segments_.push_back({std::move(buffer), 0, end});
}

std::size_t ReplyQueue::CostOf(std::size_t size) const {
  if (!segments_.empty() && segments_.back().buffer.size() - segments_.back().end >= size) return 0;
  return std::max(size, kSegmentBytes);
}

// Contiguous room at the end of the queue; a new segment where the last has too little.
std::byte* ReplyQueue::RoomFor(std::size_t size) {
  if (const std::size_t cost = CostOf(size); cost > 0) {
    Buffer buffer = pool_.Take(cost);
    if (buffer.empty()) return nullptr;
    Push(std::move(buffer), 0);
  }
  return segments_.back().buffer.mutable_view().data() + segments_.back().end;
}

bool ReplyQueue::Append(ByteView bytes) {
  if (bytes.empty()) return true;
  std::byte* room = RoomFor(bytes.size());
  if (room == nullptr) return false;
  std::memcpy(room, bytes.data(), bytes.size());
  segments_.back().end += bytes.size();
  bytes_ += bytes.size();
  return true;
}

bool ReplyQueue::AddDone(const ReplyTo& to) {
  const std::size_t size = DoneBytes(to.style);
  std::byte* room = RoomFor(size);
  if (room == nullptr) return false;
  StoreDone(room, to);
  segments_.back().end += size;
  bytes_ += size;
  return true;
}

bool ReplyQueue::AddRead(Buffer reply, std::size_t size) {
  // Mostly holes: copied, so that a client that takes no replies ties up no large buffers.
  if (size < reply.size() / 4) return Append(reply.view().first(size));
  Push(std::move(reply), size);
  bytes_ += size;
  return true;
}

MutableByteView ReplyQueue::StartRead(std::size_t size) {
  std::byte* room = RoomFor(size);
  if (room == nullptr) return {};
  return {room, size};
}

void ReplyQueue::FinishRead(std::size_t size) {
  segments_.back().end += size;
  bytes_ += size;
}

Transfer::Outcome ReplyQueue::SendTo(Channel& channel) {
  while (bytes_ > 0) {
    std::array<ByteView, kSendPiecesMax> pieces;
    std::size_t count = 0;
    for (const Segment& segment : segments_) {
      if (count == pieces.size()) break;
      if (segment.begin == segment.end) continue;
      pieces[count++] = segment.buffer.view().subspan(segment.begin, segment.end - segment.begin);
    }
    const Transfer sent = channel.Send(std::span(pieces).first(count));
    if (sent.outcome != Transfer::Outcome::kSome) return sent.outcome;
    Sent(sent.bytes);
  }
  segments_.clear();
  held_bytes_ = 0;
  return channel.Flush();
}

void ReplyQueue::Sent(std::size_t bytes) {
  bytes_ -= bytes;
  while (!segments_.empty()) {
    Segment& first = segments_.front();
    const std::size_t taken = std::min(bytes, first.end - first.begin);
    first.begin += taken;
    bytes -= taken;
    if (first.begin < first.end) return;
    held_bytes_ -= first.buffer.size();
    segments_.pop_front();
  }
}

Bytes ReplyQueue::TakeAll() {
  Bytes all;
  all.reserve(bytes_);
  for (const Segment& segment : segments_) {
    const ByteView part = segment.buffer.view().subspan(segment.begin, segment.end - segment.begin);
    all.insert(all.end(), part.begin(), part.end());
  }
  Clear();
  return all;
}

void ReplyQueue::Clear() {
  segments_.clear();
  bytes_ = 0;
  held_bytes_ = 0;
}

}  // namespace coffer::nbd
