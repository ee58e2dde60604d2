// S3Fifo: which window of the disk cache goes next. Two queues, first in first out, and a list of
// ghosts: what is new enters the small queue, a tenth of the space; from there it goes out, unless
// it was read again meanwhile: then it moves to the main queue. What is read again soon after it
// went (its ghost is there) enters the main queue at once. So a scan, however long, passes through
// the small queue and leaves the main one alone.
//
// Source: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP
// 2023. Differences: sizes are counted in bytes, and a read counts as one only 10 s after the one
// before it (LRU-K's correlated reference period, O'Neil et al., SIGMOD 1993): a window holds many
// frames, and a reader that passes once reads it many times in a row. Set aside: LRU (a backup
// run's scan empties it), segmented LRU (the same with one list more to keep under the lock),
// TinyLFU (counters for what is not there).
//
// Entries are slots; the caller owns what they hold. One thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/base/clock.h"

namespace coffer::cache {

class S3Fifo {
 public:
  enum class Queue : std::uint8_t { kNone, kSmall, kMain };

  explicit S3Fifo(const Clock& clock) : clock_(clock) {}

  /// Share of the small queue is taken of this.
  void SetBytesMax(std::uint64_t bytes) { small_bytes_max_ = bytes / 10; }

  /// `identity` tells what the slot holds, to recognise it after it has gone.
  void Insert(std::uint32_t slot, std::uint64_t identity, std::uint32_t bytes);
  /// As it was in an earlier run; oldest first.
  void Restore(std::uint32_t slot, std::uint64_t identity, std::uint32_t bytes, Queue queue);
  /// OrderOf what comes from now on is beyond `order`.
  void ContinueAfter(std::uint64_t order);
  void NoteRead(std::uint32_t slot);
  void Remove(std::uint32_t slot);
  /// Takes the next victim out; nullopt when there is nothing. `moved` gets the slots that went
  /// from the small queue to the main one on the way.
  std::optional<std::uint32_t> Evict(std::vector<std::uint32_t>* moved);

  [[nodiscard]] Queue QueueOf(std::uint32_t slot) const;
  /// Ascending as slots came into their queue.
  [[nodiscard]] std::uint64_t OrderOf(std::uint32_t slot) const { return nodes_[slot].order; }
  [[nodiscard]] std::size_t size() const { return small_.count + main_.count; }
  void Clear();
  /// Links, counts and sums agree; for tests.
  void CheckInvariants() const;

 private:
  static constexpr std::uint32_t kNull = 0xFFFFFFFF;
  struct Node {
    std::uint64_t identity = 0;
    std::uint64_t order = 0;
    std::uint32_t bytes = 0;
    std::uint32_t previous = kNull;  // nearer to the newest
    std::uint32_t next = kNull;
    std::uint32_t read_at_seconds = 0;  // when a read last counted
    Queue queue = Queue::kNone;
    std::uint8_t reads = 0;  // at most kReadsMax
  };
  struct List {
    std::uint32_t newest = kNull;
    std::uint32_t oldest = kNull;
    std::uint64_t bytes = 0;
    std::size_t count = 0;
  };

  [[nodiscard]] std::uint32_t Seconds() const;
  List& ListOf(Queue queue) { return queue == Queue::kMain ? main_ : small_; }
  void Push(std::uint32_t slot, Queue queue);
  void Unlink(std::uint32_t slot);
  void Remember(std::uint64_t identity);
  void CheckList(const List& list, Queue queue) const;

  const Clock& clock_;
  std::uint64_t small_bytes_max_ = 0;
  std::uint64_t next_order_ = 1;
  std::vector<Node> nodes_;  // by slot
  List small_;
  List main_;
  std::deque<std::uint64_t> ghosts_;  // oldest first; as many as entries at most
  std::unordered_set<std::uint64_t> ghost_set_;
};

}  // namespace coffer::cache
