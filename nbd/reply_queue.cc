#include "nbd/reply_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "nbd/wire.h"

namespace coffer::nbd {
namespace {

constexpr std::size_t kSegmentBytes = 128 * 1024;

}  // namespace

// Contiguous room at the end of the queue; a new segment where the last has too little.
std::byte* ReplyQueue::RoomFor(std::size_t size) {
  if (segments_.empty() || segments_.back().buffer.size() - segments_.back().end < size) {
    Buffer buffer = pool_.Take(std::max(size, kSegmentBytes));
    if (buffer.empty()) return nullptr;
    segments_.push_back({std::move(buffer), 0, 0});
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

bool ReplyQueue::AddReply(std::uint64_t cookie, ReplyError error) {
  std::byte* room = RoomFor(kReplyHeaderBytes);
  if (room == nullptr) return false;
  StoreReplyHeader(room, cookie, error);
  segments_.back().end += kReplyHeaderBytes;
  bytes_ += kReplyHeaderBytes;
  return true;
}

void ReplyQueue::AddRead(std::uint64_t cookie, Buffer reply) {
  StoreReplyHeader(reply.mutable_view().data(), cookie, ReplyError::kNone);
  const std::size_t size = reply.size();
  segments_.push_back({std::move(reply), 0, size});
  bytes_ += size;
}

MutableByteView ReplyQueue::StartRead(std::size_t length) {
  std::byte* room = RoomFor(kReplyHeaderBytes + length);
  if (room == nullptr) return {};
  return {room + kReplyHeaderBytes, length};
}

void ReplyQueue::FinishRead(std::uint64_t cookie, std::size_t length) {
  Segment& last = segments_.back();
  StoreReplyHeader(last.buffer.mutable_view().data() + last.end, cookie, ReplyError::kNone);
  last.end += kReplyHeaderBytes + length;
  bytes_ += kReplyHeaderBytes + length;
}

Transfer::Outcome ReplyQueue::SendTo(const Descriptor& socket) {
  while (bytes_ > 0) {
    std::array<ByteView, kSendPiecesMax> pieces;
    std::size_t count = 0;
    for (const Segment& segment : segments_) {
      if (count == pieces.size()) break;
      if (segment.begin == segment.end) continue;
      pieces[count++] = segment.buffer.view().subspan(segment.begin, segment.end - segment.begin);
    }
    const Transfer sent = Send(socket, std::span(pieces).first(count));
    if (sent.outcome != Transfer::Outcome::kSome) return sent.outcome;
    Sent(sent.bytes);
  }
  segments_.clear();
  return Transfer::Outcome::kSome;
}

void ReplyQueue::Sent(std::size_t bytes) {
  bytes_ -= bytes;
  while (!segments_.empty()) {
    Segment& first = segments_.front();
    const std::size_t taken = std::min(bytes, first.end - first.begin);
    first.begin += taken;
    bytes -= taken;
    if (first.begin < first.end) return;
    segments_.pop_front();
  }
}

void ReplyQueue::Clear() {
  segments_.clear();
  bytes_ = 0;
}

}  // namespace coffer::nbd
