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
#include "nbd/channel.h"
#include "nbd/protocol.h"
#include "nbd/replies.h"

namespace coffer::nbd {

class ReplyQueue {
 public:
  explicit ReplyQueue(BufferPool& pool) : pool_(pool) {}

  /// These three return false when there is no memory: the connection cannot be kept in step.
  [[nodiscard]] bool Append(ByteView bytes);
  [[nodiscard]] bool AddDone(const ReplyTo& to);
  /// The first `size` bytes of `reply`, as LayOutRead made them. False as above.
  [[nodiscard]] bool AddRead(Buffer reply, std::size_t size);

  /// Room for a reply of at most `size` bytes; empty when there is no memory. Nothing is queued
  /// until FinishRead, which must be the next call on this queue: the first `size` bytes of it.
  [[nodiscard]] MutableByteView StartRead(std::size_t size);
  void FinishRead(std::size_t size);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Memory that a reply of `size` bytes would take beside that.
  [[nodiscard]] std::size_t CostOf(std::size_t size) const;
  /// Memory behind them: a reply of holes is short, but was read into all that it stands for.
  [[nodiscard]] std::size_t held_bytes() const { return held_bytes_; }
  [[nodiscard]] bool empty() const { return bytes_ == 0; }

  /// Sends until all is sent, also what waits in the channel, or the socket takes no more: kSome,
  /// kLater or kGone.
  Transfer::Outcome SendTo(Channel& channel);
  void Clear();
  /// What is queued, which then no longer is.
  [[nodiscard]] Bytes TakeAll();

 private:
  struct Segment {
    Buffer buffer;
    std::size_t begin;
    std::size_t end;
  };

  void Push(Buffer buffer, std::size_t end);
  std::byte* RoomFor(std::size_t size);
  void Sent(std::size_t bytes);

  BufferPool& pool_;
  std::deque<Segment> segments_;
  std::size_t bytes_ = 0;
  std::size_t held_bytes_ = 0;
};

}  // namespace coffer::nbd
