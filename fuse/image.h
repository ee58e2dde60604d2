// Image: one volume as a file. Counts who is inside the device, so that Withdraw can wait until
// nobody is, and what was asked of it. Thread-safe.
//
// States: served -> withdrawn, once. Withdrawn: nobody enters; those inside finish.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/block/exporter.h"

namespace coffer::fuse {

class JobQueue;

class Image : public std::enable_shared_from_this<Image> {
 public:
  /// What the kernel may keep of it.
  enum class Cache {
    kNone,       // each request comes here
    kReads,      // pages read and written; each write comes here before it is acknowledged
    kWriteBack,  // writes come when the kernel likes, or before an fsync returns
  };

  /// `jobs` is there until Withdraw has returned.
  Image(const block::ExportSpec& spec, Cache cache, UnixSeconds now, JobQueue& jobs);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  /// A volume's name, fit for a file: "/" of VAULT/VOLUME is ".".
  [[nodiscard]] static std::string FileStem(std::string name);
  [[nodiscard]] const std::string& file_stem() const { return file_stem_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Cache cache() const { return cache_; }
  [[nodiscard]] bool read_only() const { return read_only_; }

  /// Somebody inside the device; keeps the image alive.
  class Visit {
   public:
    explicit Visit(std::shared_ptr<Image> image) : image_(std::move(image)) {}
    Visit(Visit&&) noexcept = default;
    Visit& operator=(Visit&&) = delete;
    ~Visit() {
      if (image_ != nullptr) image_->Leave();
    }
    [[nodiscard]] Image& image() const { return *image_; }
    [[nodiscard]] block::BlockDevice& device() const { return image_->device_; }
    [[nodiscard]] JobQueue& jobs() const { return image_->jobs_; }

   private:
    std::shared_ptr<Image> image_;
  };
  /// nullopt: withdrawn.
  [[nodiscard]] std::optional<Visit> Enter();
  /// Returns when nobody is inside; `waits` is where the calling thread waits.
  void Withdraw(Executor& waits) EXCLUDES_LOCK(mutex_);
  /// Returns at a moment at which nobody is inside. REQUIRES: nobody enters meanwhile, or few.
  void AwaitIdle(Executor& waits) EXCLUDES_LOCK(mutex_);

  /// Kept for status.json and for clients() alone.
  struct Counters {
    std::atomic<std::uint64_t> reads = 0;
    std::atomic<std::uint64_t> writes = 0;
    std::atomic<std::uint64_t> flushes = 0;
    std::atomic<std::uint64_t> trims = 0;
    std::atomic<std::uint64_t> zeroes = 0;
    std::atomic<std::uint64_t> bytes_read = 0;
    std::atomic<std::uint64_t> bytes_written = 0;
    std::atomic<int> errors = 0;
    std::atomic<int> open_files = 0;
  };
  [[nodiscard]] Counters& counters() { return counters_; }

  /// Counts an error that a caller gets, and logs it: the first few.
  void CountFailure(const char* doing, const Error& error);

  /// Of the last change made through this file. Others' changes are not seen here: where there may
  /// be some, the time of asking is the honest answer (rsync would skip the file otherwise).
  [[nodiscard]] UnixSeconds ModifiedAt(UnixSeconds now) const {
    return sole_ || read_only_ ? modified_.load(std::memory_order_relaxed) : now;
  }
  void SetModified(UnixSeconds at) { modified_.store(at, std::memory_order_relaxed); }
  [[nodiscard]] bool sole() const { return sole_; }

  /// The kernel's size is wrong: true for whoever has to put it right, until SizeIsToldNow, after
  /// which a further wrong size counts anew.
  [[nodiscard]] bool ClaimSize() { return !telling_size_.exchange(true); }
  void SizeIsToldNow() { telling_size_.store(false); }

 private:
  void Leave();

  block::BlockDevice& device_;
  JobQueue& jobs_;
  const std::string name_;
  const std::string file_stem_;
  const Cache cache_;
  const bool read_only_;
  const bool sole_;
  std::atomic<UnixSeconds> modified_;
  Counters counters_;
  std::atomic<bool> telling_size_ = false;
  std::atomic<bool> withdrawn_ = false;
  std::atomic<std::uint64_t> inside_ = 0;
  std::atomic<int> waiting_ = 0;  // in AwaitIdle
  Mutex mutex_;
  CondVar changed_;
};

}  // namespace coffer::fuse
