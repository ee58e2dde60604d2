#include "core/volume/damage.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/vault/person.h"

namespace coffer::volume {
namespace {

/// Whoever asks for the status in a loop must not ask the store in one.
constexpr Duration kLookInterval = std::chrono::seconds(5);
/// Right answers in a row that one look takes; the next one goes on.
constexpr int kProbesMax = 64;

/// Without the state's name that a reader may have put in front already.
std::string_view Unnamed(std::string_view message) {
  constexpr std::string_view kName = "MISSING-PACKS: ";
  const std::size_t at = message.find(kName);
  return at == std::string_view::npos ? message : message.substr(at + kName.size());
}

}  // namespace

Damage::Damage(Executor& executor, const Clock& clock, std::uint32_t chunk_size, Probes probes)
    : executor_(executor),
      clock_(clock),
      chunk_size_(chunk_size),
      probes_(std::move(probes)),
      looked_at_(clock.Now()) {}

Damage::~Damage() { Stop(); }

void Damage::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  executor_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return !looking_; });
}

void Damage::NoteFailed(std::uint64_t offset, std::uint64_t length, const Error& error) {
  MutexLock lock(mutex_);
  any_failed_ = true;
  if (failed_reads_++ == 0) {
    first_failure_ = Concat(Unnamed(error.message), ", for ", length, " bytes at ", offset);
    looked_at_ = clock_.Now();
  }
  std::uint64_t end = offset + length;
  auto next = failed_.lower_bound(offset);
  if (next != failed_.begin()) {
    const auto before = std::prev(next);
    // One too many is told of as part of its neighbour.
    if (before->second >= offset || failed_.size() >= kRangesMax) {
      offset = before->first;
      end = std::max(end, before->second);
    }
  }
  while (next != failed_.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = failed_.erase(next);
  }
  failed_[offset] = end;
}

void Damage::NoteRight(std::uint64_t offset, std::uint64_t length) {
  if (!any_failed_) return;
  MutexLock lock(mutex_);
  DropLocked(offset, offset + length);
}

void Damage::DropLocked(std::uint64_t offset, std::uint64_t end) {
  auto range = failed_.upper_bound(offset);
  if (range != failed_.begin() && std::prev(range)->second > offset) --range;
  while (range != failed_.end() && range->first < end) {
    const auto [first, last] = *range;
    range = failed_.erase(range);
    if (first < offset) failed_[first] = offset;
    if (last > end) failed_[end] = last;
  }
  if (!failed_.empty()) return;
  failed_reads_ = 0;
  any_failed_ = false;
}

void Damage::SetLostPages(std::vector<map::LostChunks> lost) {
  MutexLock lock(mutex_);
  if (!lost.empty() && lost_pages_.empty()) looked_at_ = clock_.Now();
  lost_pages_count_ = lost.size();
  if (lost.size() > kRangesMax) lost.resize(kRangesMax);
  lost_pages_ = std::move(lost);
}

void Damage::NoteLostDelta(const Error& error) {
  MutexLock lock(mutex_);
  if (lost_deltas_++ == 0) lost_delta_ = Unnamed(error.message);
}

void Damage::ForgetLostDeltas() {
  MutexLock lock(mutex_);
  lost_deltas_ = 0;
}

std::vector<Error> Damage::Needs() {
  MutexLock lock(mutex_);
  std::vector<Error> needs;
  if (failed_reads_ > 0) {
    needs.push_back(vault::MissingPacksError(
        Concat(failed_reads_, failed_reads_ == 1 ? " read has" : " reads have",
               " failed since the volume was opened, the first one since ", first_failure_)));
  }
  if (lost_pages_count_ > 0) {
    const map::LostChunks& first = lost_pages_.front();
    needs.push_back(vault::MissingPacksError(
        Concat(lost_pages_count_, lost_pages_count_ == 1 ? " page" : " pages",
               " of the volume's map cannot be read, the first one since ", Unnamed(first.message),
               ": of ", first.count * chunk_size_, " bytes at ", first.first * chunk_size_,
               " only what is written anew can be read")));
  }
  if (lost_deltas_ > 0) {
    Error need = vault::MissingPacksError(
        Concat(lost_deltas_, lost_deltas_ == 1 ? " commit" : " commits",
               " of the volume cannot be read, the first one since ", lost_delta_,
               ": only what has been written after it can be read"));
    need.hint =
        "have the provider bring back what is gone, then coffer close and coffer open the volume; "
        "what is written meanwhile is kept and uploaded";
    needs.push_back(std::move(need));
  }
  if (failed_reads_ > 0 || lost_pages_count_ > 0) LookAgainLocked();
  return needs;
}

void Damage::LookAgainLocked() {
  if (looking_ || stopped_ || clock_.Now() - looked_at_ < kLookInterval) return;
  looking_ = true;
  executor_.Post([this] { LookAgain(); });
}

void Damage::LookAgain() {
  int probes = 0;
  while (probes < kProbesMax && LookAgainAtRange()) ++probes;
  while (probes < kProbesMax && LookAgainAtPage()) ++probes;
  MutexLock lock(mutex_);
  looking_ = false;
  looked_at_ = clock_.Now();
  changed_.notify_all();
}

/// True when the first of them is whole again: there may be more.
bool Damage::LookAgainAtRange() {
  Range range{};
  {
    MutexLock lock(mutex_);
    if (stopped_ || failed_.empty()) return false;
    range.offset = failed_.begin()->first;
    const std::uint64_t chunk_end = (range.offset / chunk_size_ + 1) * chunk_size_;
    range.length = std::min(failed_.begin()->second, chunk_end) - range.offset;
  }
  if (!probes_.read(range.offset, range.length).has_value()) return false;
  NoteRight(range.offset, range.length);
  return true;
}

bool Damage::LookAgainAtPage() {
  std::uint64_t chunk = 0;
  {
    MutexLock lock(mutex_);
    if (stopped_ || lost_pages_.empty()) return false;
    chunk = lost_pages_.front().first;
  }
  if (!probes_.look_up(chunk).has_value()) return false;
  MutexLock lock(mutex_);
  if (lost_pages_.empty() || lost_pages_.front().first != chunk) return true;
  lost_pages_.erase(lost_pages_.begin());
  // Of those beyond the ones kept the next fold will tell.
  lost_pages_count_ = lost_pages_.empty() ? 0 : lost_pages_count_ - 1;
  return true;
}

}  // namespace coffer::volume
