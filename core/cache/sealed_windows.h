// SealedWindows: the sealed bytes of one vault's frames, from the nearest place that has them:
// windows fetched a moment ago (memory), the disk cache, the store.
//
// The store is asked in whole windows of 256 KiB, aligned in the pack: the provider sees no frame's
// bounds (faults.md A18), and neighbours come along. Windows that lie together are one request of
// up to 2 MiB. Each window is fetched by one request at a time, whoever wants it meanwhile waits
// for that one and shares its failure too. Whatever was fetched is kept in memory for a while and
// goes into the disk cache; frames that straddle windows need both.
//
// A fetch: queued (read-ahead only, when enough of its kind run) -> running (a task of the fetch
// executor) -> done (its windows are in memory, its waiters told) -> on disk. A queued one that a
// reader waits for starts at once. Thread-safe; tasks of the fetch executor must not call it.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/base/secret_bytes.h"
#include "core/cache/disk_cache.h"
#include "core/pack/pack_uploader.h"
#include "core/pack/sealed_frames.h"
#include "core/store/object_store.h"

namespace coffer::cache {

class SealedWindows final : public pack::SealedFrames, public pack::UploadListener {
 public:
  static constexpr std::uint32_t kWindowBytes = DiskCache::kWindowBytes;
  static constexpr std::uint32_t kWindowsPerFetchMax = 8;
  static constexpr std::size_t kRecentBytesMax = 32u << 20;
  static constexpr std::size_t kAheadFetchesMax = 8;    // running at once, readers' own included
  static constexpr std::size_t kAheadWindowsMax = 128;  // queued or running

  struct Numbers {
    std::uint64_t fetches = 0;  // requests to the store
    std::uint64_t fetched_bytes = 0;
    std::uint64_t ahead_fetches = 0;  // of these, begun by WantSoon
  };

  /// `key` names the windows in the disk cache: each vault its own. `disk` may be null. All outlive
  /// this.
  SealedWindows(store::ObjectStore& store, Executor& fetch, const SecretBytes& key,
                DiskCache* disk);
  /// Waits for fetches that run. No call is in flight.
  ~SealedWindows() override;

  Result<pack::SealedFrame> Get(const format::FrameRef& frame) override;
  Result<pack::SealedFrame> GetAgain(const format::FrameRef& frame) override;
  void Want(std::span<const format::FrameRef> frames) override;
  /// Whether Get of it needs no request to the store, as of now.
  [[nodiscard]] bool Has(const format::FrameRef& frame);
  /// As Want, but a guess: not many at once, and some may be left out.
  void WantSoon(std::span<const format::FrameRef> frames);
  /// What this machine has uploaded goes into the disk cache: it is at hand without the store.
  void OnUploaded(const pack::SealedPack& pack) override;
  /// Forgets the windows in memory.
  void Clear();

  [[nodiscard]] Numbers numbers() const;

 private:
  using WindowPtr = std::shared_ptr<const Bytes>;
  struct Window {
    PackId pack;
    std::uint32_t number;  // in the pack
    auto operator<=>(const Window&) const = default;
  };
  struct WindowHash {
    std::size_t operator()(const Window& window) const noexcept {
      return IdHash{}(window.pack) ^ (window.number * 0x9E3779B97F4A7C15u);
    }
  };
  /// One request: windows first … first + count - 1 of a pack.
  struct Fetch {
    PackId pack;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t length_min = 0;  // so far the pack reaches, for a frame says so
    bool ahead = false;
    bool running = false;
    bool done = false;
    Status status;                   // when done
    std::vector<WindowPtr> windows;  // when done well; a pack's last one may be short or empty
  };
  using FetchPtr = std::shared_ptr<Fetch>;
  struct Recent {
    Window window;
    WindowPtr bytes;
  };
  /// The part of a frame that lies in one window: [begin, end) of it.
  struct Span {
    Window window;
    std::uint32_t begin;
    std::uint32_t end;
  };
  /// How a Span is filled.
  struct Part {
    Span span;
    MutableByteView out;
    WindowPtr bytes = nullptr;
    FetchPtr fetch = nullptr;
    bool filled = false;
  };

  [[nodiscard]] static std::vector<Span> SpansOf(const format::FrameRef& frame);
  [[nodiscard]] static std::vector<Part> PartsOf(const format::FrameRef& frame,
                                                 MutableByteView out);
  [[nodiscard]] WindowKey KeyOf(const Window& window) const;
  [[nodiscard]] bool AtHand(const Window& window);

  void FindLocked(Part& part) REQUIRES_LOCK(mutex_);
  void FetchMissingLocked(std::vector<Part>& parts) REQUIRES_LOCK(mutex_);
  void Order(std::span<const format::FrameRef> frames, bool ahead);
  FetchPtr MakeFetchLocked(const Span& first, const Span& last, bool ahead) REQUIRES_LOCK(mutex_);
  void StartLocked(const FetchPtr& fetch) REQUIRES_LOCK(mutex_);
  void StartQueuedLocked() REQUIRES_LOCK(mutex_);
  void Run(const FetchPtr& fetch);
  Status Load(Fetch& fetch);
  void KeepLocked(const Window& window, const WindowPtr& bytes) REQUIRES_LOCK(mutex_);
  void ForgetLocked(const Window& window) REQUIRES_LOCK(mutex_);

  store::ObjectStore& store_;
  Executor& fetch_;
  const SecretBytes& key_;
  DiskCache* const disk_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::unordered_map<Window, FetchPtr, WindowHash> fetches_ GUARDED_BY(mutex_);  // not done
  std::deque<FetchPtr> queue_ GUARDED_BY(mutex_);  // ahead; some have been started meanwhile
  std::size_t running_ GUARDED_BY(mutex_) = 0;     // tasks, until their windows are on disk
  std::size_t loading_ GUARDED_BY(mutex_) = 0;     // requests to the store
  std::size_t ahead_windows_ GUARDED_BY(mutex_) = 0;
  std::list<Recent> recent_ GUARDED_BY(mutex_);  // newest first
  std::unordered_map<Window, std::list<Recent>::iterator, WindowHash> recent_by_window_
      GUARDED_BY(mutex_);
  std::size_t recent_bytes_ GUARDED_BY(mutex_) = 0;
  Numbers numbers_ GUARDED_BY(mutex_);
};

}  // namespace coffer::cache
