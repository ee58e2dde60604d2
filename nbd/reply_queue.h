// ReplyQueue: what a connection has to say and has not yet sent. Small replies and hot reads are
// laid side by side in shared segments, so that one system call sends many; a read done by a worker
// comes with its own buffer. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "core/base/bytes.h"
#include "nbd/buffer_pool.h"
#include "nbd/protocol.h"
#include "nbd/sockets.h"

namespace coffer::nbd {

class ReplyQueue {
 public:
  explicit ReplyQueue(BufferPool& pool) : pool_(pool) {}

  /// These three return false when there is no memory: the connection cannot be kept in step.
  [[nodiscard]] bool Append(ByteView bytes);
  [[nodiscard]] bool AddReply(std::uint64_t cookie, ReplyError error);
  /// `reply` has kReplyHeaderBytes of room before the data.
  void AddRead(std::uint64_t cookie, Buffer reply);

  /// Room to read `length` bytes into, right behind a header; empty when there is no memory.
  /// Nothing is queued until FinishRead, which must be the next call on this queue.
  [[nodiscard]] MutableByteView StartRead(std::size_t length);
  void FinishRead(std::uint64_t cookie, std::size_t length);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_ == 0; }

  /// Sends until all is sent or the socket takes no more: kSome, kLater or kGone.
  Transfer::Outcome SendTo(const Descriptor& socket);
  void Clear();

 private:
  struct Segment {
    Buffer buffer;
    std::size_t begin;
    std::size_t end;
  };

  std::byte* RoomFor(std::size_t size);
  void Sent(std::size_t bytes);

  BufferPool& pool_;
  std::deque<Segment> segments_;
  std::size_t bytes_ = 0;
};

}  // namespace coffer::nbd
