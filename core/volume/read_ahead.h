// ReadAhead: notices readers that go through a volume from front to back, and has what comes next
// fetched before they ask. One for each open volume.
//
// A stream is a place where reads have been: it is sequential when at least half of what lies
// between its first byte and its front has been read, 256 KiB or four chunks at least. Requests may
// come out of order by a few (clients have several under way). Then twice of what has been read is
// fetched ahead, 16 MiB at most: a reader who stops early costs no more than that. Random reads
// make streams that never qualify.
//
// Planning (map lookups, which may read pages) is done by tasks of the executor given. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "core/base/executor.h"
#include "core/base/mutex.h"

namespace coffer::volume {

/// The part that decides; no threads, no I/O. One thread at a time.
class StreamDetector {
 public:
  static constexpr std::uint64_t kAheadBytesMax = 16u << 20;
  static constexpr std::size_t kStreams = 8;

  struct Range {
    std::uint64_t offset;
    std::uint64_t length;
    bool operator==(const Range&) const = default;
  };

  explicit StreamDetector(std::uint32_t chunk_size) : chunk_size_(chunk_size) {}

  /// [offset, offset + length) is being read, in a volume of `size` bytes. Returns what should be
  /// fetched now, if anything: each byte once in a stream.
  std::optional<Range> NoteRead(std::uint64_t offset, std::uint64_t length, std::uint64_t size);

 private:
  struct Stream {
    std::uint64_t begin = 0;
    std::uint64_t front = 0;  // end of the furthest read
    std::uint64_t read = 0;   // bytes of [begin, front), at most that many
    std::uint64_t ahead = 0;  // fetched up to here
    std::uint64_t used_at = 0;
  };
  Stream* Find(std::uint64_t begin, std::uint64_t end);
  Stream& Replace();

  const std::uint32_t chunk_size_;
  std::array<Stream, kStreams> streams_{};
  std::uint64_t clock_ = 0;  // reads so far
};

class ReadAhead {
 public:
  using Plan = std::function<void(std::uint64_t offset, std::uint64_t length)>;

  /// `plan` fetches a range ahead; it is called by a task of `executor`, one at a time: plans that
  /// wait for a store must not take all of its threads.
  ReadAhead(Executor& executor, std::uint32_t chunk_size, Plan plan)
      : executor_(executor), plan_(std::move(plan)), detector_(chunk_size) {}
  /// Waits for the plan that is under way.
  ~ReadAhead();

  void NoteRead(std::uint64_t offset, std::uint64_t length, std::uint64_t size);

 private:
  void Run();

  Executor& executor_;
  const Plan plan_;
  Mutex mutex_;
  CondVar changed_;
  StreamDetector detector_ GUARDED_BY(mutex_);
  std::deque<StreamDetector::Range> planned_ GUARDED_BY(mutex_);  // kPlannedMax at most
  bool running_ GUARDED_BY(mutex_) = false;
};

}  // namespace coffer::volume
