#include "core/cache/sealed_windows.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"

namespace coffer::cache {

SealedWindows::SealedWindows(store::ObjectStore& store, Executor& fetch, const SecretBytes& key,
                             DiskCache* disk)
    : store_(store), fetch_(fetch), key_(key), disk_(disk) {}

SealedWindows::~SealedWindows() {
  MutexLock lock(mutex_);
  for (const FetchPtr& fetch : queue_) {
    if (!fetch->running) fetch->done = true;
  }
  queue_.clear();
  fetch_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return running_ == 0; });
}

WindowKey SealedWindows::KeyOf(const Window& window) const {
  std::array<std::byte, 4> number;
  StoreLe<std::uint32_t>(number.data(), window.number);
  const crypto::Mac mac = crypto::HmacSha256(key_, {window.pack.view(), number});
  return WindowKey::From(ByteView(mac).first(WindowKey::kBytes));
}

std::vector<SealedWindows::Span> SealedWindows::SpansOf(const format::FrameRef& frame) {
  std::vector<Span> spans;
  const std::uint64_t end = std::uint64_t{frame.offset} + frame.stored_length;
  for (std::uint64_t at = frame.offset; at < end;) {
    const std::uint64_t number = at / kWindowBytes;
    const std::uint64_t stop = std::min(end, (number + 1) * kWindowBytes);
    spans.push_back({.window = {frame.pack, static_cast<std::uint32_t>(number)},
                     .begin = static_cast<std::uint32_t>(at - number * kWindowBytes),
                     .end = static_cast<std::uint32_t>(stop - number * kWindowBytes)});
    at = stop;
  }
  return spans;
}

std::vector<SealedWindows::Part> SealedWindows::PartsOf(const format::FrameRef& frame,
                                                        MutableByteView out) {
  std::vector<Part> parts;
  for (const Span& span : SpansOf(frame)) {
    const std::size_t length = span.end - span.begin;
    parts.push_back({.span = span, .out = out.first(length)});
    out = out.subspan(length);
  }
  return parts;
}

// ---- readers

Result<pack::SealedFrame> SealedWindows::Get(const format::FrameRef& frame) {
  pack::SealedFrame sealed{.bytes = Bytes(frame.stored_length),
                           .origin = pack::SealedFrame::Origin::kDiskCache};
  std::vector<Part> parts = PartsOf(frame, sealed.bytes);
  {
    MutexLock lock(mutex_);
    for (Part& part : parts) FindLocked(part);
  }
  for (Part& part : parts) {
    if (part.bytes != nullptr || part.fetch != nullptr || disk_ == nullptr) continue;
    part.filled = disk_->Read(KeyOf(part.span.window), part.span.begin, part.out);
  }
  {
    MutexLock lock(mutex_);
    FetchMissingLocked(parts);
    for (Part& part : parts) {
      if (part.fetch == nullptr) continue;
      fetch_.Await(lock, changed_, [&part] { return part.fetch->done; });
      if (!part.fetch->status.has_value()) return Fail(part.fetch->status.error());
      part.bytes = part.fetch->windows[part.span.window.number - part.fetch->first];
    }
  }
  for (const Part& part : parts) {
    if (part.filled) continue;
    sealed.origin = pack::SealedFrame::Origin::kStore;
    if (part.bytes->size() < part.span.end) {
      return Fail(ErrorCode::kCorruption,
                  Concat(format::PackName(frame.pack), " ends before byte ",
                         frame.offset + std::uint64_t{frame.stored_length}));
    }
    std::copy_n(part.bytes->begin() + part.span.begin, part.out.size(), part.out.begin());
  }
  return sealed;
}

Result<pack::SealedFrame> SealedWindows::GetAgain(const format::FrameRef& frame) {
  for (const Span& span : SpansOf(frame)) {
    if (disk_ != nullptr && !Planted("keep-damaged-window")) disk_->Drop(KeyOf(span.window));
    MutexLock lock(mutex_);
    ForgetLocked(span.window);
  }
  return Get(frame);
}

void SealedWindows::FindLocked(Part& part) {
  if (const auto recent = recent_by_window_.find(part.span.window);
      recent != recent_by_window_.end()) {
    recent_.splice(recent_.begin(), recent_, recent->second);
    part.bytes = recent->second->bytes;
    return;
  }
  const auto fetch = fetches_.find(part.span.window);
  if (fetch == fetches_.end()) return;
  part.fetch = fetch->second;
  if (!part.fetch->running) StartLocked(part.fetch);
}

void SealedWindows::FetchMissingLocked(std::vector<Part>& parts) {
  for (std::size_t first = 0; first < parts.size();) {
    const auto missing = [&parts](std::size_t i) {
      return i < parts.size() && !parts[i].filled && parts[i].bytes == nullptr &&
             parts[i].fetch == nullptr;
    };
    if (missing(first)) FindLocked(parts[first]);  // it may have come meanwhile
    if (!missing(first)) {
      ++first;
      continue;
    }
    std::uint32_t count = 1;
    while (count < kWindowsPerFetchMax && missing(first + count)) {
      FindLocked(parts[first + count]);
      if (!missing(first + count)) break;
      ++count;
    }
    const FetchPtr fetch = MakeFetchLocked(parts[first].span, parts[first + count - 1].span, false);
    StartLocked(fetch);
    for (std::uint32_t i = 0; i < count; ++i) parts[first + i].fetch = fetch;
    first += count;
  }
}

bool SealedWindows::AtHand(const Window& window) {
  {
    MutexLock lock(mutex_);
    if (fetches_.contains(window) || recent_by_window_.contains(window)) return true;
  }
  return disk_ != nullptr && disk_->Contains(KeyOf(window));
}

bool SealedWindows::Has(const format::FrameRef& frame) {
  const std::vector<Span> spans = SpansOf(frame);
  return std::ranges::all_of(spans, [this](const Span& span) {
    {
      MutexLock lock(mutex_);
      if (recent_by_window_.contains(span.window)) return true;
    }
    return disk_ != nullptr && disk_->Contains(KeyOf(span.window));
  });
}

void SealedWindows::Want(std::span<const format::FrameRef> frames) { Order(frames, false); }

void SealedWindows::WantSoon(std::span<const format::FrameRef> frames) { Order(frames, true); }

void SealedWindows::Order(std::span<const format::FrameRef> frames, bool ahead) {
  // In the order of the frames, which is the order of need.
  std::vector<Span> missing;
  constexpr std::size_t kAtHand = static_cast<std::size_t>(-1);
  std::unordered_map<Window, std::size_t, WindowHash> seen;  // place in `missing`
  for (const format::FrameRef& frame : frames) {
    for (const Span& span : SpansOf(frame)) {
      const auto [place, first] = seen.emplace(span.window, kAtHand);
      if (first && !AtHand(span.window)) {
        place->second = missing.size();
        missing.push_back(span);
      } else if (place->second != kAtHand) {
        std::uint32_t& end = missing[place->second].end;
        end = std::max(end, span.end);
      }
    }
  }
  MutexLock lock(mutex_);
  const auto came = [this](const Window& window) REQUIRES_LOCK(mutex_) {
    return fetches_.contains(window) || recent_by_window_.contains(window);
  };
  for (std::size_t first = 0; first < missing.size();) {
    std::uint32_t count = 1;
    while (count < kWindowsPerFetchMax && first + count < missing.size() &&
           missing[first + count].window.pack == missing[first].window.pack &&
           missing[first + count].window.number == missing[first].window.number + count &&
           !came(missing[first + count].window))
      ++count;
    const bool taken = came(missing[first].window);
    if (!taken) {
      if (ahead && ahead_windows_ + count > kAheadWindowsMax) break;
      const FetchPtr fetch = MakeFetchLocked(missing[first], missing[first + count - 1], ahead);
      if (ahead) {
        queue_.push_back(fetch);
      } else {
        StartLocked(fetch);
      }
    }
    first += taken ? 1 : count;
  }
  StartQueuedLocked();
}

// ---- fetches

SealedWindows::FetchPtr SealedWindows::MakeFetchLocked(const Span& first, const Span& last,
                                                       bool ahead) {
  auto fetch = std::make_shared<Fetch>();
  fetch->pack = first.window.pack;
  fetch->first = first.window.number;
  fetch->count = last.window.number - first.window.number + 1;
  fetch->length_min = std::uint64_t{fetch->count - 1} * kWindowBytes + last.end;
  fetch->ahead = ahead;
  if (ahead) ahead_windows_ += fetch->count;
  for (std::uint32_t i = 0; i < fetch->count; ++i)
    fetches_[{fetch->pack, fetch->first + i}] = fetch;
  return fetch;
}

void SealedWindows::StartLocked(const FetchPtr& fetch) {
  CHECK(!fetch->running);
  fetch->running = true;
  ++running_;
  ++loading_;
  ++numbers_.fetches;
  if (fetch->ahead) ++numbers_.ahead_fetches;
  fetch_.Post([this, fetch] { Run(fetch); });
}

void SealedWindows::StartQueuedLocked() {
  while (!queue_.empty() && loading_ < kAheadFetchesMax) {
    const FetchPtr fetch = queue_.front();
    queue_.pop_front();
    if (!fetch->running) StartLocked(fetch);
  }
}

Status SealedWindows::Load(Fetch& fetch) {
  const std::uint64_t offset = std::uint64_t{fetch.first} * kWindowBytes;
  const std::uint64_t length = std::uint64_t{fetch.count} * kWindowBytes;
  ASSIGN_OR_RETURN(const Bytes bytes,
                   store_.GetRange(Reading(), format::PackName(fetch.pack), offset, length));
  // Less than all is the pack's end, unless a frame is known to reach further.
  if (bytes.size() < fetch.length_min || bytes.size() > length) {
    return Fail(ErrorCode::kCorruption,
                Concat(format::PackName(fetch.pack), ": the store sent ", bytes.size(),
                       " bytes from byte ", offset, ", not ", fetch.length_min, " to ", length));
  }
  for (std::uint32_t i = 0; i < fetch.count; ++i) {
    const std::size_t begin = std::min(bytes.size(), std::size_t{i} * kWindowBytes);
    const std::size_t size = std::min<std::size_t>(kWindowBytes, bytes.size() - begin);
    fetch.windows.push_back(
        std::make_shared<const Bytes>(ToBytes(ByteView(bytes).subspan(begin, size))));
  }
  return {};
}

void SealedWindows::Run(const FetchPtr& fetch) {
  Status status = Load(*fetch);
  {
    MutexLock lock(mutex_);
    fetch->status = std::move(status);
    fetch->done = true;
    for (std::uint32_t i = 0; i < fetch->count; ++i) {
      const Window window{fetch->pack, fetch->first + i};
      fetches_.erase(window);
      if (!fetch->status.has_value()) continue;
      numbers_.fetched_bytes += fetch->windows[i]->size();
      if (!fetch->windows[i]->empty()) KeepLocked(window, fetch->windows[i]);
    }
    --loading_;
    if (fetch->ahead) ahead_windows_ -= fetch->count;
    StartQueuedLocked();
    changed_.notify_all();
  }
  // Nobody waits for the disk.
  if (disk_ != nullptr && fetch->status.has_value()) {
    for (std::uint32_t i = 0; i < fetch->count; ++i) {
      const Window window{fetch->pack, fetch->first + i};
      if (!fetch->windows[i]->empty()) disk_->Insert(KeyOf(window), *fetch->windows[i]);
    }
  }
  bool last = false;
  {
    MutexLock lock(mutex_);
    last = running_ == 1;
  }
  if (last && disk_ != nullptr) disk_->Flush();
  MutexLock lock(mutex_);
  --running_;
  changed_.notify_all();
}

void SealedWindows::OnUploaded(const pack::SealedPack& pack) {
  if (disk_ == nullptr) return;
  const ByteView object(pack.object);
  for (std::size_t begin = 0; begin < object.size(); begin += kWindowBytes) {
    const auto number = static_cast<std::uint32_t>(begin / kWindowBytes);
    const std::size_t size = std::min<std::size_t>(kWindowBytes, object.size() - begin);
    disk_->Insert(KeyOf({pack.id, number}), object.subspan(begin, size));
  }
  disk_->Flush();
}

// ---- memory

void SealedWindows::KeepLocked(const Window& window, const WindowPtr& bytes) {
  ForgetLocked(window);
  recent_.push_front({window, bytes});
  recent_by_window_.emplace(window, recent_.begin());
  recent_bytes_ += bytes->size();
  while (recent_bytes_ > kRecentBytesMax) {
    const Window oldest = recent_.back().window;
    ForgetLocked(oldest);
  }
}

void SealedWindows::ForgetLocked(const Window& window) {
  const auto found = recent_by_window_.find(window);
  if (found == recent_by_window_.end()) return;
  recent_bytes_ -= found->second->bytes->size();
  recent_.erase(found->second);
  recent_by_window_.erase(found);
}

void SealedWindows::Clear() {
  MutexLock lock(mutex_);
  recent_.clear();
  recent_by_window_.clear();
  recent_bytes_ = 0;
}

SealedWindows::Numbers SealedWindows::numbers() const {
  MutexLock lock(mutex_);
  return numbers_;
}

}  // namespace coffer::cache
