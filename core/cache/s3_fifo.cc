#include "core/cache/s3_fifo.h"

#include <algorithm>
#include <chrono>

#include "core/base/check.h"

namespace coffer::cache {
namespace {

constexpr std::uint8_t kReadsMax = 3;
/// Reads in the small queue that move an entry to the main one (the paper's "more than once").
constexpr std::uint8_t kReadsToStay = 2;
constexpr std::uint32_t kCorrelatedSeconds = 10;
constexpr std::size_t kGhostsMin = 64;

}  // namespace

std::uint32_t S3Fifo::Seconds() const {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count());
}

void S3Fifo::Push(std::uint32_t slot, Queue queue) {
  Node& node = nodes_[slot];
  List& list = ListOf(queue);
  node.queue = queue;
  node.order = next_order_++;
  node.previous = kNull;
  node.next = list.newest;
  if (list.newest != kNull) nodes_[list.newest].previous = slot;
  list.newest = slot;
  if (list.oldest == kNull) list.oldest = slot;
  list.bytes += node.bytes;
  ++list.count;
}

void S3Fifo::Unlink(std::uint32_t slot) {
  Node& node = nodes_[slot];
  List& list = ListOf(node.queue);
  (node.previous == kNull ? list.newest : nodes_[node.previous].next) = node.next;
  (node.next == kNull ? list.oldest : nodes_[node.next].previous) = node.previous;
  list.bytes -= node.bytes;
  --list.count;
  node.queue = Queue::kNone;
}

void S3Fifo::Insert(std::uint32_t slot, std::uint64_t identity, std::uint32_t bytes) {
  Restore(slot, identity, bytes, ghost_set_.erase(identity) > 0 ? Queue::kMain : Queue::kSmall);
}

void S3Fifo::Restore(std::uint32_t slot, std::uint64_t identity, std::uint32_t bytes, Queue queue) {
  if (nodes_.size() <= slot) nodes_.resize(slot + std::size_t{1});
  CHECK(nodes_[slot].queue == Queue::kNone);
  nodes_[slot] = Node{.identity = identity, .bytes = bytes, .read_at_seconds = Seconds()};
  Push(slot, queue);
}

void S3Fifo::ContinueAfter(std::uint64_t order) {
  // A damaged index may say anything; the numbers must not come round.
  next_order_ = std::max(next_order_, std::min(order, std::uint64_t{1} << 62) + 1);
}

void S3Fifo::NoteRead(std::uint32_t slot) {
  Node& node = nodes_[slot];
  const std::uint32_t now = Seconds();
  if (now - node.read_at_seconds < kCorrelatedSeconds) return;
  node.read_at_seconds = now;
  node.reads = std::min<std::uint8_t>(kReadsMax, static_cast<std::uint8_t>(node.reads + 1));
}

void S3Fifo::Remove(std::uint32_t slot) {
  if (QueueOf(slot) != Queue::kNone) Unlink(slot);
}

void S3Fifo::Remember(std::uint64_t identity) {
  ghosts_.push_back(identity);
  ghost_set_.insert(identity);
  while (ghosts_.size() > std::max(kGhostsMin, size())) {
    ghost_set_.erase(ghosts_.front());
    ghosts_.pop_front();
  }
}

std::optional<std::uint32_t> S3Fifo::Evict(std::vector<std::uint32_t>* moved) {
  while (small_.count > 0 && (small_.bytes >= small_bytes_max_ || main_.count == 0)) {
    const std::uint32_t slot = small_.oldest;
    Unlink(slot);
    if (nodes_[slot].reads < kReadsToStay) {
      Remember(nodes_[slot].identity);
      return slot;
    }
    nodes_[slot].reads = 0;
    Push(slot, Queue::kMain);
    moved->push_back(slot);
  }
  while (main_.count > 0) {
    const std::uint32_t slot = main_.oldest;
    Unlink(slot);
    if (nodes_[slot].reads == 0) return slot;
    --nodes_[slot].reads;
    Push(slot, Queue::kMain);
  }
  return std::nullopt;
}

S3Fifo::Queue S3Fifo::QueueOf(std::uint32_t slot) const {
  return slot < nodes_.size() ? nodes_[slot].queue : Queue::kNone;
}

void S3Fifo::Clear() {
  nodes_.clear();
  small_ = {};
  main_ = {};
  ghosts_.clear();
  ghost_set_.clear();
}

void S3Fifo::CheckList(const List& list, Queue queue) const {
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  std::uint32_t previous = kNull;
  for (std::uint32_t slot = list.newest; slot != kNull; slot = nodes_[slot].next) {
    CHECK(nodes_[slot].queue == queue && nodes_[slot].previous == previous);
    CHECK(previous == kNull || nodes_[previous].order > nodes_[slot].order);
    bytes += nodes_[slot].bytes;
    ++count;
    previous = slot;
  }
  CHECK(list.oldest == previous && list.bytes == bytes && list.count == count);
}

void S3Fifo::CheckInvariants() const {
  CheckList(small_, Queue::kSmall);
  CheckList(main_, Queue::kMain);
}

}  // namespace coffer::cache
